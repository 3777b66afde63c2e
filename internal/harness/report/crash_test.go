package report

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// childEnv names the mistake that a child process of these tests makes.
const childEnv = "REPORT_TEST_MISTAKE"

// mistakes run in a bubble of a child process, of which only the output counts.
var mistakes = map[string]func(n *student){
	"nil map":     func(n *student) { go n.nilMap(); time.Sleep(time.Nanosecond) },
	"nil pointer": func(n *student) { go n.nilPointer(); time.Sleep(time.Nanosecond) },
	"index":       func(n *student) { n.index() },
	"repanic":     func(n *student) { go n.repanic(); time.Sleep(time.Nanosecond) },
	"nested":      func(n *student) { go n.nested(); time.Sleep(time.Nanosecond) },
	"endless":     func(n *student) { debug.SetMaxStack(1 << 20); go n.endless(1); time.Sleep(time.Nanosecond) },
	"map":         func(n *student) { n.concurrentMap() },
	"closes":      func(n *student) { n.closeTwice() },
	"race":        func(n *student) { n.race() },
	"deadlock":    func(n *student) { n.holdAcrossReceive(make(chan int)) },
	"leak":        func(n *student) { go n.holdAcrossReceive(make(chan int)) },
	"error": func(*student) {
		go panic(errors.New("n1: bad\npanic: forged\n\ngoroutine 7 [running]:"))
		time.Sleep(time.Nanosecond)
	},
	"timeout": func(n *student) { n.twice() },
	"exit":    func(*student) { os.Exit(0) },
}

// TestMistake is the child: it does nothing when run as a test.
func TestMistake(t *testing.T) {
	f, ok := mistakes[os.Getenv(childEnv)]
	if !ok {
		t.Skip("runs in child processes only")
	}
	synctest.Test(t, func(t *testing.T) { f(&student{}) })
}

// makeMistake runs the mistake in a child and returns its output.
func makeMistake(t *testing.T, name string) []byte {
	t.Helper()
	limit := "20s"
	if name == "timeout" {
		limit = "1s"
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMistake$", "-test.timeout="+limit, "-test.paniconexit0")
	cmd.Env = append(os.Environ(), childEnv+"="+name, "GORACE=atexit_sleep_ms=0", "GOTRACEBACK=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "the child survived its mistake: %s", out)
	return out
}

// studentSource takes student_test.go for the student's file.
func studentSource() Source {
	return Source{
		IsStudent: func(path string) bool { return filepath.Base(path) == "student_test.go" },
		Read:      func(path string) ([]byte, error) { return os.ReadFile("student_test.go") },
	}
}

// at returns the place of the line of student_test.go that ends in the comment.
func at(t *testing.T, comment string) string {
	t.Helper()
	text, err := os.ReadFile("student_test.go")
	require.NoError(t, err)
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(line, "// "+comment) {
			return fmt.Sprintf("student_test.go:%d", i+1)
		}
	}
	t.Fatalf("no line is marked %q", comment)
	return ""
}

func TestReadCrashOfRealProcesses(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		what string // %s is the place of the line that is marked with the name
		at   string // mark, if it is not the name
	}{
		{name: "nil map", kind: Panic, what: "report.student.nilMap writes to a map that was never made"},
		{name: "nil pointer", kind: Panic, what: "report.student.nilPointer uses a nil pointer, or calls a nil function"},
		{name: "index", kind: Panic, what: "report.student.index panics: index out of range [5] with length 3"},
		{name: "repanic", kind: Panic, what: "report.student.repanic panics: first"},
		{name: "endless", kind: Panic, what: "report.student.endless calls itself without end"},
		{name: "closes", kind: Panic, what: "report.student.closeTwice closes a channel that is closed already"},
		{name: "timeout", kind: Lock, at: "vote waits", what: "%s waits for n.mu, which the same goroutine locked at " + at(t, "twice locks")},
		{name: "deadlock", kind: Deadlock, at: "receive blocks", what: "every goroutine waits for another one, and no timer is set"},
		{name: "leak", kind: Leak, at: "receive blocks", what: "a goroutine still waits after the test is over"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := makeMistake(t, c.name)
			crash, ok := ReadCrash(out, studentSource())
			require.True(t, ok, "%s", out)
			mark := c.at
			if mark == "" {
				mark = c.name
			}
			what := c.what
			if strings.Contains(what, "%s") {
				what = fmt.Sprintf(what, at(t, mark))
			}
			require.Equal(t, what, crash.What, "%s", out)
			require.Equal(t, c.kind, crash.Kind)
			require.Equal(t, at(t, mark), baseName(crash.Where))
			require.NotEmpty(t, crash.Seen)
			if c.kind == Panic {
				require.EqualValues(t, 1, crash.Bubble)
			}
		})
	}
}

