package supervise

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/passed"
	"distlabs/internal/harness/report"
)

const labDir = "testdata/lab"

// buildLab builds the test binary of testdata/lab, with the race detector if
// these tests have it.
var buildLab = sync.OnceValues(func() (string, error) { return build(labDir) })

// build builds the test binary of a folder.
func build(folder string) (string, error) {
	dir, err := os.MkdirTemp("", "supervise-test-")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "lab.test")
	args := []string{"test", "-c", "-o", exe}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "./"+folder)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return exe, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, build := range []func() (string, error){buildLab, buildCrew} {
		if exe, err := build(); err == nil {
			os.RemoveAll(filepath.Dir(exe))
		}
	}
	os.Exit(code)
}

// runLab runs one test of the lab and returns stdout, stderr and the status.
func runLab(t testing.TB, test string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runLabIn(t, labDir, test, env...)
}

func runLabIn(t testing.TB, dir, test string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	exe, err := buildLab()
	require.NoError(t, err)
	cmd := exec.Command(exe, "-test.run=^"+test+"$", "-test.paniconexit0", "-test.timeout=30s")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader("word\n")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// at returns the place of the line of the lab's raft.go that ends in the comment.
func at(t *testing.T, comment string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(labDir, "raft.go"))
	require.NoError(t, err)
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(line, "// "+comment) {
			return fmt.Sprintf("raft.go:%d", i+1)
		}
	}
	t.Fatalf("no line is marked %q", comment)
	return ""
}

const pkg = "./internal/harness/supervise/testdata/lab"

func TestAPanicIsTold(t *testing.T) {
	stdout, stderr, code := runLab(t, "TestPanic1A")
	require.Equal(t, 2, code)
	require.Contains(t, stdout, "\n"+at(t, "panics")+": a function in lab.Node.Write writes to a map that was never made\n    rule:    ")
	require.Contains(t, stdout, "replay:  LABS_SEED=8 go test -race -run 'TestPanic1A$' "+pkg+"\n")
	require.Contains(t, stdout, "panic: assignment to entry in nil map\n", "the raw report follows")
	require.NotContains(t, stderr, "panic:", "and is not printed twice")
}

func TestARaceIsTold(t *testing.T) {
	if !raceEnabled {
		t.Skip("needs the race detector")
	}
	stdout, stderr, code := runLab(t, "TestRace1A")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "n.votes is written at ")
	require.Contains(t, stdout, at(t, "first"))
	require.Contains(t, stdout, at(t, "second"))
	require.Contains(t, stdout, "go test -race -run 'TestRace1A$' "+pkg)
	require.Equal(t, 1, strings.Count(stdout, "WARNING: DATA RACE"))
	require.NotContains(t, stderr, "WARNING: DATA RACE")
}

func TestAnEarlyExitIsTold(t *testing.T) {
	stdout, _, code := runLab(t, "TestExit1A")
	require.Equal(t, 4, code)
	require.Contains(t, stdout, "in the middle of a test with exit status 4")
	require.Contains(t, stdout, "LABS_SEED=7 go test -race -run 'TestExit1A$'")

	stdout, _, code = runLab(t, "TestSilentExit1A")
	require.Equal(t, 1, code, "a test that never ended is no success")
	require.Contains(t, stdout, "in the middle of a test with exit status 0")

	stdout, _, code = runLab(t, "TestKilled1A")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "the test process was stopped")
	require.Contains(t, stdout, "TestKilled1A$")
}

// A test has its failure before it records and minimises it, and shows it even if the run is stopped meanwhile.
func TestAFailureIsToldThoughTheRunWasStopped(t *testing.T) {
	stdout, _, code := runLab(t, "TestFound1A")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "two leaders in term 1\n    rule:    at most one leader per term\n")
	require.Contains(t, stdout, "the run was stopped before this failure was recorded")
	require.NotContains(t, stdout, "the test process was stopped")
}

func TestOutputInputAndStatusPassThrough(t *testing.T) {
	stdout, stderr, code := runLab(t, "TestPrints1A")
	require.Equal(t, 0, code)
	require.Equal(t, "to stdout\nto stdout\nPASS\n", stdout)
	require.Equal(t, strings.Repeat("to stderr\npanic: only a word\n", 2), stderr)

	stdout, stderr, code = runLab(t, "TestPrints1A", "LAB_TEST_FAIL=1")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "as it was told to")
	require.NotContains(t, stdout, "replay:")
	require.Contains(t, stderr, "panic: only a word")

	stdout, _, code = runLab(t, "TestStdin1A")
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "read word\n")
}

// go test's timeout and a person's kill reach only the supervisor.
func TestSignalsReachTheChild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals here")
	}
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGQUIT}
	if runtime.GOOS == "linux" {
		signals = append(signals, os.Kill)
	}
	exe, err := buildLab()
	require.NoError(t, err)
	for _, signal := range signals {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestSleeps1A$")
			cmd.Dir = labDir
			cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // killed, it leaves its folder
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			out := bufio.NewReader(stdout)
			line, err := out.ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "child ")
			require.NoError(t, cmd.Process.Signal(signal))
			rest, err := io.ReadAll(out) // ends when the child has closed its stdout too
			require.NoError(t, err)
			cmd.Wait()
			if signal != os.Kill {
				require.Contains(t, string(rest), "TestSleeps1A$", "what was told")
				require.Positive(t, cmd.ProcessState.ExitCode())
			}
		})
	}
}

func TestDirectRunsInOneProcess(t *testing.T) {
	stdout, stderr, code := runLab(t, "TestPanic1A", report.DirectEnv+"=1")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "panic: assignment")
	require.NotContains(t, stdout, "replay:")
}

