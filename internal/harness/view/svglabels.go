package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// label writes what a row says: cuts and remarks across all lanes, the rest beside its node's lane.
func (p *picture) label(row *pictureRow) {
	links := map[labrpc.EventKind]bool{}
	for _, i := range row.steps {
		s := &p.run.Steps[i]
		switch s.Kind {
		case labrpc.EventCut, labrpc.EventHealed:
			if !links[s.Kind] {
				links[s.Kind] = true
				row.full = append(row.full, p.cutLabel(s))
			}
		case labrpc.EventMarked:
			row.full = append(row.full, pictureLabel{text: "test: " + oneLine(s.Value), class: "quiet"})
		default:
			if l, ok := stepLabel(p.run, s); ok {
				row.items = addLabel(row.items, l)
			}
		}
	}
	lines := map[labrpc.NodeID]int{}
	for k := range row.items {
		item := &row.items[k]
		if item.class == "in" {
			item.class = fmt.Sprintf("in t%d", p.kinds[item.method])
		}
		item.line = lines[item.node]
		lines[item.node]++
	}
	for k := range row.items {
		item := &row.items[k]
		until := float64(p.opts.Width)
		for other := range lines {
			if other > item.node {
				until = min(until, p.x(other))
			}
		}
		item.text = sayBody(item.text, item.body, min(until-p.x(item.node)-item.indent()-6, 400))
	}
}

// addLabel adds a label, to the last one of its node where both are notes.
func addLabel(items []pictureLabel, l pictureLabel) []pictureLabel {
	if slices.Contains(items, l) {
		return items // it wrote the same record again
	}
	if n := len(items); n > 0 && items[n-1].node == l.node && items[n-1].class == l.class && (l.class == "note" || l.class == "quiet") {
		if items[n-1].text != l.text {
			items[n-1].text += "  " + l.text
		}
		return items
	}
	return append(items, l)
}

// stepLabel is what is written at a node for a step, if anything is.
func stepLabel(run *trace.Run, s *trace.Step) (pictureLabel, bool) {
	name := oneLine(s.Method) + " "
	if s.Message == labrpc.Reply {
		name = "↩ " + name
	}
	l := pictureLabel{node: s.Node}
	switch s.Kind {
	case labrpc.EventDelivered:
		l.class, l.body, l.method = "in", s.Body, s.Method
		l.text = strings.TrimSuffix(name, " ")
		if s.Copy > 0 {
			l.text, l.class = "duplicate: "+l.text, "bad"
		}
	case labrpc.EventLost:
		l.node, l.class = s.To, "bad"
		if s.Partner >= 0 && run.Steps[s.Partner].At == s.At {
			l.node = s.From
		}
		l.text = fmt.Sprintf("✕ %s%v→%v (%s)", name, s.From, s.To, oneLine(s.Reason))
		if l.node == s.From { // its send has no label
			l.text, l.body, l.right = l.text+" ", s.Body, s.To > s.From
		}
	case labrpc.EventHeld, labrpc.EventAltered:
		l.node, l.class = s.From, "bad"
		l.text = fmt.Sprintf("%s%v→%v %s", name, s.From, s.To, s.Word())
	case trace.KindCalled:
		l.text = "▷ " + oneLine(s.Value)
	case trace.KindReturned:
		l.text = "◁ " + oneLine(s.Value)
	case trace.KindTold:
		l.text, l.class = "⇧ delivers "+oneLine(s.Value), "good"
	case labrpc.EventNoted:
		l.text, l.class = oneLine(s.Name+" "+s.Value), "note"
	case labrpc.EventLogged:
		l.text, l.class = "“"+oneLine(s.Value)+"”", "quiet"
	case labrpc.EventWrote:
		l.text, l.class = "✎ "+oneLine(s.Name), "quiet"
	case labrpc.EventCrashed, labrpc.EventStopped, labrpc.EventPaused, labrpc.EventClock:
		l.text, l.class = sentence(s), "bad"
	case labrpc.EventStarted:
		l.text, l.class = "starts", "quiet"
		if s.Inc > 1 {
			l.text, l.class = "restarts", "good"
		}
	case labrpc.EventResumed:
		l.text, l.class = "goes on", "good"
	default:
		return l, false
	}
	return l, true
}