// Two goroutines that write one map die by the runtime's own check, or by the
// race detector, or both: the runtime's check sees only some of the writes.
func TestReadCrashOfConcurrentMaps(t *testing.T) {
	crash, ok := ReadCrash(makeMistake(t, "map"), studentSource())
	require.True(t, ok)
	require.Equal(t, Race, crash.Kind)
	require.Contains(t, []string{at(t, "map one"), at(t, "map other")}, baseName(crash.Where))
}

func TestReadCrashNotesTheFirstOfTwoPanics(t *testing.T) {
	crash, ok := ReadCrash(makeMistake(t, "nested"), studentSource())
	require.True(t, ok)
	require.Contains(t, crash.What, "panics: second")
	require.Equal(t, []string{"this panic came while another one was handled: first"}, crash.Notes)
}

// The message of a panic is the student's: it must not pass for a report.
func TestReadCrashIsNotFooledByTheMessage(t *testing.T) {
	crash, ok := ReadCrash(makeMistake(t, "error"), studentSource())
	require.True(t, ok)
	require.Contains(t, crash.Text(), "n1: bad")
	require.NotContains(t, crash.Text(), "\ngoroutine 7")
	require.EqualValues(t, 1, crash.Bubble, "the forged goroutine has no bubble")
}

// The race detector's memory is smaller than the machine's, and the runtime shows its own frames first.
func TestReadCrashOfAHugeArray(t *testing.T) {
	const out = `fatal error: too many address space collisions for -race mode

runtime stack:
runtime.throw({0x651b39?, 0x200000000000?})
	/usr/local/go/src/runtime/panic.go:1229 +0x48 fp=0x7ffd73e249e0 sp=0x7ffd73e249b0 pc=0x4beae8

goroutine 21 gp=0xc000082960 m=0 mp=0x7d03c0 [running]:
runtime.newobject(0x754?)
	/usr/local/go/src/runtime/malloc.go:2157 +0x25 fp=0xc000055e58 sp=0xc000055e30 pc=0x458385
distlabs/internal/harness/report.(*student).huge(...)
	distlabs/internal/harness/report/student_test.go:7 +0x44 fp=0xc000055ea0 sp=0xc000055e58 pc=0x458001
`
	crash, ok := ReadCrash([]byte(out), studentSource())
	require.True(t, ok)
	require.Equal(t, "report.student.huge needs more memory than there is", crash.What)
	require.Equal(t, "student_test.go:7", baseName(crash.Where))
}

func TestReadCrashOfExit(t *testing.T) {
	crash, ok := ReadCrash(makeMistake(t, "exit"), studentSource())
	require.True(t, ok)
	require.Equal(t, Exit, crash.Kind)
	require.Contains(t, crash.What, "ends the process in the middle of a test")
}

func TestReadCrashLeavesOtherOutputAlone(t *testing.T) {
	for _, out := range []string{
		"", "PASS\nok\n", "panic: said the student, and went on\nPASS\n", "goroutine 1 [running]:\n",
		"WARNING: DATA RACE\n", "panic: x\n\ngoroutine zero\n",
	} {
		_, ok := ReadCrash([]byte(out), studentSource())
		require.False(t, ok, "%q", out)
	}
}

