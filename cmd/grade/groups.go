package main

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"distlabs/internal/grading/course"
)

// groups are the commands by whose they are, in the order in which the help shows them.
var groups = []struct {
	id, title string
	commands  []string
}{
	{"learn", "To learn:", []string{"run", "list", "hint", "replay", "trace", "play", "advice", "explore", "reset", "carry", "check", "doctor", "solution", "live"}},
	{"grade", "To grade:", []string{"batch", "merge", "diff", "report", "similar", "gradescope-zip"}},
	{"author", "To write labs:", []string{"handout", "mutants", "selfcheck", "soak", "new-lab"}},
}

// arrange groups the commands. In a handout, which carries no solution, no mutant and no docs/, the help tells of nothing
// that needs them.
func arrange(root *cobra.Command, handout bool) {
	for _, g := range groups {
		if !handout || g.id == "learn" {
			root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		}
		for _, c := range root.Commands() {
			if !slices.Contains(g.commands, c.Name()) {
				continue
			}
			if c.Hidden = handout && (g.id != "learn" || c.Name() == "solution" || c.Name() == "live"); !c.Hidden {
				c.GroupID = g.id
			}
		}
	}
	if handout {
		for _, c := range root.Commands() {
			trimForHandout(c)
		}
		root.Short = "Work on the labs"
		root.Long = root.Long[:strings.LastIndex(root.Long, "Exit status")] + handoutExit
	}
}

var (
	toDocs      = regexp.MustCompile(` ?\(?(docs/[a-z-]+\.md|schemas/[a-z.]+\.json)\)?`)
	notCarried  = []string{"--solution", "--mutant", "grade solution", "solutions/", "--submission", "--reference", "--base reference", "--rules", "--partial", "--course"}
	foreignFlag = []string{"solution", "mutant", "mutants", "submission", "reference", "base", "rules", "only", "repeat", "course"}
	gradersFlag = []string{"format", "out", "json", "partial", "visibility", "metadata", "max-grade", "require-isolation"} // of run
)

// handoutExit is the last paragraph of the help there.
const handoutExit = "Exit status: 0 all tests passed; 1 a test failed; 2 usage; 3 the course or this machine is at fault;\n130 interrupted."

// trimForHandout takes out of a command's help what a handout does not carry.
func trimForHandout(c *cobra.Command) {
	var lines []string
	for line := range strings.SplitSeq(c.Example, "\n") {
		if !slices.ContainsFunc(notCarried, func(s string) bool { return strings.Contains(line, s) }) {
			lines = append(lines, line)
		}
	}
	c.Example = strings.Join(lines, "\n")
	paragraphs := slices.DeleteFunc(strings.Split(toDocs.ReplaceAllString(c.Long, ""), "\n\n"), func(text string) bool {
		return slices.ContainsFunc(notCarried, func(s string) bool { return strings.Contains(text, s) })
	})
	c.Long = strings.Join(paragraphs, "\n\n")
	c.Flags().VisitAll(func(f *pflag.Flag) {
		f.Usage, _, _ = strings.Cut(toDocs.ReplaceAllString(f.Usage, ""), "; with --submission")
		if slices.Contains(foreignFlag, f.Name) || c.Name() == "run" && slices.Contains(gradersFlag, f.Name) {
			f.Hidden = true
		}
	})
}

// inHandout reports whether the working directory is in a course without solutions.
func inHandout() bool {
	dir, err := os.Getwd()
	if err != nil {
		return false
	}
	root, err := course.Root(dir)
	if err != nil {
		return false
	}
	return !course.HasSolutions(root)
}
