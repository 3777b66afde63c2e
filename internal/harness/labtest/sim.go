package labtest

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/seeded"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// A Violation is a rule that a test saw broken.
type Violation struct {
	What  string          // one sentence: who did what, when
	Rule  string          // the rule, with its number in the README or its source
	Seen  []string        // the evidence, a line each
	Nodes []labrpc.NodeID // the nodes that the statement concerns: the others are left out of the printed record

	// At is when the rule was broken, for a check that finds it only later, in the history of the run: there the printed
	// record ends. 0 is now.
	At time.Duration

	// Page, if not nil, writes a page of its own about the failure, kept beside the diagram. It is called at most
	// once, outside the bubble.
	Page func(w io.Writer) error
}

// A Sim is one run of a test's body with one seed. Its methods may be called by several goroutines at once,
// except those that wait (Run, Until, WaitFor), which belong to the body's own goroutine.
type Sim struct {
	Net  *labrpc.Network
	Seed uint64

	cfg     Config
	began   time.Time
	rand    *rand.Rand
	body    uint64                         // goroutine of the body
	bubble  atomic.Uint64                  // number of the bubble
	beats   atomic.Uint64                  // grows while virtual time moves
	ending  atomic.Bool                    // the body is over
	stop    atomic.Bool                    // set with failure
	expired atomic.Bool                    // the run is told to end: it takes too long to explain a failure
	racedBy atomic.Int64                   // when the race detector had first reported something, a time.Duration; 0: it has not
	net     atomic.Pointer[labrpc.Network] // Net, for the watchdog

	recorder *trace.Recorder         // keeps the run; nil if nothing does
	suppress func(labrpc.Fault) bool // faults and steps that are left out; nil for none
	steps    uint64                  // how many Step has counted
	restarts []restart               // see Restarts; guarded by mu
	revived  bool                    // a person has started a node; guarded by mu

	exploring bool // the checks are asked between the steps of a schedule
	checks    []func() *Violation
	where     string // of the test, if exploring

	mu       sync.Mutex
	failure  *report.Failure // the first one
	failedAt time.Duration
	nodes    []labrpc.NodeID // Violation.Nodes
	page     func(io.Writer) error
	scripted bool
	bites    map[string]bool
	measures map[string]report.Measure
}

// abort ends a body that has failed.
type abort struct{}

// now is the virtual time since the run began; 0 for a caller outside the bubble, where no virtual time is.
func (s *Sim) now() time.Duration {
	switch {
	case seeded.Bubble() == 0:
		return 0
	case s.Net != nil:
		return s.Net.Now()
	}
	return time.Since(s.began)
}

// Start begins an incarnation of a node. Virtual time moves by a few nanoseconds, so that each node's timers
// have a phase of their own.
func (s *Sim) Start(id labrpc.NodeID) *labrpc.Node {
	s.Run(time.Duration(1 + s.rand.IntN(999)))
	s.giveBack(id)
	return s.Net.Start(id)
}

// StartAll starts every node with start, in order.
func (s *Sim) StartAll(start func(node *labrpc.Node)) {
	s.Restarts(start)
	for _, id := range s.Net.Nodes() {
		start(s.Start(id))
	}
}

// Run lets d of virtual time pass. It returns at a quiescent point, when every goroutine waits, or ends the
// body if the test has failed by then.
func (s *Sim) Run(d time.Duration) {
	if s.Net != nil {
		s.Net.Run(d)
	} else {
		time.Sleep(d)
	}
	s.check()
}

// Until lets time pass until cond holds, and at most limit; it reports whether cond held. cond is asked
// after every step of the run, at a quiescent point.
func (s *Sim) Until(limit time.Duration, cond func() bool) bool {
	ok := s.Net.RunUntil(limit, func() bool { return s.stop.Load() || cond() })
	s.check()
	return ok
}

// Step does a piece of the test's own work that the test's rules do not depend on, such as one request of a client: when a
// failure is minimised, it is left out if the rule breaks without it. It belongs to the body's goroutine.
func (s *Sim) Step(what string, f func()) {
	s.steps++
	if s.suppress == nil || !s.suppress(labrpc.Fault{Kind: faultStep, Method: what, Number: s.steps}) {
		f()
	}
}