// The reader meets whatever a student's program printed: it must not panic.
func FuzzReadCrash(f *testing.F) {
	f.Add(sampleRace)
	f.Add("panic: x [recovered]\n\tpanic: y\n\ngoroutine 3 [running, synctest bubble 9]:\nmain.f(0x1)\n\t/labs/a.go:3 +0x1\n")
	f.Add("fatal error: stack overflow\n\ngoroutine 10 gp=0x2a m=0 mp=0x6 [running]:\nf(...)\n\tx:1\ncreated by f in goroutine 1\n\tx:2\n")
	f.Fuzz(func(t *testing.T, out string) {
		crash, _ := ReadCrash([]byte(out), Source{})
		require.NotContains(t, strings.TrimSuffix(crash.Text(), "\n"), "\x1b")
		Diagnose([]byte(out), 0, Source{Read: func(string) ([]byte, error) { return []byte(out), nil }})
	})
}

func TestReadRaceOfRealProcess(t *testing.T) {
	if !raceEnabled {
		t.Skip("needs the race detector")
	}
	crash, ok := ReadCrash(makeMistake(t, "race"), studentSource())
	require.True(t, ok)
	require.Equal(t, Race, crash.Kind)
	require.Contains(t, crash.What, "n.votes is written at ")
	require.Contains(t, crash.What, at(t, "race first"))
	require.Contains(t, crash.What, at(t, "race second"))
	require.Len(t, crash.Seen, 2)
}

// sampleRace is a report as Go 1.26 prints it.
const sampleRace = `==================
WARNING: DATA RACE
Read at 0x00c00009e020 by goroutine 11:
  distlabs/labs/04-election.(*Node).Count()
      /home/ada/distlabs/labs/04-election/raft.go:8 +0x51
  distlabs/labs/04-election.(*Node).Start.gowrap1()
      /home/ada/distlabs/labs/04-election/raft.go:12 +0xe

Previous write at 0x00c00009e020 by goroutine 10:
  distlabs/labs/04-election.(*Node).Start()
      /home/ada/distlabs/labs/04-election/raft.go:17 +0x109
  distlabs/labs/04-election.TestOneLeader4C.func1()
      /home/ada/distlabs/labs/04-election/election_test.go:7 +0x65
  testing.tRunner()
      /usr/local/go/src/testing/testing.go:2036 +0x21c

Goroutine 11 (running) created at:
  distlabs/labs/04-election.(*Node).Start()
      /home/ada/distlabs/labs/04-election/raft.go:12 +0x8a

Goroutine 10 (running) created at:
  testing/synctest.testingSynctestTest()
      /usr/local/go/src/testing/testing.go:2150 +0x5fc
==================
`

func TestReadRaceOfSample(t *testing.T) {
	races := ReadRaces([]byte(sampleRace+"noise\n"+sampleRace), Source{})
	require.Len(t, races, 2)
	race := races[0]
	require.Equal(t, "raft.go:17 writes, in a goroutine of the test, a variable that raft.go:8 reads: no lock protects both", race.What)
	require.Equal(t, "TestOneLeader4C", race.TestName())

	source := strings.Repeat("\n", 7) + "func (n *Node) Count() int { return n.votes }"
	source = "package election" + source + strings.Repeat("\n", 9) + "func (n *Node) Start() { n.votes = 3 }"
	races = ReadRaces([]byte(sampleRace), Source{Read: func(string) ([]byte, error) { return []byte(source), nil }})
	require.Contains(t, races[0].What, "n.votes is written at raft.go:17")
	require.Equal(t, []string{
		"Node.Start writes at raft.go:17, in a goroutine of the test",
		"Node.Count reads at raft.go:8, in the goroutine that Node.Start started at raft.go:12",
	}, races[0].Seen)
}

func TestParseStacksOfThisProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan int)
		go func() { <-done }()
		synctest.Wait()
		stacks := allStacks()
		close(done)
		var durable, running int
		for _, g := range ParseStacks(stacks) {
			require.NotZero(t, g.ID)
			require.NotEmpty(t, g.Frames, "goroutine %d", g.ID)
			if g.Bubble > 0 && g.Durable && g.State == "chan receive" && strings.Contains(g.Frames[0].Func, "TestParseStacks") {
				durable++
				require.Equal(t, "crash_test.go", filepath.Base(g.CreatedBy.File))
			}
			if g.Bubble > 0 && g.State == "running" {
				running++
			}
		}
		require.Equal(t, 1, durable)
		require.Equal(t, 1, running)
	})
}

func allStacks() []byte {
	for size := 1 << 16; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return bytes.Clone(buf[:n])
		}
	}
}
