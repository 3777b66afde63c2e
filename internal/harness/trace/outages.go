package trace

import (
	"time"

	"distlabs/labrpc"
)

// An Outage is a time in which a node was down or paused, or in which links were cut.
type Outage struct {
	Node     labrpc.NodeID // 0 for links
	From, To time.Duration
	Text     string
}

// Outages returns the outages of a run, by their beginnings. One that does not end lasts until the last step.
func (r *Run) Outages() (out []Outage) {
	down := map[labrpc.NodeID]int{} // of out, plus one
	links, cut := 0, map[wire]bool{}
	end := time.Duration(0)
	if n := len(r.Steps); n > 0 {
		end = r.Steps[n-1].At
	}
	finish := func(k int, at time.Duration) {
		if k > 0 {
			out[k-1].To = at
		}
	}
	for i := 0; i < len(r.Steps); i++ {
		s := &r.Steps[i]
		switch s.Kind {
		case labrpc.EventCrashed, labrpc.EventStopped, labrpc.EventPaused:
			if s.ends() {
				continue
			}
			finish(down[s.Node], s.At)
			out = append(out, Outage{Node: s.Node, From: s.At, To: end, Text: string(s.Kind)})
			down[s.Node] = len(out)
		case labrpc.EventStarted, labrpc.EventResumed:
			finish(down[s.Node], s.At)
			down[s.Node] = 0
		case labrpc.EventCut, labrpc.EventHealed:
			for ; i < len(r.Steps) && r.Steps[i].At == s.At && (r.Steps[i].Kind == labrpc.EventCut || r.Steps[i].Kind == labrpc.EventHealed); i++ {
				w := wire{r.Steps[i].From, r.Steps[i].To}
				if r.Steps[i].Kind == labrpc.EventCut {
					cut[w] = true
				} else {
					delete(cut, w)
				}
			}
			i--
			finish(links, s.At)
			links = 0
			if len(cut) > 0 {
				var wires []wire
				for w := range cut {
					wires = append(wires, w)
				}
				out = append(out, Outage{From: s.At, To: end, Text: "cut " + describeLinks(wires)})
				links = len(out)
			}
		}
	}
	return out
}