// A lab's folder remembers which tests passed, and which did not; chosen seeds and other folders leave nothing.
func TestPassesAreRemembered(t *testing.T) {
	if !raceEnabled {
		t.Skip("only a run with the race detector counts")
	}
	_, err := buildLab()
	require.NoError(t, err)
	dir := t.TempDir()
	source := filepath.Join(dir, "raft.go")
	require.NoError(t, os.WriteFile(source, []byte("package lab\n"), 0o666))
	require.NoError(t, os.Chtimes(source, time.Time{}, time.Now().Add(-time.Hour)))
	runLabIn(t, dir, "TestPass1A")
	require.Nil(t, passed.Load(dir), "this is no lab")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lab.yaml"), nil, 0o666))
	runLabIn(t, dir, "TestPass1A", "LABS_SEED=3")
	require.Nil(t, passed.Load(dir), "one seed is not the test")
	runLabIn(t, dir, "TestPass1A")
	runs := passed.Load(dir)
	require.Len(t, runs, 1)
	require.Equal(t, []string{"TestPass1A"}, runs[0].Tests)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, ".labs")))
	runLabIn(t, dir, "TestPanic1A")
	require.Nil(t, passed.Load(dir))
}

// go test must still recognise a run that it has seen.
func TestResultsAreCached(t *testing.T) {
	// A name of its own for the binary's stamp makes our first run a new one.
	stamp := fmt.Sprintf("-ldflags=-X=distlabs/internal/harness/supervise/testdata/lab.stamp=%d", time.Now().UnixNano())
	for _, want := range []bool{false, true} {
		cmd := exec.Command("go", "test", "-run=TestPass1A", stamp, "./"+labDir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, want, strings.Contains(string(out), "(cached)"), "%s", out)
	}
}

func TestHolderLosesNothing(t *testing.T) {
	text := "hello\npanic: x\n\ngoroutine 1 [running]:\n"
	for _, size := range []int{1, 2, 7, 4096} {
		for _, text := range []string{text, "pan\npaper: s\nS\nok", "", "run\nruntime\n", strings.Repeat("panic: "+strings.Repeat("long ", 2000)+"\n", keep/10000)} {
			var out bytes.Buffer
			h := &holder{out: &out}
			for rest := text; len(rest) > 0; {
				if len(rest) > keep/2 {
					size = 4096 // a byte at a time, a long text takes seconds
				}
				n, err := h.Write([]byte(rest[:min(size, len(rest))]))
				require.NoError(t, err)
				rest = rest[n:]
			}
			if strings.HasPrefix(text, "hello") {
				require.Equal(t, "hello\n", out.String())
			}
			h.release()
			require.Equal(t, text, out.String(), "in writes of %d", size)
		}
	}
}

// What the story makes of events, where several tests are in question.
func TestStoryFindsTheTest(t *testing.T) {
	s := newStory()
	for _, e := range []report.Event{
		{Kind: report.Start, Test: "TestA1A"},
		{Kind: report.Seed, Test: "TestA1A", Seed: 3, Bubble: 1},
		{Kind: report.End, Test: "TestA1A", Result: &report.Result{Races: 2}},
		{Kind: report.Start, Test: "TestB1A"},
		{Kind: report.End, Test: "TestB1A", Result: &report.Result{Races: 3}},
		{Kind: report.Start, Test: "TestC1A"},
		{Kind: report.Start, Test: "TestD1A"},
		{Kind: report.Seed, Test: "TestC1A", Seed: 5, Bubble: 8},
		{Kind: report.Seed, Test: "TestC1A", Seed: 6, Bubble: 9},
		{Kind: report.Seed, Test: "TestD1A", Seed: 5, Bubble: 10},
	} {
		s.add(e)
	}
	require.Equal(t, "TestA1A", s.raced(2, report.Crash{}).name)
	require.Equal(t, "TestB1A", s.raced(3, report.Crash{}).name)
	require.Nil(t, s.raced(4, report.Crash{}))
	c := s.crashed(report.Crash{Bubble: 8})
	require.Equal(t, "TestC1A", c.name)
	seed, ok := c.seed(8)
	require.True(t, ok)
	require.EqualValues(t, 5, seed)
	require.Equal(t, "TestD1A", s.crashed(report.Crash{Bubble: 1}).name, "the test of bubble 1 is over")
}

func BenchmarkSupervised(b *testing.B) {
	_, err := buildLab()
	require.NoError(b, err)
	for _, c := range []struct{ name, env string }{{"direct", report.DirectEnv + "=1"}, {"supervised", "LABS_NONE=1"}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				runLab(b, "TestPass1A", c.env)
			}
		})
	}
}

// In a lab's folder, code whose nodes share memory is told so before any test runs.
func TestSharedMemoryIsToldAtOnce(t *testing.T) {
	exe, err := buildLab()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "raft.go"), []byte("package raft\n\nvar door = map[int]int{}\n\nfunc open() { door[1] = 2 }\n"), 0o666))
	run := func() (string, int) {
		cmd := exec.Command(exe, "-test.run=^TestPass1A$", "-test.paniconexit0")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	_, code := run()
	require.Zero(t, code, "in a folder that is no lab nothing is refused")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lab.yaml"), nil, 0o666))
	out, code := run()
	require.Equal(t, 1, code)
	require.Equal(t, "raft.go:3: nodes share no memory, but all of them would share the package variable door, which is changed in line 5: keep it in your struct\nFAIL\n", out)
}
