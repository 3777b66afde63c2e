package labtest

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"distlabs/labrpc"
)

// whatIfEnv, with LABS_SEED, makes a test's run differ from what its seed says: "what if this message had arrived?" Its value is a list
// of interventions, as the page of grade play writes it:
//
//	x17           message 17 of the run is lost
//	a17           message 17 is not lost by its link
//	u17           message 17 arrives twice
//	t17+25ms      message 17 takes 25ms longer
//	k2@1.5s       n2 crashes at 1.5s, and is down until the test starts it
//	r2@1.5s       n2, which is down, starts again as the test starts it
//	p2@1.5s+200ms n2 pauses
//	l1-3@1.5s     the link from n1 to n3 is cut
//	h1-3@1.5s     it is healed
//
// Each is named by what it does not change itself: until then, the run is the one of the seed.
const whatIfEnv = "LABS_WHATIF"

// A whatIf is a list of interventions in one run.
type whatIf struct {
	text  string
	fates map[uint64]intervention // by the number of the message
	deeds []intervention          // by their instants

	mu   sync.Mutex
	done map[string]bool // tokens of those that have changed something
}

// An intervention is one change of a run.
type intervention struct {
	token    string
	act      byte
	message  uint64
	node, to labrpc.NodeID
	at       time.Duration
	by       time.Duration // how much later, or how long
}

func (w *whatIf) String() string { return w.text }

// chosenWhatIf is what the environment asks for; nil for nothing.
func chosenWhatIf(alone bool) (*whatIf, error) {
	v := os.Getenv(whatIfEnv)
	switch {
	case v == "":
		return nil, nil
	case alone:
		return nil, fmt.Errorf("%s=%s: this test has no network in which to intervene", whatIfEnv, v)
	case os.Getenv("LABS_SEED") == "":
		return nil, fmt.Errorf("%s=%s changes one run: give its seed too, such as LABS_SEED=7", whatIfEnv, v)
	}
	w, err := parseWhatIf(v)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", whatIfEnv, v, err)
	}
	return w, nil
}

// parseWhatIf reads a list of interventions; "" is none, for which it returns nil.
func parseWhatIf(text string) (*whatIf, error) {
	if text == "" {
		return nil, nil
	}
	w := &whatIf{text: text, fates: map[uint64]intervention{}, done: map[string]bool{}}
	for token := range strings.SplitSeq(text, ",") {
		i, err := parseIntervention(token)
		if err != nil {
			return nil, err
		}
		if i.message == 0 {
			w.deeds = append(w.deeds, i)
			continue
		}
		if other, twice := w.fates[i.message]; twice {
			return nil, fmt.Errorf("%s and %s are about one message: leave one out", other.token, token)
		}
		w.fates[i.message] = i
	}
	slices.SortStableFunc(w.deeds, func(a, b intervention) int { return cmp.Compare(a.at, b.at) })
	return w, nil
}

func parseIntervention(token string) (intervention, error) {
	i := intervention{token: token}
	wrong := fmt.Errorf("%q is no intervention: want one such as x17, a17, u17, t17+25ms, k2@1.5s, r2@1.5s, p2@1.5s+200ms, l1-3@1.5s or h1-3@1.5s", token)
	if token == "" {
		return i, wrong
	}
	i.act = token[0]
	rest, by, long := strings.Cut(token[1:], "+")
	name, at, timed := strings.Cut(rest, "@")
	from, to, two := strings.Cut(name, "-")
	number, err := strconv.ParseUint(from, 10, 64)
	if err != nil || number == 0 {
		return i, wrong
	}
	if long {
		if i.by, err = time.ParseDuration(by); err != nil || i.by < 0 {
			return i, wrong
		}
	}
	if timed {
		if i.at, err = time.ParseDuration(at); err != nil || i.at < 0 {
			return i, wrong
		}
	}
	switch i.act {
	case 'x', 'a', 'u', 't':
		i.message = number
		if timed || two || long != (i.act == 't') {
			return i, wrong
		}
	case 'k', 'r', 'p':
		i.node = labrpc.NodeID(number)
		if !timed || two || long != (i.act == 'p') {
			return i, wrong
		}
	case 'l', 'h':
		other, err := strconv.ParseUint(to, 10, 64)
		i.node, i.to = labrpc.NodeID(number), labrpc.NodeID(other)
		if err != nil || !timed || long || i.node == i.to {
			return i, wrong
		}
	default:
		return i, wrong
	}
	return i, nil
}

