package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/result"
)

var (
	gradeLine = regexp.MustCompile("(?:go run \\./cmd/grade|(?m:^|`)\\./grade) ([^`#\n]*)")
	testLine  = regexp.MustCompile("go test ([^`#\n]*)")
	testFlag  = regexp.MustCompile(`-run '?([^' ]+)'?`)
	folder    = regexp.MustCompile(`\./\S+`)
)

// documents are the pages that show commands.
func documents(t *testing.T) map[string]string {
	texts := map[string]string{}
	for _, pattern := range []string{"../../README.md", "../../labs/*/README.md", "../../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			texts[strings.TrimPrefix(filepath.ToSlash(file), "../../")] = string(text)
		}
	}
	require.NotEmpty(t, texts)
	return texts
}

// Every grade command that a page shows names labs and parts that there are, and does what
// it says: it is run, in a small course that stands in for the labs.
func TestDocumentedGradeCommands(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	labs, err := course.Load(root)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(dir))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "DIR"), os.DirFS(filepath.Join(dir, "solutions", "01-echo"))))
	for _, id := range []string{"ada", "grace"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, "CLASS", id), os.DirFS(filepath.Join(dir, "solutions", "01-echo"))))
	}
	stub := filepath.Join(dir, "cmd", "grade", "main.go") // what gradescope-zip packs
	require.NoError(t, os.MkdirAll(filepath.Dir(stub), 0o777))
	require.NoError(t, os.WriteFile(stub, []byte("package main\n\nfunc main() {}\n"), 0o666))
	pages := documents(t)
	t.Chdir(dir)
	seen := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(pages)) {
		text := pages[file]
		for _, line := range gradeLine.FindAllStringSubmatch(text, -1) {
			args := standIn(t, labs, file, strings.Fields(line[1]))
			if len(args) > 0 && (args[0] == "carry" || args[0] == "live") {
				continue // there is no lab 05 in the small course; internal/learning/learn carries in the real one, and live/ runs it
			}
			if len(args) > 0 && args[0] == "play" {
				continue // it serves until it is interrupted, and the small course has nothing to play; internal/learning/play opens the pages
			}
			if command := strings.Join(args, " "); !seen[command] {
				seen[command] = true
				t.Run(command, func(t *testing.T) {
					switch {
					case strings.HasPrefix(command, "report "):
						forReport(t)
					case strings.Contains(command, " --alternatives"):
						other := filepath.Join("solutions", "01-echo", "alternative")
						require.NoError(t, os.CopyFS(other, os.DirFS("DIR")))
						defer os.RemoveAll(other)
					}
					if at := slices.Index(args, "--out"); strings.HasPrefix(command, "batch ") && !slices.Contains(args, "--resume") && at > 0 {
						require.NoError(t, os.RemoveAll(args[at+1])) // another page's
					}
					status, said := runGrade(t, args...)
					require.Contains(t, []int{exitGraded, exitFailed}, status, said)
					require.NotEmpty(t, said)
				})
			}
		}
	}
	require.True(t, seen["run --solution"], "README.md shows how to grade the reference")
}

// runGrade runs the command that TestMain built, and returns its exit status and what it printed.
func runGrade(t *testing.T, args ...string) (status int, said string) {
	out, err := exec.CommandContext(t.Context(), "grade", args...).CombinedOutput()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return exit.ExitCode(), string(out)
	}
	require.NoError(t, err)
	return 0, string(out)
}

