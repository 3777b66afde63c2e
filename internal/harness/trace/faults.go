package trace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/labrpc"
)

// ShortFaults returns how many faults befell the run, and a line for each, in order, such as
// "n1→n3 RequestVote #4 lost at 1.201s".
//
// What follows from a fault is not one itself: a message lost to a cut, or to a node that is
// down, is not counted beside the cut and the crash. The links that were cut at one
// instant count as one cut. The crash of every node when the network closes is not a fault.
func ShortFaults(run *Run) (int, []FaultLine) {
	var lines []FaultLine
	add := func(s *Step, format string, args ...any) {
		lines = append(lines, FaultLine{fmt.Sprintf(format, args...) + " at " + Seconds(s.At), s.byTest()})
	}
	heals := run.heals()
	for i := 0; i < len(run.Steps); i++ {
		s := &run.Steps[i]
		message := func() string { return fmt.Sprintf("%v→%v %s #%d", s.From, s.To, s.name(), s.Number) }
		switch s.Kind {
		case labrpc.EventLost:
			switch s.Reason {
			case "loss":
				add(s, "%s lost", message())
			case "dropped by the test":
				add(s, "%s dropped by the test", message())
			}
		case labrpc.EventDuplicated:
			add(s, "%s duplicated", message())
		case labrpc.EventAltered:
			add(s, "%s %s", message(), s.Word())
		case labrpc.EventHeld:
			lines = append(lines, FaultLine{message() + " held back" + run.heldUntil(i), true})
		case labrpc.EventCut:
			wires, last := run.sameLinks(i)
			lines = append(lines, FaultLine{"cut " + describeLinks(wires) + run.cutUntil(wires, last, heals), true})
			i = last
		case labrpc.EventCrashed:
			if s.Reason != closing {
				nodes, last := run.sameNodes(i)
				add(s, "%s crashed%s", listNodes(nodes), because("", s.Reason))
				i = last
			}
		case labrpc.EventStopped:
			add(s, "%v crashed for good", s.Node)
		case labrpc.EventPaused:
			add(s, "%v paused for %s", s.Node, printable(s.Value))
		case labrpc.EventClock:
			nodes, last := run.sameNodes(i)
			add(s, "%s: %s", clocksOf(nodes), printable(s.Value))
			i = last
		}
	}
	return len(lines), lines
}

// A FaultLine is one fault in words.
type FaultLine struct {
	Text string
	// ByTest says that the test's own code made the fault; otherwise the network injected it, by the seed.
	ByTest bool
}

// FaultTexts returns the lines as ShortFaults has them, in words alone.
func FaultTexts(lines []FaultLine) []string {
	words := make([]string, len(lines))
	for i, l := range lines {
		words[i] = l.Text
	}
	return words
}

// byTest reports whether only a test's own code makes such a fault.
func (s *Step) byTest() bool {
	return s.Kind != labrpc.EventDuplicated && (s.Kind != labrpc.EventLost || s.Reason != "loss")
}

// closing is the reason of the crashes by which a network ends.
const closing = "network closed"

// heldUntil tells how long the message that step i held was held.
func (r *Run) heldUntil(i int) string {
	from := Seconds(r.Steps[i].At)
	for _, k := range r.order.follows[i] {
		if s := &r.Steps[k]; s.Kind == labrpc.EventReleased {
			return fmt.Sprintf(" from %s to %s", from, Seconds(s.At))
		}
	}
	return " from " + from + " until the end"
}

// heals returns for each link the steps that heal it, in order.
func (r *Run) heals() map[wire][]int {
	heals := map[wire][]int{}
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Kind == labrpc.EventHealed {
			w := wire{s.From, s.To}
			heals[w] = append(heals[w], i)
		}
	}
	return heals
}

// cutUntil tells how long the links were cut that were cut together by the steps up to last.
func (r *Run) cutUntil(wires []wire, last int, heals map[wire][]int) string {
	from, ends := Seconds(r.Steps[last].At), make([]time.Duration, len(wires))
	for i, w := range wires {
		k, _ := slices.BinarySearch(heals[w], last)
		if k == len(heals[w]) {
			return " at " + from
		}
		ends[i] = r.Steps[heals[w][k]].At
	}
	if end := slices.Max(ends); slices.Min(ends) < end {
		return fmt.Sprintf(" at %s, all of it healed by %s", from, Seconds(end))
	}
	if ends[0] == r.Steps[last].At {
		return " at " + from + " and healed at once"
	}
	return fmt.Sprintf(" from %s to %s", from, Seconds(ends[0]))
}

// sameLinks returns the links that are cut or healed together with step i, and the last of those steps.
func (r *Run) sameLinks(i int) ([]wire, int) {
	first := &r.Steps[i]
	var wires []wire
	for ; i < len(r.Steps) && r.Steps[i].Kind == first.Kind && r.Steps[i].At == first.At; i++ {
		wires = append(wires, wire{r.Steps[i].From, r.Steps[i].To})
	}
	return wires, i - 1
}

// sameNodes returns the nodes that crash, or whose clocks change, together with step i and in the same way, and the last of those steps.
func (r *Run) sameNodes(i int) ([]labrpc.NodeID, int) {
	first := &r.Steps[i]
	var nodes []labrpc.NodeID
	for ; i < len(r.Steps); i++ {
		s := &r.Steps[i]
		if s.Kind != first.Kind || s.At != first.At || s.Value != first.Value || s.Reason != first.Reason || slices.Contains(nodes, s.Node) {
			break
		}
		nodes = append(nodes, s.Node)
	}
	return nodes, i - 1
}

// clocksOf names the clocks of nodes: "n1's clock", "the clock of each of n1 n2".
func clocksOf(nodes []labrpc.NodeID) string {
	if len(nodes) == 1 {
		return fmt.Sprintf("%v's clock", nodes[0])
	}
	return "the clock of each of " + listNodes(nodes)
}

func listNodes(nodes []labrpc.NodeID) string { return strings.Trim(fmt.Sprint(nodes), "[]") }

// isFault reports whether a student should look twice at the step.
func (s *Step) isFault() bool {
	switch s.Kind {
	case labrpc.EventLost:
		return !strings.HasPrefix(s.Reason, "answered already")
	case labrpc.EventDuplicated, labrpc.EventAltered, labrpc.EventHeld, labrpc.EventCut,
		labrpc.EventCrashed, labrpc.EventStopped, labrpc.EventPaused, labrpc.EventClock:
		return true
	}
	return false
}
