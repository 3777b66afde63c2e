// Package record keeps what the processes of a live store have done lately, and makes a run of it that the harness can draw.
package record

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
	"distlabs/live/control"
)

// A Recording keeps the steps of the last time, and what was so before them. Its methods may be called by several goroutines at once.
type Recording struct {
	nodes int
	keep  time.Duration
	most  int

	mu      sync.Mutex
	began   time.Time
	steps   []trace.Step // nearly in order: each process reports its own steps in order
	before  []trace.Step // what earlier steps have left: which nodes run, what they have noted, which links are cut
	version int
}

// New returns a recording of so many nodes: of the last time of this length, and of no more steps than most.
func New(nodes int, keep time.Duration, most int) *Recording {
	return &Recording{nodes: nodes, keep: keep, most: most, began: time.Now()}
}

// Add takes steps that a process has reported.
func (r *Recording) Add(steps []control.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, step := range steps {
		s := step.Trace()
		s.At -= time.Duration(r.began.UnixNano())
		r.steps = append(r.steps, s)
	}
	r.version += len(steps)
}

// Clear forgets everything.
func (r *Recording) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps, r.before = nil, nil
	r.version++
}

// Version is another number after each change.
func (r *Recording) Version() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.version
}

// Run returns the run of the last time, until now. Times count from the beginning of the recording. What the steps before it have left stands at its beginning.
func (r *Recording) Run(title string) *trace.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	inOrder(r.steps)
	r.trim(time.Since(r.began) - r.keep)
	return r.run(trace.Header{Test: title, Start: r.began})
}

// latest is the time of the last step. The caller holds r.mu, and has the steps in order.
func (r *Recording) latest() time.Duration {
	if len(r.steps) == 0 {
		return 0
	}
	return r.steps[len(r.steps)-1].At
}

// run makes a run of the steps. The caller holds r.mu, and has them in order.
func (r *Recording) run(h trace.Header) *trace.Run {
	h.Nodes = r.nodes
	var from time.Duration
	if len(r.steps) > 0 {
		from = max(0, r.steps[0].At)
	}
	steps := slices.Concat(r.before, r.steps)
	for i := range steps {
		steps[i].At = max(from, steps[i].At)
	}
	return trace.FromSteps(h, steps)
}

// inOrder sorts steps by time, and puts a message's arrival after its departure: two processes need not read the clock alike.
func inOrder(steps []trace.Step) {
	sent := map[uint64]time.Duration{}
	for i := range steps {
		if steps[i].Kind == labrpc.EventSent {
			sent[steps[i].Msg] = steps[i].At
		}
	}
	for i := range steps {
		if s := &steps[i]; s.Msg != 0 && s.Kind != labrpc.EventSent {
			s.At = max(s.At, sent[s.Msg])
		}
	}
	slices.SortStableFunc(steps, func(a, b trace.Step) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(rank(a), rank(b)))
	})
}

// rank orders steps of one instant.
func rank(s trace.Step) int {
	if s.Kind == labrpc.EventSent {
		return 0
	}
	return 1
}

// trim forgets the steps before that time, and the first ones of too many. The caller holds r.mu.
func (r *Recording) trim(from time.Duration) {
	n := max(0, len(r.steps)-r.most)
	for n < len(r.steps) && r.steps[n].At < from {
		n++
	}
	for _, s := range r.steps[:n] {
		r.leave(s)
	}
	r.steps = slices.Delete(r.steps, 0, n)
}

// leave keeps what a step that is forgotten has left. The caller holds r.mu.
func (r *Recording) leave(s trace.Step) {
	undoes := func(old trace.Step) bool { return false }
	switch s.Kind {
	case labrpc.EventStarted, labrpc.EventCrashed, labrpc.EventPaused, labrpc.EventResumed:
		// A crash leaves no notes; a pause changes none.
		forgets := s.Kind == labrpc.EventStarted || s.Kind == labrpc.EventCrashed
		undoes = func(old trace.Step) bool {
			return old.Node == s.Node && (forgets || old.Kind == labrpc.EventPaused || old.Kind == labrpc.EventResumed)
		}
	case labrpc.EventNoted:
		undoes = func(old trace.Step) bool {
			return old.Node == s.Node && old.Kind == s.Kind && old.Name == s.Name
		}
	case labrpc.EventCut, labrpc.EventHealed:
		undoes = func(old trace.Step) bool {
			return old.Node == 0 && old.From == s.From && old.To == s.To
		}
	default:
		return
	}
	r.before = slices.DeleteFunc(r.before, undoes)
	if s.Kind != labrpc.EventHealed && s.Kind != labrpc.EventResumed {
		r.before = append(r.before, s)
	}
}
