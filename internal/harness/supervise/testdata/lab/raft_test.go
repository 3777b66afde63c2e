package lab

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/supervise"
)

// stamp is set by the linker, to tell one build from another.
var stamp string

var results = report.Inherit()

func TestMain(m *testing.M) { supervise.Main(m) }

// run is a small harness: seed 7 in the first bubble, 8 in the second.
func run(t *testing.T, body func(n *Node)) {
	results.Send(report.Event{Kind: report.Start, Test: t.Name()})
	for bubble, seed := range []uint64{7, 8} {
		results.Send(report.Event{Kind: report.Seed, Test: t.Name(), Seed: seed, Bubble: uint64(bubble) + 1})
		synctest.Test(t, func(*testing.T) { body(&Node{votes: int(seed)}) })
	}
	results.Send(report.Event{Kind: report.End, Test: t.Name(), Result: &report.Result{Status: report.Pass}})
}

func TestPass1A(t *testing.T) {
	t.Log("build", stamp)
	run(t, func(*Node) {})
}

func TestPanic1A(t *testing.T) {
	run(t, func(n *Node) {
		if n.votes == 8 {
			n.Write()
		}
	})
}

func TestRace1A(t *testing.T) { run(t, (*Node).Race) }

func TestExit1A(t *testing.T) { run(t, func(*Node) { os.Exit(4) }) }

// syscall.Exit passes by package testing, which notices os.Exit(0).
func TestSilentExit1A(t *testing.T) { run(t, func(*Node) { syscall.Exit(0) }) }

func TestKilled1A(t *testing.T) {
	run(t, func(*Node) {
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		time.Sleep(time.Hour)
	})
}

// TestFound1A has found a failure and looks into it when it is stopped.
func TestFound1A(t *testing.T) {
	run(t, func(*Node) {
		results.Send(report.Event{Kind: report.Found, Test: t.Name(), Seed: 7, Failure: &report.Failure{
			Test: t.Name(), Kind: report.Rule, What: "two leaders in term 1", Rule: "at most one leader per term", Seed: 7,
		}})
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		time.Sleep(time.Hour)
	})
}

func TestPrints1A(t *testing.T) {
	run(t, func(*Node) {
		fmt.Fprintln(os.Stderr, "to stderr")
		fmt.Fprintln(os.Stderr, "panic: only a word")
		fmt.Println("to stdout")
	})
	if os.Getenv("LAB_TEST_FAIL") != "" {
		t.Fatal("as it was told to")
	}
}

func TestStdin1A(t *testing.T) {
	var word string
	fmt.Scan(&word)
	fmt.Println("read", word)
}

// TestSleeps1A waits in real time for somebody to end it.
func TestSleeps1A(t *testing.T) {
	results.Send(report.Event{Kind: report.Start, Test: t.Name()})
	fmt.Println("child", os.Getpid())
	time.Sleep(time.Minute)
}
