package labtest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/seeded"
	"distlabs/labrpc"
)

// pulse is how often the bubble shows that its time moves.
const pulse = 50 * time.Millisecond

// An outcome is what became of one run of one seed.
type outcome struct {
	seed      uint64
	failure   *report.Failure
	failedAt  time.Duration
	nodes     []labrpc.NodeID
	page      func(io.Writer) error // Violation.Page
	scripted  bool                  // the body itself asked for what it did not get
	bites     map[string]bool
	measures  map[string]report.Measure
	virtual   time.Duration
	restarts  bool          // the test has said how it starts a server
	abandoned bool          // its goroutines still run, or never will
	racedBy   time.Duration // when the race detector had reported something by; 0: nothing
}

// runSeed runs the body once.
func (r *runner) runSeed(seed uint64, observe func(labrpc.Event)) *outcome {
	return r.runWith(seed, observe, nil)
}

// runWith runs the body once, without the faults that suppress names, and watches it from outside the bubble.
func (r *runner) runWith(seed uint64, observe func(labrpc.Event), suppress func(labrpc.Fault) bool) *outcome {
	s := &Sim{
		Seed: seed, cfg: r.cfg, rand: rand.New(rand.NewPCG(seed, 0x7e57)),
		bites: map[string]bool{}, measures: map[string]report.Measure{}, recorder: r.recorder,
	}
	over := make(chan struct{})
	var virtual time.Duration
	go func() {
		defer close(over)
		defer s.explainBubble()
		synctest.Test(r.t, func(*testing.T) {
			s.live(r, observe, suppress)
			virtual = time.Since(s.began)
		})
	}()
	finished := true
	if inBrowser { // the page watches
		r.current = s
		<-over
	} else {
		finished = s.watch(over, r.until)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &outcome{
		seed: seed, failure: s.failure, failedAt: s.failedAt, nodes: s.nodes, page: s.page, scripted: s.scripted,
		bites: maps.Clone(s.bites), measures: maps.Clone(s.measures), abandoned: !finished, restarts: s.restarts != nil,
		racedBy: time.Duration(s.racedBy.Load()),
	}
	if finished {
		out.virtual = virtual
	}
	return out
}

// live is the first function of the bubble.
func (s *Sim) live(r *runner, observe func(labrpc.Event), suppress func(labrpc.Fault) bool) {
	s.body = goroutineID()
	s.bubble.Store(seeded.Bubble())
	if observe != nil {
		observe = s.onlyBody(observe)
	}
	if inner := suppress; inner != nil {
		suppress = func(f labrpc.Fault) bool { return !s.stop.Load() && inner(f) }
	}
	s.suppress = suppress
	seeded.Begin(s.bubble.Load(), s.Seed)
	defer seeded.End(s.bubble.Load())
	s.began = time.Now()
	channel.Send(report.Event{Kind: report.Seed, Test: r.t.Name(), Seed: s.Seed, Bubble: s.bubble.Load()})
	if !r.alone {
		link := r.cfg.Link
		if link.Latency == nil && link.Loss == 0 && link.Duplicate == 0 && link.Reorder == 0 && !link.InOrder {
			link = labrpc.Reliable()
		}
		s.Net = labrpc.New(labrpc.Options{
			Seed: s.Seed, Nodes: r.cfg.Nodes, Link: link, Observe: observe,
			CountBytes: r.cfg.CountBytes, Suppress: suppress, Override: r.whatIf.override(),
		})
	}
	s.net.Store(s.Net)
	quit := make(chan struct{})
	go s.beat(quit, r.races)
	if r.whatIf != nil {
		go r.whatIf.act(s, quit)
	}
	s.runBody(r.body)
	s.noteRace(r.races)
	s.ending.Store(true)
	close(quit)
	if s.Net != nil {
		s.Net.Close()
	} else {
		time.Sleep(time.Minute)
	}
}

// onlyBody keeps from an observer what no longer belongs to the run: what comes after the failure, and the end
// of the nodes after the body.
func (s *Sim) onlyBody(observe func(labrpc.Event)) func(labrpc.Event) {
	return func(e labrpc.Event) {
		if !s.stop.Load() && !s.ending.Load() {
			observe(e)
		}
	}
}

// runBody calls the body; a panic in it, the test's or that of student code which it called, is a failure like any other.
func (s *Sim) runBody(body func(*Sim)) {
	defer func() {
		v := recover()
		if _, aborted := v.(abort); aborted || v == nil {
			return
		}
		f := report.Failure{What: fmt.Sprintf("panic: %v", v)}
		text := fmt.Appendf(nil, "panic: %v\n\n%s", v, debug.Stack())
		if c, ok := report.ReadCrash(text, source()); ok {
			f = c.Failure
		}
		s.failWith(report.Panic, Violation{What: withInstant(s.now(), f.What), Rule: f.Rule, Seen: f.Seen}, f.Where)
	}()
	body(s)
	s.check()
}

// beat shows that virtual time moves, and ends a body that takes too much of it.
func (s *Sim) beat(quit chan struct{}, races int) {
	limit := s.cfg.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	tick := time.NewTicker(max(pulse, limit/20_000)) // a run may last for months
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
		}
		s.beats.Add(1)
		s.noteRace(races)
		if s.expired.Load() {
			s.outOfTime()
			s.Net.Close()
			return
		}
		if time.Since(s.began) > limit {
			s.timeUp(limit)
			return
		}
	}
}

