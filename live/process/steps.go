package process

import (
	"fmt"
	"sync"

	"distlabs/labrpc"
	"distlabs/live/control"
)

// steps reports what student code logs and, while somebody watches, what the nodes do: a report costs time. What the nodes have noted is
// kept in any case, for one who begins to watch later.
//
// Unlike a message and an answer, a report does not wait for the disk: it shows what a node does, and promises nothing.
type steps struct {
	inc int
	say func(control.Report)

	mu      sync.Mutex
	watched bool
	kept    []control.Step // the start of each node, then its latest note of each name
	waiting []control.Step
	logs    []string
	wake    chan struct{}
	dropped int
}

// maxWaiting is how many steps may wait for the command to read them: the network does not wait.
const maxWaiting = 1 << 14

func newSteps(config control.Config, say func(control.Report)) *steps {
	s := &steps{inc: config.Incarnation, say: say, watched: config.Watched, wake: make(chan struct{}, 1)}
	go s.run()
	return s
}

// observe takes an event. It is called with the network's lock held.
func (s *steps) observe(e labrpc.Event) {
	if e.Kind == labrpc.EventCut || e.Kind == labrpc.EventHealed {
		return // the command knows of those
	}
	if e.Inc != 0 {
		e.Inc = s.inc
	}
	keep := e.Kind == labrpc.EventStarted || e.Kind == labrpc.EventNoted
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind == labrpc.EventLogged && len(s.logs) < maxWaiting {
		s.logs = append(s.logs, fmt.Sprintf("%v: %s", e.Node, e.Value))
		s.signal()
	}
	if !keep && !s.watched {
		return
	}
	step := control.NewStep(e)
	if keep {
		s.keep(step)
	}
	if s.watched {
		s.report(step)
	}
}

// keep replaces what the step makes old. The caller holds s.mu.
func (s *steps) keep(step control.Step) {
	for i, old := range s.kept {
		if old.Event.Node == step.Event.Node && old.Event.Kind == step.Event.Kind && old.Event.Name == step.Event.Name {
			s.kept[i] = step
			return
		}
	}
	s.kept = append(s.kept, step)
}

// report hands steps to run, which writes them: it may have to wait for the command. The caller holds s.mu.
func (s *steps) report(steps ...control.Step) {
	if len(s.waiting) > maxWaiting {
		s.dropped += len(steps)
		return
	}
	if s.dropped > 0 {
		text := fmt.Sprintf("%d events before this one were not recorded: there were too many", s.dropped)
		s.waiting = append(s.waiting, control.NewStep(labrpc.Event{Kind: labrpc.EventMarked, Value: text}))
		s.dropped = 0
	}
	s.waiting = append(s.waiting, steps...)
	s.signal()
}

func (s *steps) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *steps) run() {
	for range s.wake {
		s.mu.Lock()
		waiting, logs := s.waiting, s.logs
		s.waiting, s.logs = nil, nil
		s.mu.Unlock()
		for _, text := range logs {
			s.say(control.Report{Log: text})
		}
		if len(waiting) > 0 {
			s.say(control.Report{Steps: waiting})
		}
	}
}

// watch begins to report, from what is known on, or ends it.
func (s *steps) watch(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on && !s.watched {
		s.report(s.kept...)
	}
	s.watched = on
}