// forReport puts in place what README.md's reports are made of, if no command before made it.
func forReport(t *testing.T) {
	require.NoError(t, os.WriteFile("exported.csv", []byte("Student,ID,SIS Login ID,Section,Election (7)\n    Points Possible,,,,20\nAda,1,ada,S,\n"), 0o666))
	if _, err := os.Stat(filepath.Join("RUN", result.RunFile)); err == nil {
		return
	}
	ada := filepath.Join("RUN", "submissions", "ada")
	require.NoError(t, os.MkdirAll(ada, 0o777))
	if _, err := os.Stat("results.json"); err != nil { // another page makes it
		status, said := runGrade(t, "run", "01", "--submission", "DIR", "--json", "results.json")
		require.Equal(t, exitGraded, status, said)
	}
	written, err := os.ReadFile("results.json")
	require.NoError(t, err)
	for path, text := range map[string]string{
		filepath.Join("RUN", result.RunFile):   `{"version": 1, "key": "k", "submissions": [{"id": "ada", "path": "ada"}]}`,
		filepath.Join(ada, result.KeyFile):     fmt.Sprintf(`{"run": "k", "results": %q}`, result.Sum(written)),
		filepath.Join(ada, result.ResultsFile): string(written),
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
}

// Instructors see exit statuses: their examples use the built command, since go run reports every failure as status 1.
func TestInstructorsUseTheBuiltCommand(t *testing.T) {
	pages := documents(t)
	_, hour, found := strings.Cut(pages["README.md"], "## An instructor's first hour")
	require.True(t, found)
	for name, text := range map[string]string{"README.md": hour, "docs/grading.md": pages["docs/grading.md"], "docs/reports.md": pages["docs/reports.md"]} {
		require.NotContains(t, text, "go run ./cmd/grade", name)
		require.Contains(t, text, "\n./grade ", name)
	}
	require.Contains(t, hour, "go build -o grade ./cmd/grade")
	require.Contains(t, pages["docs/grading.md"], "go build -o grade ./cmd/grade")
}

// standIn checks the names of labs and parts, and puts those of the small course in their place.
func standIn(t *testing.T, labs *course.Course, file string, args []string) []string {
	switch {
	case len(args) > 3 && args[0] == "replay":
		_, err := labs.FindTest(args[1], args[2])
		require.NoError(t, err, "%s shows grade %s", file, strings.Join(args, " "))
		return append([]string{"replay", "01", "Echoes1A"}, args[3:]...)
	case len(args) > 1 && args[0] == "trace":
		record := regexp.MustCompile(`^labs/([^/]+)/\.labs/(\w+)-\d+\.jsonl$`).FindStringSubmatch(args[1])
		require.NotNil(t, record, "%s shows grade %s", file, strings.Join(args, " "))
		_, err := labs.FindTest(record[1], record[2])
		require.NoError(t, err, "%s shows grade %s", file, strings.Join(args, " "))
		require.NoError(t, os.WriteFile("run.jsonl", []byte(smallRecord), 0o666))
		return append([]string{"trace", "run.jsonl"}, args[2:]...)
	}
	out := []string{}
	for i, arg := range args {
		name := regexp.MustCompile(`^\d\d?(-[a-z-]+|[A-Z])?$`).MatchString(arg) && (i == 0 || !strings.HasPrefix(args[i-1], "--"))
		name = name || i > 0 && args[i-1] == "--labs"
		switch {
		case name:
			_, err := labs.Select(arg)
			require.NoError(t, err, "%s shows grade %s", file, strings.Join(args, " "))
			if strings.ContainsAny(arg, "ABCDE") {
				arg = "1A"
			} else {
				arg = "01"
			}
		case i > 0 && args[i-1] == "--seeds":
			arg = "20"
		case i > 0 && args[i-1] == "--repeat": // twice is enough to show that it repeats
			arg = "2"
		}
		out = append(out, arg)
	}
	return out
}

// smallRecord is a run in which nothing happens.
const smallRecord = `{"format":"distlabs-trace","version":1,"steps":1,"test":"TestEchoes1A","seed":1,"nodes":1}
{"seq":1,"at":0,"kind":"started","node":1,"inc":1}
`

// Every go test command that a page shows names a folder and tests that there are.
func TestDocumentedTestCommands(t *testing.T) {
	for file, text := range documents(t) {
		for _, line := range testLine.FindAllStringSubmatch(text, -1) {
			for _, dir := range folder.FindAllString(line[1], -1) {
				dir = filepath.Join("../..", strings.TrimSuffix(dir, "/..."))
				require.DirExists(t, dir, "%s shows go test %s", file, line[1])
				if run := testFlag.FindStringSubmatch(line[1]); run != nil && run[1] != "^$" { // which is for benchmarks alone
					require.Contains(t, testsIn(t, dir, run[1]), true, "%s shows go test %s", file, line[1])
				}
			}
		}
	}
}

// testsIn tells, for every test in the folder, whether the pattern names it.
func testsIn(t *testing.T, dir, pattern string) (matches []bool) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			matches = append(matches, regexp.MustCompile(pattern).MatchString(name[1]))
		}
	}
	return matches
}

// The gate runs the test command of README.md, to the letter.
func TestGateRunsTheDocumentedCommand(t *testing.T) {
	gate, err := os.ReadFile("../../.ci/run")
	require.NoError(t, err)
	grep := regexp.MustCompile(`grep -m1 '([^']+)' README.md`).FindSubmatch(gate)
	require.NotNil(t, grep)
	require.Regexp(t, `(?m)`+string(grep[1]), documents(t)["README.md"])
}

// Every lab's page says how a student's own values get into the diagram, whose State panel is empty without them.
func TestPagesNameNote(t *testing.T) {
	for file, text := range documents(t) {
		if regexp.MustCompile(`^labs/0[1-7]-`).MatchString(file) {
			require.Contains(t, text, "`node.Note(", "%s: say in \"When you are stuck\" that node.Note fills the State panel of the diagram", file)
		}
	}
}
