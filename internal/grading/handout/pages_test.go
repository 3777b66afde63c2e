package handout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/learning/learn"
	"distlabs/internal/learning/watch"
)

var (
	ruleText     = regexp.MustCompile(`(?m)^\s+rule\w+ += ".*"$`)
	otherLab     = regexp.MustCompile(`[Ll]ab (0\d)`)
	gradeCommand = regexp.MustCompile("go run ./cmd/grade([^`#\n]*)")
	foreign      = regexp.MustCompile("--solution|solutions/|grade solution|mutant|--base|the reference's lab")
)

// No page of any lab names in a handout what is not in it, and every link leads somewhere.
func TestPagesNameWhatIsThere(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	m := &maker{root: root, dir: t.TempDir(), made: Handout{Labs: c.Labs}}
	for _, lab := range c.Labs {
		require.NoError(t, m.lab(lab, false))
	}
	require.NoError(t, m.readme())
	require.NoError(t, m.pages())
	pages := pagesIn(t, m.dir)
	require.Greater(t, len(pages), len(c.Labs))
	for _, page := range pages {
		text := string(read(t, page))
		require.Empty(t, foreign.FindAllString(text, -1), "%s names what the handout does not carry", page)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[2], ":") || strings.Contains(found[2], "labrpc/") { // labrpc comes with the packages
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(page), found[2]))
			require.NoError(t, err, "%s links to %s", page, found[2])
		}
	}
}

// A hint, and a rule that a failing test prints, name nothing that a handout of the lab may lack: a solution, or a lab that this one
// does not build on. Exception: lab 05 goes on from lab 04, and grade carry says what to do without it.
func TestHintsAndRulesNameWhatIsThere(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	seen := 0
	for _, lab := range c.Labs {
		texts := map[string]string{}
		for _, part := range lab.Parts {
			for i, hint := range part.Hints {
				texts[fmt.Sprintf("%s, hint %d", part.ID, i+1)] = hint
			}
		}
		tests, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(lab.Dir()), "*_test.go"))
		require.NoError(t, err)
		for _, name := range tests {
			for i, rule := range ruleText.FindAllString(string(read(t, name)), -1) {
				texts[fmt.Sprintf("%s, rule %d", name, i+1)] = rule
			}
		}
		for where, text := range texts {
			seen++
			require.Empty(t, foreign.FindAllString(text, -1), "%s names what a handout does not carry: %s", where, text)
			for _, other := range otherLab.FindAllStringSubmatch(text, -1) {
				there := other[1] == lab.Number() || slices.ContainsFunc(lab.Imports, func(path string) bool { return strings.Contains(path, "/"+other[1]+"-") })
				require.True(t, there || strings.Contains(text, "grade carry"), "%s names lab %s, which a handout of lab %s may lack: %s", where, other[1], lab.Number(), text)
			}
		}
	}
	require.Greater(t, seen, 300)
}

// A lab that is there because another one builds on it is marked: progress counts only the labs to solve.
func TestBaseIsMarked(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("07")
	require.NoError(t, err)
	m := &maker{root: root, dir: t.TempDir(), o: Options{Labs: []course.Lab{selected[0].Lab}}}
	m.choose(c)
	require.Len(t, m.made.Bases, 1)
	require.NoError(t, m.labs())
	require.NoError(t, m.copy("go.mod", "go.mod"))
	made, err := course.Load(m.dir)
	require.NoError(t, err)
	require.Len(t, made.Labs, 2)
	require.True(t, made.Labs[0].Base)
	require.Len(t, made.Own(), 1)
	require.Equal(t, "07-transactions", made.Own()[0].ID)
	_, part, more := learn.Progress{}.Next(made)
	require.True(t, more)
	require.Equal(t, "7A", part.ID)
	lines := watch.Summary(made, learn.Progress{Passed: map[string]string{"5A": "x", "7A": "x"}})
	require.Equal(t, "1 of 5 parts have passed", lines[0])
	require.Regexp(t, `^05-replication .*\(another lab builds on it\)$`, lines[1])
}

// What a page links to comes along, or the link is none.
func TestPagesBringTheirDocuments(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	page := filepath.Join(dir, "labs", "01-a", "README.md")
	write(page, "[levels](../../docs/levels.md#one), [gone](../../docs/gone.md), [lab](../02-b/README.md), [web](https://x.org/a), `hint 1A`. After that: `solutions/01-a`.\n"+
		"\nIt needs lab 2. If that is not complete:\n\n    grade run 01 --base reference\n\nOne. With `--base reference` it uses ours: better. Two.\n")
	write(filepath.Join(root, "docs", "levels.md"), "See [reports](reports.md). Other systems validate (`solutions/01-a/x.go`): `solutions/01-a/y.patch`.\n")
	require.NoError(t, (&maker{root: root, dir: dir}).pages())
	require.Equal(t, "[levels](../../docs/levels.md#one), gone, lab, [web](https://x.org/a), `hint 1A`.\n"+
		"\nIt needs lab 2.\n\nOne. Two.\n", string(read(t, page)))
	require.Equal(t, "See reports. Other systems validate.\n", string(read(t, filepath.Join(dir, "docs", "levels.md"))))
}

func pagesIn(t *testing.T, dir string) []string {
	pages := []string{filepath.Join(dir, "README.md")}
	for _, pattern := range []string{"labs/*/README.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	return pages
}

// tryCommands runs every grade command of every page of a handout, in the handout, where all stubs are untouched.
func tryCommands(t *testing.T, dir, grade string) {
	run := func(args ...string) (int, string) {
		cmd := exec.CommandContext(context.Background(), grade, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off")
		text, err := cmd.CombinedOutput()
		exit, exited := errors.AsType[*exec.ExitError](err)
		require.True(t, err == nil || exited, "grade %v: %v", args, err)
		if exited {
			return exit.ExitCode(), string(text)
		}
		return 0, string(text)
	}
	tried := map[string]bool{}
	for _, page := range pagesIn(t, dir) {
		for _, found := range gradeCommand.FindAllStringSubmatch(string(read(t, page)), -1) {
			line := strings.TrimSpace(found[1])
			if tried[line] || line == "trace FILE" {
				continue
			}
			tried[line] = true
			args := strings.Fields(line)
			if len(args) > 0 && args[0] == "run" {
				args = append(args, "--seeds", "1") // that a stub fails is seen by one
			}
			status, said := run(args...)
			require.Contains(t, []int{0, 1}, status, "%s: grade %s: it ran, or tests of the stubs failed:\n%s", page, line, said)
			if line != "--help" {
				require.NotContains(t, said, "Usage:", "%s: grade %s", page, line)
			}
		}
	}
	require.GreaterOrEqual(t, len(tried), 11, "%v", tried)
	records, err := filepath.Glob(filepath.Join(dir, "labs", "*", ".labs", "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, records, "a replay leaves its record")
	status, said := run("trace", records[0], "--format", "text")
	require.Zero(t, status, said)
}
