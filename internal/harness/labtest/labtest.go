// Package labtest runs a lab's tests: each over many seeds, in virtual time, with a failure that says
// who did what, when, against which rule, and how to see it again.
//
//	func TestMain(m *testing.M) { labtest.Main(m) }
//
//	func TestDelivers1A(t *testing.T) {
//		labtest.Run(t, labtest.Config{Nodes: 2}, func(s *labtest.Sim) {
//			node := s.Start(1)
//			…
//			s.WaitFor(time.Minute, labtest.Violation{What: "…", Rule: "…"}, func() bool { … })
//		})
//	}
//
// A test calls Run, Once, Explore or Play once, and not in a t.Run of its own: the grader expects one result under the test's name.
//
// # Seeds
//
// A plain run takes the seeds 1 to Config.Seeds. LABS_SEED=81 takes just that one; LABS_SEEDS takes a number of seeds (20: 1
// to 20), a range (5-30) or a list (3,9). LABS_EXTRA_SEEDS is a list of seeds to run besides these. With LABS_SOAK set, every seed runs twice and both runs must be
// the same to the last event; no failure stops the others. With LABS_SOAK=once it runs once: the grader compares its run with that of another build.
//
// A failing seed is run again with a recorder, so that passing runs pay for nothing; the record and a page that
// draws it go to the folder .labs beside the test, or to LABS_TRACE_DIR. (LABS_RECORD=1
// keeps those of passing seeds too.) Then it is run with ever fewer faults, to show the few that
// suffice: at most 300 runs, or 15 seconds; LABS_MINIMISE=0 leaves that out, and LABS_EXPLAIN=0 all of it.
package labtest

import (
	"testing"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/supervise"
	"distlabs/labrpc"
)

// channel is where results go when a grader listens. It is opened before any
// package that imports this one is initialised: no code of a student sees its key.
var channel = report.Inherit()

// Config says how a test runs. The zero value has no nodes.
type Config struct {
	Nodes int
	Link  labrpc.Link // what every link is like at first; the zero value stands for labrpc.Reliable
	Seeds int         // how many seeds a plain run takes; 0 means 10
	// Limit bounds the virtual time of one seed; 0 means 10 minutes. A body that is not done by then has failed.
	Limit time.Duration
	// CountBytes makes the network count bytes (labrpc.Options).
	CountBytes bool
	// MustCover lists what must have happened, as told by Sim.Cover, in at least one of the seeds, unless the
	// environment chose fewer than Seeds; otherwise the test proves nothing, and fails. A soak counts all its seeds together.
	MustCover []string
	// Simultaneous says that the test calls a node from several goroutines in one instant. Who comes first is chance, so two runs of
	// a seed may differ: a soak compares whether they failed and how, not what they did.
	Simultaneous bool
}

const (
	defaultSeeds = 10
	defaultLimit = 10 * time.Minute
)

// Main runs a lab's tests, for its TestMain, and ends the process. The tests run in a child process, so that a
// panic, a data race or an exit in student code gets a readable message too; see package supervise.
func Main(m *testing.M) { supervise.Main(done{m}) }

// done tells the grader when all tests are over.
type done struct{ m *testing.M }

func (d done) Run() int {
	code := d.m.Run()
	channel.Send(report.Event{Kind: report.Done})
	return code
}

// Run runs body once a seed, each time in a bubble of its own with a fresh network, several at a time where there
// are processors. It reports the failure of the lowest failing seed and starts no further one.
func Run(t *testing.T, cfg Config, body func(s *Sim)) {
	t.Helper()
	skipIfExploring(t)
	skipUnlessOurs(t)
	r := newRunner(t, cfg, body)
	if inBrowser {
		newRerunner(r).serve()
		return
	}
	r.run()
}

// Once runs body in a bubble without a network (s.Net is nil), for what needs none. It takes
// one seed unless LABS_SEEDS asks for more.
func Once(t *testing.T, body func(s *Sim)) {
	t.Helper()
	OnceWithin(t, defaultLimit, body)
}

// OnceWithin is Once for a body that takes up to limit of virtual time.
func OnceWithin(t *testing.T, limit time.Duration, body func(s *Sim)) {
	t.Helper()
	skipIfExploring(t)
	skipUnlessOurs(t)
	r := newRunner(t, Config{Seeds: 1, Limit: limit}, body)
	r.alone = true
	if inBrowser {
		newRerunner(r).serve()
		return
	}
	r.run()
}
