package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stuckEnv names the way in which a child process gets stuck.
const stuckEnv = "REPORT_TEST_STUCK"

// stuck are the ways; each needs goroutines that never end, hence a process.
var stuck = map[string]func(n *student){
	"receive": func(n *student) {
		go n.holdAcrossReceive(make(chan int))
		time.Sleep(time.Nanosecond)
		other := &student{} // its goroutine holds another node's mutex
		go other.holdAcrossReceive(make(chan int))
		n.vote()
	},
	"receive, two statements on a line": func(n *student) {
		go n.holdAcrossReceive(make(chan int))
		time.Sleep(time.Nanosecond)
		n.voteAndMore()
	},
	"sleep": func(n *student) { go n.holdAcrossSleep(false); time.Sleep(time.Nanosecond); n.write() },
	"twice": func(n *student) { n.twice() },
	"order": func(n *student) { go n.oneThenOther(); n.otherThenOne() },
	"spin":  func(n *student) { n.spin() },
	"spin with lock": func(n *student) {
		go n.spinWithLock()
		time.Sleep(time.Nanosecond)
		n.vote()
	},
	"forget": func(n *student) {
		// Right code that waits must not be blamed for the lock that forget left.
		go n.releaseThenReceive(make(chan int))
		go n.waitCond()
		time.Sleep(time.Nanosecond)
		n.forget()
		n.vote()
	},
}

// TestStuck is the child: it prints all stacks once it is stuck
// in one way at two looks.
func TestStuck(t *testing.T) {
	f, ok := stuck[os.Getenv(stuckEnv)]
	if !ok {
		t.Skip("runs in child processes only")
	}
	go func() { // outside the bubble: real time
		var before Kind
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			stacks := allStacks()
			if f, ok := Diagnose(stacks, 1, studentSource()); ok && f.Kind == before {
				os.Stdout.Write(stacks)
				os.Exit(3)
			} else if ok {
				before = f.Kind
			}
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		n := &student{}
		n.cond = sync.NewCond(&n.mu)
		go func() { time.Sleep(1000 * time.Hour) }()
		f(n)
	})
}

func TestDiagnoseRealStacks(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  Kind
		what  string
		where string // mark
		seen  string
	}{
		{
			name: "receive", kind: Lock, where: "receive blocks",
			what: at(t, "vote waits") + " waits for n.mu, which the goroutine at " + at(t, "receive blocks") + " holds across a channel receive",
			seen: "locked n.mu at " + at(t, "receive locks"),
		},
		{
			name: "receive, two statements on a line", kind: Lock, where: "receive blocks",
			what: at(t, "voteAndMore waits") + " waits for n.mu, which the goroutine at " + at(t, "receive blocks") + " holds across a channel receive",
			seen: "locked n.mu at " + at(t, "receive locks"),
		},
		{
			name: "sleep", kind: Lock, where: "sleep blocks",
			what: at(t, "write waits") + " waits for n.rw, which the goroutine at " + at(t, "sleep blocks") + " holds across time.Sleep",
			seen: "locked n.rw at " + at(t, "sleep locks"),
		},
		{
			name: "twice", kind: Lock, where: "vote waits",
			what: at(t, "vote waits") + " waits for n.mu, which the same goroutine locked at " + at(t, "twice locks"),
			seen: "report.student.vote locks it again at " + at(t, "vote waits"),
		},
		{name: "order", kind: Lock, what: "each goroutine holds what another one wants", seen: "locked n.other at " + at(t, "other locks")},
		{name: "spin", kind: Spin, what: " runs without ever waiting: virtual time cannot move", seen: "report.student.spin"},
		{name: "spin with lock", kind: Spin, what: " runs without ever waiting: virtual time cannot move", seen: "report.student.spinWithLock"},
		{
			name: "forget", kind: Lock, where: "vote waits",
			what: at(t, "vote waits") + " waits forever for n.mu, but no running goroutine holds it",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestStuck$")
			cmd.Env = append(os.Environ(), stuckEnv+"="+c.name, "GORACE=atexit_sleep_ms=0 exitcode=0")
			out, _ := cmd.Output()
			require.Equal(t, 3, cmd.ProcessState.ExitCode(), "%s", out)
			f, ok := Diagnose(out, 1, studentSource())
			require.True(t, ok, "%s", out)
			require.Equal(t, c.kind, f.Kind)
			require.Contains(t, f.What, c.what, "%s", out)
			require.Contains(t, strings.Join(f.Seen, "\n"), c.seen)
			require.NotEmpty(t, f.Rule)
			if c.where != "" {
				require.Equal(t, at(t, c.where), baseName(f.Where))
			}
			_, ok = Diagnose(out, 2, studentSource())
			require.False(t, ok, "bubble 2 has no goroutine")
			_, ok = Diagnose(out, 1, Source{IsStudent: studentSource().IsStudent})
			require.True(t, ok, "without source the sentence is vaguer, but there is one")

			for state, blamed := range map[string]bool{
				"runnable, synctest bubble 1":         false,
				"GC assist wait, synctest bubble 1":   false,
				"runnable":                            false, // it helps the garbage collector
				"semacquire":                          false, // it starts the garbage collector
				"runnable, synctest bubble 2":         true,
				"select (durable), synctest bubble 1": true,
			} {
				more := fmt.Appendf(nil, "%s\n\ngoroutine 999999 [%s]:\nmain.f()\n\t/elsewhere.go:1\n", bytes.TrimSpace(out), state)
				f, ok := Diagnose(more, 1, studentSource())
				require.Equal(t, blamed || c.kind == Spin, ok && f.Kind == c.kind, "beside a goroutine in %s; one that goes on may be the one that the mutex has just been given to", state)
			}
		})
	}
}

// A bubble in which everybody waits for time to pass is not stuck.
func TestDiagnoseFindsNothingInAHealthyBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &student{}
		n.cond = sync.NewCond(&n.mu)
		ch := make(chan int)
		go n.releaseThenReceive(ch)
		go n.waitCond()
		synctest.Wait()
		stacks := allStacks()
		close(ch)
		n.cond.Broadcast()
		_, ok := Diagnose(stacks, 0, studentSource())
		require.False(t, ok, "%s", stacks)
	})
}