// noteRace notes the time if the race detector has reported more than so many races.
func (s *Sim) noteRace(races int) {
	if s.racedBy.Load() == 0 && raceErrors() > races {
		s.racedBy.Store(int64(s.now()))
	}
}

// tooLong is the failure of a run that outOfTime has ended.
const tooLong = "the run took too long"

// late reports whether outOfTime has ended the run.
func (out *outcome) late() bool { return out.failure != nil && out.failure.What == tooLong }

// outOfTime ends a run that was made to explain a failure and takes too much real time.
func (s *Sim) outOfTime() {
	s.failWith(report.Malformed, Violation{What: tooLong}, "")
}

// timeUp fails a body that is not done, and takes the nodes down: what waits for them ends.
func (s *Sim) timeUp(limit time.Duration) {
	v := Violation{
		What: fmt.Sprintf("not done after %v of virtual time", limit),
		Rule: "every operation ends, or gives up when its node goes down",
	}
	where, student := "", source().IsStudent
	for _, g := range report.ParseStacks(allStacks()) {
		if g.ID != s.body {
			continue
		}
		for _, f := range g.Frames {
			if student(f.File) {
				v.What += fmt.Sprintf(": %s waits (%s) at %s", f.Name(), g.State, f.Where())
				where = f.Where()
				break
			}
		}
	}
	if where == "" {
		where = callerInTest()
	}
	s.failWith(report.Limit, v, where)
	if s.Net != nil {
		s.Net.Close()
	}
}

// explainBubble turns the bubble's own complaint, that goroutines are left which wait forever, into a failure.
func (s *Sim) explainBubble() {
	v := recover()
	if v == nil || s.stop.Load() {
		return
	}
	left, where := s.leftovers()
	if len(left) == 0 {
		s.failWith(report.Malformed, Violation{What: fmt.Sprintf("the bubble ended with: %v", v)}, "")
		return
	}
	what := fmt.Sprintf("%d goroutines outlive their nodes: a minute after the end they still wait", len(left))
	if len(left) == 1 {
		what = "a goroutine outlives its node: a minute after the end it still waits"
	}
	slices.Sort(left)
	s.failWith(report.Leak, Violation{
		What: what, Rule: "every goroutine ends soon after node.Context() does", Seen: slices.Compact(left),
	}, where)
}

// leftovers describes the student's goroutines that are still in the bubble, a line each.
func (s *Sim) leftovers() (lines []string, where string) {
	student := source().IsStudent
	for _, g := range report.ParseStacks(allStacks()) {
		if g.Bubble != s.bubble.Load() {
			continue
		}
		place, start := "", g.CreatedBy
		for _, f := range g.Frames {
			if student(f.File) {
				place = f.Where()
				break
			}
		}
		if place == "" && !student(start.File) {
			continue
		}
		line := fmt.Sprintf("%s waits (%s)", place, g.State)
		if start.File != "" {
			line += fmt.Sprintf(", started at %s", start.Where())
		}
		lines = append(lines, line)
		if where == "" || place < where {
			where = place
		}
	}
	return lines, where
}

func allStacks() []byte {
	for size := 1 << 20; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size > 1<<26 {
			return buf[:n]
		}
	}
}

// goroutineID reads the number of the calling goroutine from its stack's first line:
// "goroutine 7 [running, synctest bubble 3]:".
func goroutineID() uint64 {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	if len(fields) < 2 {
		return 0
	}
	id, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return id
}
