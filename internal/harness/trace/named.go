package trace

import (
	"regexp"
	"strconv"
	"time"

	"distlabs/labrpc"
)

// Named says what of a run a failure speaks of.
type Named struct {
	// Keep has, for each step, whether the failure names it: it happened when a node that the text names did something
	// at a time that the text names, or at the very instant of the failure. A message that is named is kept whole.
	Keep []bool
	// Key is the step that the failure is about: the last one that its sentence names; -1 if it names none.
	Key int
}

// Names finds the steps that a failure names: at is the instant of the failure, what its sentence, and seen the lines of
// its evidence. Times in these texts may have been rounded up, down or to the nearest millisecond.
func (r *Run) Names(at time.Duration, what string, seen ...string) Named {
	n := Named{Keep: make([]bool, len(r.Steps)), Key: -1}
	for _, m := range mentions(what) {
		if k := n.mark(r, m); k >= 0 {
			n.Key = k
		}
	}
	for _, line := range seen {
		for _, m := range mentions(line) {
			n.mark(r, m)
		}
	}
	instant := at
	for i := range r.Steps {
		if r.Steps[i].At > at {
			break
		}
		instant = r.Steps[i].At
	}
	if at-instant >= time.Millisecond {
		instant = at // nothing happened then
	}
	for i := range r.Steps {
		n.Keep[i] = n.Keep[i] || r.Steps[i].At == instant || r.Steps[i].At == at
	}
	n.wholeMessages(r)
	return n
}

// A mention is a time in a text, with the nodes that the text names.
type mention struct {
	at    time.Duration
	unit  time.Duration // how far the step's time may lie from it
	node  labrpc.NodeID // the last one named before the time; 0 if there is none
	nodes map[labrpc.NodeID]bool
}

var (
	timeInText = regexp.MustCompile(`\b(?:(\d+)h)?(?:(\d+)m)?(\d+)(?:\.(\d+))?(s|ms|µs|ns)\b`)
	nodeInText = regexp.MustCompile(`\bn(\d+)\b`)
	lengthOf   = regexp.MustCompile(`(?:\b(?:within|for|after|than|over|least|most|every|lasted|took|TTL)|[+<>≤≥~±]) *$`)
	lengthTo   = regexp.MustCompile(`^ (?:after|ago|before|later)\b`)
	instantOf  = regexp.MustCompile(`(?i)\b(?:at|by|since|until|from|to) $`)
	instant    = regexp.MustCompile(`^\d+\.\d{3}(?:\d{3})*s$`) // as Seconds writes one
)

// mentions returns the points in time that a text names, but not the lengths of time (within 5s).
func mentions(text string) (out []mention) {
	nodes := map[labrpc.NodeID]bool{}
	for _, m := range nodeInText.FindAllStringSubmatch(text, -1) {
		if id, err := strconv.Atoi(m[1]); err == nil {
			nodes[labrpc.NodeID(id)] = true
		}
	}
	for _, at := range timeInText.FindAllStringSubmatchIndex(text, -1) {
		before, found := text[:at[0]], text[at[0]:at[1]]
		if !instantOf.MatchString(before) && (!instant.MatchString(found) || lengthOf.MatchString(before) || lengthTo.MatchString(text[at[1]:])) {
			continue
		}
		d, err := time.ParseDuration(found)
		if err != nil {
			continue
		}
		m := mention{at: d, unit: time.Millisecond, nodes: nodes}
		// A time with more than three decimals of a second was written to the microsecond or finer.
		digits := at[9] - at[8]
		switch unit := text[at[10]:at[11]]; {
		case unit == "ms" && digits > 0, unit == "s" && digits > 3:
			m.unit = time.Microsecond
		case unit == "µs", unit == "ns":
			m.unit = time.Microsecond
		}
		if found := nodeInText.FindAllStringSubmatch(before, -1); len(found) > 0 {
			id, _ := strconv.Atoi(found[len(found)-1][1])
			m.node = labrpc.NodeID(id)
		}
		out = append(out, m)
	}
	return out
}

// mark marks the steps of a mention, and returns the one that it is likeliest about, or -1.
func (n *Named) mark(r *Run, m mention) (best int) {
	best, least := -1, 0
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.At > m.at-m.unit && s.At < m.at+m.unit && !s.ends() && (len(m.nodes) == 0 || s.atOneOf(m.nodes)) {
			n.Keep[i] = true
			if rank := m.rank(r, i); best < 0 || rank < least {
				best, least = i, rank
			}
		}
	}
	return best
}

// rank orders the steps of one instant: what the named node noted or was told comes first, then what the others of the
// sentence did. (Who "votes for n1 at 0.167s" is not n1.)
func (m mention) rank(r *Run, i int) int {
	s := &r.Steps[i]
	rank := 12
	switch {
	case s.Node == m.node:
		rank = 0
	case s.Node == 0:
		rank = 4
	case m.nodes[s.Node]:
		rank = 8
	}
	switch s.Kind {
	case KindReturned, KindTold:
		return rank
	case labrpc.EventNoted:
		if r.changed(i) {
			return rank + 1
		}
	case labrpc.EventDelivered:
		return rank + 2
	}
	return rank + 3
}

// changed reports whether a note says something else than the node's note before it.
func (r *Run) changed(i int) bool {
	s := &r.Steps[i]
	for k := i - 1; k >= 0; k-- {
		if b := &r.Steps[k]; b.Node == s.Node && b.Kind == s.Kind && b.Name == s.Name {
			return b.Inc != s.Inc || b.Value != s.Value
		}
	}
	return true
}

func (s *Step) atOneOf(nodes map[labrpc.NodeID]bool) bool {
	return s.Node == 0 && s.Msg == 0 || nodes[s.Node] || s.Msg != 0 && (nodes[s.From] || nodes[s.To])
}

// ends reports whether the step is one of the crashes by which a network ends.
func (s *Step) ends() bool { return s.Kind == labrpc.EventCrashed && s.Reason == closing }

// wholeMessages keeps all steps of a message of which one is kept, and of the request or reply that belongs to it.
func (n *Named) wholeMessages(r *Run) {
	kept, partner := map[uint64]bool{}, map[uint64]uint64{}
	for i := range r.Steps {
		s := &r.Steps[i]
		if n.Keep[i] && s.Msg != 0 {
			kept[s.Msg] = true
		}
		if s.ReplyTo != 0 {
			partner[s.Msg], partner[s.ReplyTo] = s.ReplyTo, s.Msg
		}
	}
	for i := range r.Steps {
		if m := r.Steps[i].Msg; m != 0 && (kept[m] || kept[partner[m]]) {
			n.Keep[i] = true
		}
	}
}