// WaitFor is Until, and fails with v if cond does not hold in time.
func (s *Sim) WaitFor(limit time.Duration, v Violation, cond func() bool) {
	if !s.Until(limit, cond) {
		s.Fail(v)
	}
}

// Always calls check after every step of the run, at a quiescent point, until it returns a violation.
func (s *Sim) Always(check func() *Violation) {
	if s.exploring {
		s.checks = append(s.checks, check)
		return
	}
	where := callerInTest()
	s.Net.OnStep(func() bool {
		v := check()
		if v != nil {
			s.failWith(report.Rule, *v, where)
		}
		return v == nil && !s.stop.Load()
	})
}

// Fail records that a rule was broken; only the first failure of a run counts. Called from the body it
// ends the body; called from elsewhere, the body ends when it next waits.
func (s *Sim) Fail(v Violation) {
	s.fail(report.Rule, v)
	if goroutineID() == s.body {
		panic(abort{})
	}
}

// Failf is Fail with a rule and one sentence.
func (s *Sim) Failf(rule, format string, args ...any) {
	s.Fail(Violation{What: fmt.Sprintf(format, args...), Rule: rule})
}

// Failed reports whether the run has failed already.
func (s *Sim) Failed() bool { return s.stop.Load() }

// fail keeps the first failure.
func (s *Sim) fail(kind report.Kind, v Violation) { s.failWith(kind, v, callerInTest()) }

func (s *Sim) failWith(kind report.Kind, v Violation, where string) {
	s.mu.Lock()
	first := s.failure == nil
	if first {
		s.failedAt, s.nodes, s.page = cmp.Or(v.At, s.now()), v.Nodes, v.Page
		what, seen := v.What, slices.Clone(v.Seen)
		if kind == report.Rule && v.Rule != "" {
			what = withInstant(s.failedAt, singular(what))
			for i := range seen {
				seen[i] = singular(seen[i])
			}
		}
		s.failure = &report.Failure{Kind: kind, Where: where, What: what, Rule: v.Rule, Seen: seen, Seed: s.Seed}
		s.scripted = v.At == 0 && (goroutineID() == s.body || kind == report.Limit)
	}
	s.mu.Unlock()
	s.stop.Store(true)
}

// check ends the body if the run has failed.
func (s *Sim) check() {
	if s.stop.Load() {
		panic(abort{})
	}
}

// Cover records that the situation under test occurred. A test whose required situations never occur is vacuous and
// fails: see Config.MustCover.
func (s *Sim) Cover(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bites[what] = true
}

// Rand returns the test's own random numbers, which follow from the seed. It is for the body's goroutine.
func (s *Sim) Rand() *rand.Rand { return s.rand }

// Measure tells a number that the grader shows beside the points, with the bound that the
// specification sets, such as "≤ 300ms". Of several values the worst counts: the lowest if the bound begins with ≥ or >, else the highest.
func (s *Sim) Measure(name string, value float64, unit, bound string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	worst(s.measures, report.Measure{Name: name, Value: value, Unit: unit, Bound: bound})
}

// worst keeps the worse of two values of one measure.
func worst(all map[string]report.Measure, m report.Measure) {
	if old, ok := all[m.Name]; ok {
		m = report.Worst(old, m)
	}
	all[m.Name] = m
}

// Logf puts a remark of the test into the record.
func (s *Sim) Logf(format string, args ...any) {
	if s.Net != nil {
		s.Net.Mark(format, args...)
	}
}

// Errorf and FailNow let testify's require check plain values: require.Equal(s, want, got).
func (s *Sim) Errorf(format string, args ...any) {
	s.fail(report.Rule, Violation{What: plainText(fmt.Sprintf(format, args...))})
}

// FailNow ends the body. It fails the run if nothing else has.
func (s *Sim) FailNow() {
	s.Fail(Violation{What: "the test failed"})
}
