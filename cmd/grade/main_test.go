package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/rotation"
)

func TestMain(m *testing.M) {
	gate.Serve()
	sandbox.Serve()
	testscript.Main(tests{m}, map[string]func(){"grade": main})
}

// raced are the scripts that try what the command does at once: they use this program, which may have the race detector. The
// others use one without, since most of what they wait for is the command's own time.
var raced = []string{"batch-interrupt", "interrupt", "mutants", "soak"}

// slow are the scripts that take more than ten seconds. Each has its turn every third day (package rotation), and whenever its text, the command's file
// or the package that does the work has changed lately.
var slow = []struct{ script, work string }{
	{"batch", "class"}, {"batch-hostile", "class"}, {"base", "submission"}, {"mutants", "prove"}, {"soak", "prove"}, {"hostile", "gate"},
	{"selfcheck", "selfcheck"}, {"explore", "prove"}, {"learner", "result"}, {"submission", "submission"}, {"run", "grade"}, {"broken", "workspace"},
}

// hasTurn reports whether a script runs today.
func hasTurn(script string) bool {
	for i, s := range slow {
		if s.script == script {
			command, _, _ := strings.Cut(script, "-")
			return rotation.HasTurn(i, 3, "internal/grading/"+s.work, "cmd/grade/"+command+".go", "cmd/grade/testdata/script/"+script+".txtar")
		}
	}
	return true
}

var racedPath string // on which this program is grade

// tests are the tests, with what they share: a grade without race detector, and the labs' binaries.
type tests struct{ *testing.M }

func (m tests) Run() int {
	dir, err := os.MkdirTemp("", "grade-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other users' processes are launched from there
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, sub := range []string{"bin", "labs"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "bin", "grade"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	racedPath = os.Getenv("PATH")
	os.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+racedPath)
	os.Setenv(workspace.BinariesEnv, filepath.Join(dir, "labs"))
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	sandbox.ServeWith(filepath.Join(dir, "bin", "grade"))
	return m.M.Run()
}

// Every script starts in a small course of its own, with two labs.
func TestScripts(t *testing.T) {
	caches := goEnv(t, "GOCACHE", "GOMODCACHE")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			script := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
			if !hasTurn(script) {
				env.T().Skip("it has its turn every third day; GATE_DAY=all runs it today")
			}
			course := filepath.Join(env.WorkDir, "course")
			if err := gradetest.NewCourse(course); err != nil {
				return err
			}
			snapshot, err := tree(course)
			if err != nil {
				return err
			}
			// At level 1, root's grader gives the tests' processes other users, who pass through these folders.
			for _, dir := range []string{env.WorkDir, filepath.Dir(env.WorkDir)} {
				if err := os.Chmod(dir, 0o711); err != nil {
					return err
				}
			}
			env.Values["tree"] = snapshot
			env.Values["interrupted"] = new(*exec.Cmd)
			env.Cd = course
			env.Vars = append(env.Vars, caches...)
			env.Setenv(workspace.BinariesEnv, os.Getenv(workspace.BinariesEnv))
			env.Setenv("GORACE", os.Getenv("GORACE"))
			if slices.Contains(raced, script) {
				env.Setenv("PATH", racedPath)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"unchanged": unchanged, "exits": exits, "interrupt": interrupt, "ended": ended, "seal": seal},
	})
}

// unchanged fails unless the course is byte for byte what it was at the start,
// except the files named, and the folder for temporary files is empty.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! unchanged")
	}
	now, err := tree(ts.MkAbs(ts.Getenv("WORK") + "/course"))
	ts.Check(err)
	before := ts.Value("tree").(map[string]string)
	for _, name := range args {
		delete(now, name)
		delete(before, name)
	}
	for name, sum := range now {
		if before[name] != sum {
			ts.Fatalf("%s was written", name)
		}
	}
	if len(now) < len(before) {
		ts.Fatalf("files were removed: there were %d, there are %d", len(before), len(now))
	}
	tmp := ts.Getenv("TMPDIR")
	var left []string
	ts.Check(filepath.WalkDir(tmp, func(path string, _ fs.DirEntry, err error) error {
		if path != tmp {
			left = append(left, strings.TrimPrefix(path, tmp))
		}
		return err
	}))
	if len(left) > 0 {
		ts.Fatalf("left behind: %s", strings.Join(left, " "))
	}
}

// exits runs a command and checks its exit status and, unless that is to be
// "", all that it says on stderr: exits 2 'grade: …' grade run --fast.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: exits status stderr command args...")
	}
	code := 0
	if err := ts.Exec(args[2], args[3:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if want := args[0]; want != strconv.Itoa(code) {
		ts.Fatalf("exit status %d, want %s; stderr:\n%s", code, want, ts.ReadFile("stderr"))
	}
	stderr := strings.TrimSpace(ts.ReadFile("stderr"))
	if args[1] != "" && stderr != args[1] {
		ts.Fatalf("stderr is\n%s\nwant\n%s", stderr, args[1])
	}
}

// interrupt sends an interrupt to the command in the background once it has
// built a test binary. The script's own wait then tells how it ended.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	built := filepath.Join(ts.Getenv("TMPDIR"), "grade-*", "work-*", "*.test")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if found, _ := filepath.Glob(built); len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing was built in a minute")
		}
	}
	running := ts.BackgroundCmds()[0]
	*ts.Value("interrupted").(**exec.Cmd) = running
	ts.Check(running.Process.Signal(os.Interrupt))
}

// ended fails unless the command that was interrupted, and waited for, has the status.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	state := (*ts.Value("interrupted").(**exec.Cmd)).ProcessState
	if neg || len(args) != 1 || strconv.Itoa(state.ExitCode()) != args[0] {
		ts.Fatalf("the interrupted command ended with %v, want %v", state, args)
	}
}

// seal puts beside the results.json of a folder the key that a batch would: with its hash.
func seal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: seal folder")
	}
	text, err := os.ReadFile(ts.MkAbs(filepath.Join(args[0], "results.json")))
	ts.Check(err)
	key := fmt.Appendf(nil, `{"run": "k", "submission": "s", "results": %q}`, result.Sum(text))
	ts.Check(os.WriteFile(ts.MkAbs(filepath.Join(args[0], "key.json")), key, 0o666))
}

// tree is a checksum of every file below dir.
func tree(dir string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		sums[filepath.ToSlash(name)] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	return sums, err
}

// goEnv reads variables of the go command, as a script's environment wants them.
func goEnv(t *testing.T, names ...string) []string {
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	require.NoError(t, err)
	values := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, values, len(names))
	for i := range values {
		values[i] = names[i] + "=" + strings.TrimSpace(values[i])
	}
	return values
}
