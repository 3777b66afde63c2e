package trace

import (
	"reflect"
	"strings"
	"sync"

	"distlabs/labrpc"
)

// A Recorder keeps every event of a run. Its Observe is meant for labrpc.Options.Observe.
//
// All methods may be called by several goroutines at once.
type Recorder struct {
	mu     sync.Mutex
	header Header
	steps  []Step
	added  uint64 // steps that Add made
	incs   map[labrpc.NodeID]int
}

// NewRecorder returns a recorder for the run that h describes. h.Nodes may be too small: it becomes
// the highest node that does anything.
func NewRecorder(h Header) *Recorder {
	return &Recorder{header: h, incs: map[labrpc.NodeID]int{}}
}

// Observe records an event. It copies the body, which may change once Observe returns.
func (r *Recorder) Observe(e labrpc.Event) {
	r.observe(e, false)
}

// Add records what the test saw at a node: a step of the kinds [KindCalled], [KindReturned], [KindTold] and [KindSeen].
func (r *Recorder) Add(e labrpc.Event) { r.observe(e, true) }

func (r *Recorder) observe(e labrpc.Event, add bool) {
	s := StepOf(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind == labrpc.EventStarted {
		r.incs[e.Node] = e.Inc
	}
	if add {
		if s.Node != 0 && s.Inc == 0 {
			s.Inc = max(1, r.incs[s.Node])
		}
		r.added++
		if n := len(r.steps); n > 0 {
			s.Seq = r.steps[n-1].Seq - r.added + 1 // of the network's event before it
			s.At = max(s.At, r.steps[n-1].At)
		}
	}
	s.Seq += r.added
	r.steps = append(r.steps, s)
	r.header.Nodes = max(r.header.Nodes, int(e.Node), int(e.From), int(e.To))
}

// StepOf returns the step that a recorder keeps of an event, with a copy of the body. Its Partner and Vector are not known.
func StepOf(e labrpc.Event) Step {
	s := Step{Event: e, Partner: -1}
	s.Event.Body = nil
	if e.Body != nil {
		s.Type = reflect.TypeOf(e.Body).String()
		s.Body = encodeBody(e.Body)
	}
	// A file holds valid UTF-8 only; a run must not change by being written.
	for _, text := range []*string{&s.Method, &s.Source, &s.Reason, &s.Name, &s.Value} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	return s
}

// FromSteps returns the run of steps that several observers recorded, in the order that the caller gives. It gives them new numbers.
func FromSteps(h Header, steps []Step) *Run {
	run := &Run{Header: h, Steps: steps}
	for i := range run.Steps {
		s := &run.Steps[i]
		s.Seq = uint64(i) + 1
		run.Header.Nodes = max(run.Header.Nodes, int(s.Node), int(s.From), int(s.To))
	}
	run.link()
	return run
}

// Run returns the run so far. Later events do not change it.
func (r *Recorder) Run() *Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := &Run{Header: r.header, Steps: append([]Step(nil), r.steps...)}
	run.link()
	return run
}

// Since returns the steps recorded so far, without the first n. Their Partner is not known.
func (r *Recorder) Since(n int) []Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Step(nil), r.steps[min(n, len(r.steps)):]...)
}
