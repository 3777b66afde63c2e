package supervise

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var buildCrew = sync.OnceValues(func() (string, error) { return build("testdata/crew") })

// crewRun is what came of a run of testdata/crew.
type crewRun struct {
	stdout string
	code   int
	ran    []string       // the tests that ran, in the order of their names
	by     map[string]int // how many tests each process ran
	left   []string       // files in the folder for temporary ones
}

func runCrew(t *testing.T, args []string, env ...string) crewRun {
	t.Helper()
	exe, err := buildCrew()
	require.NoError(t, err)
	ran, temp := t.TempDir(), t.TempDir()
	cmd := exec.Command(exe, append([]string{"-test.paniconexit0", "-test.timeout=30s"}, args...)...)
	cmd.Dir = "testdata/crew"
	cmd.Env = append(append(os.Environ(), "CREW_RAN="+ran, "TMPDIR="+temp, "GOMAXPROCS=4"), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.Run()
	run := crewRun{stdout: out.String(), code: cmd.ProcessState.ExitCode(), by: map[string]int{}}
	for _, file := range glob(t, ran) {
		part := strings.Split(file, "-")
		run.ran = append(run.ran, part[0])
		run.by[part[1]]++
	}
	run.left = glob(t, temp)
	return run
}

func glob(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

var allOfCrew = []string{"TestA", "TestB", "TestC", "TestD", "TestE", "TestF"}

func TestEachTestRunsInOneChild(t *testing.T) {
	run := runCrew(t, []string{"-test.count=1"})
	require.Equal(t, 0, run.code)
	require.Equal(t, "PASS\n", run.stdout)
	require.Equal(t, allOfCrew, run.ran)
	require.Greater(t, len(run.by), 1)
	require.Empty(t, run.left)
}

func TestOneChildRunsAllThatAPersonAsksFor(t *testing.T) {
	for _, args := range [][]string{{"-test.v"}, {"-test.run=Test"}, {"-test.count=2"}, {"-test.cpuprofile=" + os.DevNull}} {
		run := runCrew(t, args)
		require.Equal(t, 0, run.code, args)
		require.Len(t, run.by, 1, args)
	}
	require.Len(t, runCrew(t, nil, "GOMAXPROCS=1").by, 1)
}

func TestWhatIsSaidOfATestStaysTogether(t *testing.T) {
	run := runCrew(t, nil, "CREW_FAILS=1")
	require.Equal(t, 1, run.code)
	require.Equal(t, allOfCrew, run.ran)
	require.Equal(t, 1, strings.Count(run.stdout, "FAIL\n"), "one verdict")
	require.True(t, strings.HasSuffix(run.stdout, "\nFAIL\n"))
	heads := regexp.MustCompile(`--- FAIL: (\w+)`).FindAllStringSubmatch(run.stdout, -1)
	require.Len(t, heads, 4)
	blocks := strings.Split(run.stdout, "--- FAIL: ")[1:]
	for i, block := range blocks {
		require.Equal(t, 20, strings.Count(block, heads[i][1]+" line "), block)
		require.Equal(t, 20, strings.Count(block, " line "), block)
	}
}

// The child that is left runs what the other one had not begun.
func TestTheOtherChildGoesOn(t *testing.T) {
	run := runCrew(t, nil, "CREW_DIES=TestB", "GOMAXPROCS=2")
	require.Equal(t, 5, run.code)
	require.Equal(t, allOfCrew, run.ran)
	require.Contains(t, run.stdout, "in the middle of a test with exit status 5")
	require.Contains(t, run.stdout, "-run 'TestB$'")
	require.NotContains(t, run.stdout, "PASS")
}

// Go test knows from the log when the result is still good: it has the files of all children.
func TestTheLogOfAllChildren(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	run := runCrew(t, []string{"-test.testlogfile=" + log})
	require.Equal(t, 0, run.code)
	require.Greater(t, len(run.by), 1)
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "# test log\n"))
	require.Equal(t, 1, strings.Count(string(text), "#"))
	for _, test := range allOfCrew {
		require.Contains(t, string(text), "stat ../"+test+"\n")
	}
}

func TestVerdict(t *testing.T) {
	for text, want := range map[string]string{
		"PASS\n": "PASS\n", "x\nFAIL\n": "FAIL\n", "xPASS\n": "", "PASS": "", "FAIL\nx\n": "", "": "",
	} {
		require.Equal(t, want, verdict([]byte(text)), "%q", text)
	}
}
