package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// Every command is in a group: one that is in none is listed where nobody looks for it.
func TestEveryCommandIsInAGroup(t *testing.T) {
	for _, c := range newCommand().Commands() {
		require.NotEmpty(t, c.GroupID, c.Name())
	}
}

// In a handout, no help names what the handout does not carry, nor a command that is not for learners.
func TestHelpInAHandout(t *testing.T) {
	foreign := regexp.MustCompile(`--solution|--submission|--mutant|--reference|--rules|solutions?/|docs/|schemas/|known-wrong|mutant|` +
		`the reference|submission|instructor|grade (report|batch|solution|soak|mutants|selfcheck|handout)`)
	root := newCommand()
	arrange(root, true)
	seen := 0
	for _, c := range append(root.Commands(), root) {
		if c.Hidden {
			continue
		}
		seen++
		text := c.Short + "\n" + c.Long + "\n" + c.UsageString()
		require.Empty(t, foreign.FindAllString(text, -1), "grade %s --help:\n%s", c.Name(), text)
		require.NotContains(t, text, "\n\n\n")
	}
	require.Greater(t, seen, 10)
}

// What a command takes, the shells complete: labs, parts, tests; and a flag that takes a form, the forms.
func TestCommandsComplete(t *testing.T) {
	named := regexp.MustCompile(`\b(lab|part|test)\b|\b05\b`)
	for _, c := range newCommand().Commands() {
		if named.MatchString(strings.TrimPrefix(c.Use, "new-lab")) {
			require.NotNil(t, c.ValidArgsFunction, "grade %s", c.Use)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "format" || f.Name == "labs" || f.Name == "base" {
				complete, there := c.GetFlagCompletionFunc(f.Name)
				require.True(t, there, "grade %s --%s", c.Name(), f.Name)
				words, _ := complete(c, nil, "")
				require.NotEmpty(t, words, "grade %s --%s", c.Name(), f.Name)
			}
		})
	}
	words, directive := labsAndParts, cobra.ShellCompDirectiveNoFileComp
	all, got := completer(words).complete(nil, nil, "1a")
	require.Equal(t, directive, got)
	require.Len(t, all, 1, "in either case")
}