// override is what the network asks about each message; nil if no message's fate changes.
func (w *whatIf) override() func(uint64, labrpc.Fate) labrpc.Fate {
	if w == nil || len(w.fates) == 0 {
		return nil
	}
	return func(msg uint64, drawn labrpc.Fate) labrpc.Fate {
		i, ok := w.fates[msg]
		if !ok {
			return drawn
		}
		fate := drawn
		switch i.act {
		case 'x':
			fate.Lost = true
		case 'a':
			fate.Lost = false
		case 'u':
			fate.Lost, fate.Twice = false, true
		case 't':
			fate.Later = i.by
		}
		if fate != drawn {
			w.did(i)
		}
		return fate
	}
}

// act does what is to be done to nodes and links, each at a quiescent point of its instant, until the body is over.
func (w *whatIf) act(s *Sim, quit <-chan struct{}) {
	for _, i := range w.deeds {
		timer := time.NewTimer(max(0, i.at-s.Net.Now()))
		select {
		case <-timer.C:
		case <-quit:
			timer.Stop()
			return
		}
		s.Net.Run(0)
		nodes := labrpc.NodeID(len(s.Net.Nodes()))
		if s.stop.Load() || s.ending.Load() {
			return
		}
		if i.node > nodes || i.to > nodes || i.act == 'r' && !s.revive(i.node) {
			continue
		}
		w.did(i)
		switch i.act {
		case 'k':
			s.Net.Crash(i.node)
		case 'p':
			s.Net.Pause(i.node, i.by)
		case 'l':
			s.Net.Cut(i.node, i.to)
		case 'h':
			s.Net.HealLink(i.node, i.to)
		}
	}
}

// Restarts says how this test starts a server on one of these nodes (none: on any), so that a person who plays the run can start one that is
// down: "what if n2 had started again here?" StartAll says so too. start is called between two steps of the run, from another goroutine than the
// body's, and must not wait. Where two calls are about one node, the later one counts.
func (s *Sim) Restarts(start func(node *labrpc.Node), nodes ...labrpc.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restarts = append(s.restarts, restart{start, nodes})
}

// A restart is how a test starts a server on some nodes; none: on any.
type restart struct {
	start func(*labrpc.Node)
	nodes []labrpc.NodeID
}

// restartOf is how the test starts a node; nil if it has not said that.
func (s *Sim) restartOf(id labrpc.NodeID) func(*labrpc.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.restarts) {
		if len(r.nodes) == 0 || slices.Contains(r.nodes, id) {
			return r.start
		}
	}
	return nil
}

// revive starts a node that is down, as the test does. It reports whether it could: the test has said how, and the node was up before.
func (s *Sim) revive(id labrpc.NodeID) bool {
	start := s.restartOf(id)
	if start == nil || s.Net.Up(id) || s.Net.Incarnation(id) == 0 {
		return false
	}
	start(s.Net.Start(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revived = true
	return true
}

// giveBack takes a node that a person has started down again, for the test, which believes that it is down and starts it now.
func (s *Sim) giveBack(id labrpc.NodeID) {
	s.mu.Lock()
	revived := s.revived
	s.mu.Unlock()
	if revived && s.Net.Up(id) {
		s.Net.Crash(id)
	}
}

// refuseWhatIf is an error if the environment asks for interventions, where the test's runs are schedules.
func refuseWhatIf() error {
	v := os.Getenv(whatIfEnv)
	if v == "" {
		return nil
	}
	return fmt.Errorf("%s=%s: this test runs schedules, so change the schedule on the page of grade play, and run it with LABS_SCHEDULE", whatIfEnv, v)
}

func (w *whatIf) did(i intervention) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[i.token] = true
}

// idle lists the interventions that have changed nothing.
func (w *whatIf) idle() (tokens []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for token := range strings.SplitSeq(w.text, ",") {
		if !w.done[token] {
			tokens = append(tokens, token)
		}
	}
	return tokens
}
