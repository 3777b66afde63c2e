package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
)

// A completer suggests what a shell may put in place of the word that is being typed, after the given arguments.
type completer func(c *course.Course, args []string) []cobra.Completion

// completers are what the arguments of each command are. A command that is not here takes files, or nothing.
var completers = map[string]completer{
	"run": labsAndParts, "list": labsAndParts, "explore": labsAndParts, "mutants": labsAndParts, "soak": labsAndParts,
	"gradescope-zip": labsAndParts, "advice": labsOnly, "selfcheck": labsOnly, "carry": labsOnly, "live": labsOnly, "play": labsAndParts, "hint": onePart, "solution": onePart,
	"reset": partsAndFiles, "replay": labAndTest,
}

// completions are what the values of flags are.
var completions = map[string]completer{
	"labs": labsOnly,
	"base": words("own", "reference"),
}

// addCompletion makes the shells' completion know labs, parts, tests and formats.
func addCompletion(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if of := completers[cmd.Name()]; of != nil {
			cmd.ValidArgsFunction = of.complete
		}
		for name, of := range completions {
			if cmd.Flags().Lookup(name) != nil {
				register(cmd, name, of)
			}
		}
	}
}

// register makes a flag's values known to the completion.
func register(cmd *cobra.Command, flag string, of completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, of.complete); err != nil {
		panic(err) // the flag is defined
	}
}

func (of completer) complete(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	c, _, err := open(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all := slices.DeleteFunc(of(c, args), func(word cobra.Completion) bool {
		return len(word) < len(begun) || !strings.EqualFold(word[:len(begun)], begun)
	})
	return all, cobra.ShellCompDirectiveNoFileComp
}

// words are always the same.
func words(all ...string) completer {
	return func(*course.Course, []string) []cobra.Completion { return slices.Clone(all) }
}

func labsOnly(c *course.Course, _ []string) (all []cobra.Completion) {
	for _, l := range c.Labs {
		all = append(all, cobra.CompletionWithDesc(l.ID, l.Title), cobra.CompletionWithDesc(l.ID[3:], l.Title))
	}
	return all
}

func parts(c *course.Course) (all []cobra.Completion) {
	for _, l := range c.Labs {
		for _, p := range l.Parts {
			all = append(all, cobra.CompletionWithDesc(p.ID, p.Title))
		}
	}
	return all
}

func labsAndParts(c *course.Course, args []string) []cobra.Completion {
	return append(labsOnly(c, args), parts(c)...)
}

func onePart(c *course.Course, args []string) []cobra.Completion {
	if len(args) > 0 {
		return nil
	}
	return parts(c)
}

func partsAndFiles(c *course.Course, _ []string) []cobra.Completion {
	all := parts(c)
	for _, l := range c.Labs {
		for _, name := range l.Files() {
			all = append(all, l.Dir()+"/"+name)
		}
	}
	return all
}

// labAndTest are a lab or part, then a test of it.
func labAndTest(c *course.Course, args []string) (all []cobra.Completion) {
	switch len(args) {
	case 0:
		return labsAndParts(c, nil)
	case 1:
		selected, err := c.Select(args[0])
		if err != nil {
			return nil
		}
		for _, s := range selected {
			for _, t := range s.Tests() {
				all = append(all, strings.TrimPrefix(t.Name, "Test"))
			}
		}
	}
	return all
}