// sayBody is a message's name with its body, in so many pixels. Where that is too long, what is empty or zero goes first.
func sayBody(name, body string, width float64) string {
	if body == "" {
		return cutTo(strings.TrimSpace(name), width)
	}
	text := ""
	for _, leave := range [][]string{nil, {"nil", `""`, "[]"}, {"nil", `""`, "[]", "0"}} {
		text = name + oneLine(trace.Body(body, leave...))
		if cutTo(text, width) == text {
			break
		}
	}
	return cutTo(text, width)
}

// A cutEpoch is a time in which the same links were cut.
type cutEpoch struct {
	from, to time.Duration
	cut      map[[2]labrpc.NodeID]bool
}

// epochs returns the times between the changes of the links.
func (p *picture) epochs() []cutEpoch {
	var out []cutEpoch
	now := cutEpoch{cut: map[[2]labrpc.NodeID]bool{}}
	for i := range p.run.Steps {
		s := &p.run.Steps[i]
		if s.Kind != labrpc.EventCut && s.Kind != labrpc.EventHealed {
			continue
		}
		if s.At != now.from {
			now.to = s.At
			out = append(out, now)
			next := cutEpoch{from: s.At, cut: map[[2]labrpc.NodeID]bool{}}
			for link := range now.cut {
				next.cut[link] = true
			}
			now = next
		}
		if s.Kind == labrpc.EventCut {
			now.cut[[2]labrpc.NodeID{s.From, s.To}] = true
		} else {
			delete(now.cut, [2]labrpc.NodeID{s.From, s.To})
		}
	}
	now.to = p.opts.To
	return append(out, now)
}

// groups are the nodes that can talk in both directions, the largest group first.
func (p *picture) groups(e cutEpoch) [][]labrpc.NodeID {
	var out [][]labrpc.NodeID
	seen := map[labrpc.NodeID]bool{}
	for n := 1; n <= p.run.Header.Nodes; n++ {
		start := labrpc.NodeID(n)
		if seen[start] {
			continue
		}
		seen[start] = true
		group := []labrpc.NodeID{start}
		for k := 0; k < len(group); k++ {
			for m := 1; m <= p.run.Header.Nodes; m++ {
				a, b := group[k], labrpc.NodeID(m)
				if !seen[b] && !e.cut[[2]labrpc.NodeID{a, b}] && !e.cut[[2]labrpc.NodeID{b, a}] {
					seen[b] = true
					group = append(group, b)
				}
			}
		}
		slices.Sort(group)
		out = append(out, group)
	}
	slices.SortStableFunc(out, func(a, b []labrpc.NodeID) int { return len(b) - len(a) })
	return out
}

// cutLabel says what is cut from a step on.
func (p *picture) cutLabel(s *trace.Step) pictureLabel {
	for _, e := range p.epochs() {
		if e.from != s.At {
			continue
		}
		groups := p.groups(e)
		switch {
		case len(e.cut) == 0:
			return pictureLabel{text: "all links healed", class: "good"}
		case len(groups) > 1:
			var parts []string
			for _, g := range groups {
				parts = append(parts, strings.Trim(fmt.Sprint(g), "[]"))
			}
			return pictureLabel{text: "partition: " + strings.Join(parts, " | "), class: "bad"}
		case len(e.cut) > 1:
			return pictureLabel{text: fmt.Sprintf("%s, %d links are cut", sentence(s), len(e.cut)), class: "bad"}
		}
	}
	return pictureLabel{text: sentence(s), class: "bad"}
}

// drawBands shades the lanes of the nodes that a partition separates from the largest group.
func (p *picture) drawBands() {
	for _, e := range p.epochs() {
		top, bottom := p.at(e.from), p.at(e.to)
		if len(e.cut) == 0 || bottom <= top {
			continue
		}
		for _, group := range p.groups(e)[1:] {
			for _, id := range group {
				if _, drawn := p.place[id]; !drawn {
					continue
				}
				p.banded = true
				p.add(`<rect class="band" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, p.x(id)-8, top, p.lane-3, bottom-top)
			}
		}
	}
}
