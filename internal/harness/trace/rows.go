package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/labrpc"
)

// A row of the timeline stands for one step, or for several of one instant that say one thing.
type row struct {
	at     time.Duration
	steps  []int
	first  *Step
	to     []labrpc.NodeID // of a send: all who were sent the same
	fate   string          // of a send: what became of it at once
	answer *Step           // of a delivered request: the reply, if it was sent at once
	after  string          // of that reply: what became of it at once
	parts  []string        // of notes and writes; of an operation that has returned: which one
	wires  []wire          // of cuts and heals
	repeat bool            // it says nothing new
	folded string          // of a row that fold made: what it stands for
	keep   bool            // it must be shown
	left   bool            // it counts steps that are not shown
}

// A gatherer joins steps into rows.
type gatherer struct {
	run    *Run
	chosen map[int]bool
	used   map[int]bool      // steps that an earlier row has told already
	open   map[string]*row   // the rows of this instant that further steps may join
	bodies map[string]string // the last body sent on each stream
	notes  map[string]string // the last value of each node's note
	calls  map[string]string // the operations of clients that have begun
	repeat map[uint64]bool   // messages that repeat the one before them
	rows   []*row
}

// gather makes rows of the chosen steps, in order.
func gather(run *Run, steps []int) []*row {
	g := &gatherer{
		run: run, chosen: map[int]bool{}, used: map[int]bool{}, open: map[string]*row{},
		bodies: map[string]string{}, notes: map[string]string{}, calls: map[string]string{}, repeat: map[uint64]bool{},
	}
	for _, i := range steps {
		g.chosen[i] = true
	}
	var at time.Duration
	for i := range run.Steps {
		s := &run.Steps[i]
		if s.At != at {
			clear(g.open)
			at = s.At
		}
		g.add(i)
	}
	return g.rows
}

// add takes in one step. Steps that are not chosen only bring what is known up to date.
func (g *gatherer) add(i int) {
	s := &g.run.Steps[i]
	repeat := g.learn(s)
	if s.Kind == KindCalled {
		g.calls[callKey(s)] = s.Value
	}
	if !g.chosen[i] || g.used[i] {
		if s.Kind == labrpc.EventNoted {
			g.notes[noteKey(s)] = s.Value
		}
		return
	}
	switch s.Kind {
	case labrpc.EventSent:
		g.addSend(i, repeat)
	case labrpc.EventNoted:
		key := noteKey(s)
		old, known := g.notes[key]
		g.notes[key] = s.Value
		part := printable(s.Name) + " " + printable(s.Value)
		if known && old != s.Value {
			part = fmt.Sprintf("%s %s → %s", printable(s.Name), printable(old), printable(s.Value))
		}
		g.addDeed(i, part, known && old == s.Value)
	case labrpc.EventWrote:
		part := "writes " + printable(s.Name)
		if s.Value == "deleted" {
			part = "deletes " + printable(s.Name)
		}
		g.addDeed(i, part, false)
	case labrpc.EventCut, labrpc.EventHealed:
		r := g.join(string(s.Kind), i)
		r.wires = append(r.wires, wire{s.From, s.To})
	default:
		r := g.newRow(i)
		r.repeat = repeat
		if s.Kind == KindReturned {
			r.parts = []string{cmp.Or(g.calls[callKey(s)], s.Name)}
		}
		if s.Kind == labrpc.EventDelivered {
			g.open[fmt.Sprint("delivered to ", s.Node)] = r
			// What the node does from now on is done with the message in hand.
			delete(g.open, fmt.Sprint("deeds ", s.Node, false))
			if s.Message == labrpc.Request {
				g.open[fmt.Sprint("request ", s.Msg)] = r
			}
		}
	}
}

// addDeed adds a note or a write to its node's row of this instant. A message that made the
// node do something new is worth a row, even if it says the same as the one before it.
func (g *gatherer) addDeed(i int, part string, repeat bool) {
	s := &g.run.Steps[i]
	r := g.join(fmt.Sprint("deeds ", s.Node, repeat), i)
	r.repeat = repeat
	if !slices.Contains(r.parts, part) {
		r.parts = append(r.parts, part)
	}
	if cause := g.open[fmt.Sprint("delivered to ", s.Node)]; cause != nil && !repeat {
		cause.repeat = false
	}
}

// noteKey names a note. A new incarnation notes everything again.
func noteKey(s *Step) string { return fmt.Sprint(s.Node, " ", s.Inc, " ", s.Name) }

// callKey names an operation of a client.
func callKey(s *Step) string { return fmt.Sprint(s.Node, " ", s.Name) }

// learn reports whether the step speaks of a message that says the same as the one before it on its
// link, of its method and kind.
func (g *gatherer) learn(s *Step) bool {
	if s.Kind == labrpc.EventSent {
		key := fmt.Sprint(s.From, s.To, s.Message, s.Method)
		old, known := g.bodies[key]
		g.bodies[key] = s.Body
		g.repeat[s.Msg] = known && old == s.Body
	}
	switch s.Kind {
	case labrpc.EventSent, labrpc.EventDelivered, labrpc.EventLost, labrpc.EventDuplicated:
		return g.repeat[s.Msg]
	}
	return false
}

// addSend adds a send with what became of it at once: to the row of the request that it
// answers, to a row that sends the same to others, or as a new row.
func (g *gatherer) addSend(i int, repeat bool) {
	s := &g.run.Steps[i]
	ends, used := g.atOnce(i)
	for _, k := range used {
		g.used[k] = true
	}
	if request := g.open[fmt.Sprint("request ", s.ReplyTo)]; s.ReplyTo != 0 && request != nil && request.first.Node == s.From {
		r := g.addAnswer(request, s, ends)
		r.repeat = r.repeat && repeat
		r.steps = append(append(r.steps, i), used...)
		delete(g.open, fmt.Sprint("request ", s.ReplyTo))
		return
	}
	key := fmt.Sprintln("sent", s.From, s.Method, s.Message, s.Body, ends, repeat)
	r := g.join(key, i)
	r.to = addNode(r.to, s.To)
	r.fate, r.repeat = ends, repeat
	r.steps = append(r.steps, used...)
}

// addAnswer adds a reply to the row of its request, or to the row of what the node
// did in between, so that a reader sees the true order. It returns that row.
func (g *gatherer) addAnswer(request *row, reply *Step, ends string) *row {
	r := g.open[fmt.Sprint("deeds ", reply.From, false)]
	if r == nil {
		request.answer, request.after = reply, ends
		return request
	}
	part := fmt.Sprintf("answers %v %s", reply.To, within(reply.Body, maxBody))
	if ends != "" {
		r.after = ends
		part += "  " + ends
	}
	r.parts = append(r.parts, part)
	return r
}

// atOnce tells what became of a message at the instant of its sending, and in which steps.
func (g *gatherer) atOnce(i int) (fates string, used []int) {
	sent := &g.run.Steps[i]
	var words []string
	for k := i + 1; k < len(g.run.Steps); k++ {
		s := &g.run.Steps[k]
		if s.At != sent.At || s.Msg != sent.Msg {
			break // what becomes of it at once follows at once
		}
		switch s.Kind {
		case labrpc.EventLost:
			words = append(words, fate(s.Reason))
		case labrpc.EventHeld:
			words = append(words, "held back")
		case labrpc.EventDuplicated:
			words = append(words, "duplicated")
		case labrpc.EventAltered:
			words = append(words, "altered to "+within(s.Body, maxBody/2))
		default:
			return strings.Join(words, ", "), used
		}
		used = append(used, k)
	}
	return strings.Join(words, ", "), used
}

// join returns this instant's row under the key, or a new one, and adds the step to it.
func (g *gatherer) join(key string, i int) *row {
	if r := g.open[key]; r != nil {
		r.steps = append(r.steps, i)
		return r
	}
	r := g.newRow(i)
	g.open[key] = r
	return r
}

func (g *gatherer) newRow(i int) *row {
	s := &g.run.Steps[i]
	r := &row{at: s.At, steps: []int{i}, first: s}
	g.rows = append(g.rows, r)
	return r
}

// fold joins neighbouring rows that repeat what was said before.
func fold(run *Run, rows []*row) []*row {
	var out []*row
	for i := 0; i < len(rows); {
		end := i
		for end < len(rows) && rows[end].repeat {
			end++
		}
		folded := &row{at: rows[i].at, first: rows[i].first}
		for _, r := range rows[i:end] {
			folded.steps = append(folded.steps, r.steps...)
		}
		folded.folded = describeFolded(run, folded.steps)
		switch {
		case end > i && folded.folded == "":
			// Only notes that change nothing.
		case end-i < 2:
			out = append(out, rows[i])
			end = i + 1
		default:
			out = append(out, folded)
		}
		i = end
	}
	return out
}

// describeFolded counts repeated messages by name: "14 × AppendEntries n1→n2 n3 (2 lost)", or "" where there are none.
func describeFolded(run *Run, steps []int) string {
	type group struct {
		name     string
		msgs     map[uint64]bool
		from, to []labrpc.NodeID
		lost     int
	}
	groups := map[string]*group{}
	var order []*group
	for _, i := range steps {
		s := &run.Steps[i]
		if s.Msg == 0 {
			continue
		}
		g := groups[s.name()]
		if g == nil {
			g = &group{name: s.name(), msgs: map[uint64]bool{}}
			groups[s.name()] = g
			order = append(order, g)
		}
		g.msgs[s.Msg] = true
		g.from, g.to = addNode(g.from, s.From), addNode(g.to, s.To)
		if s.Kind == labrpc.EventLost {
			g.lost++
		}
	}
	slices.SortStableFunc(order, func(a, b *group) int { return cmp.Compare(len(b.msgs), len(a.msgs)) })
	var parts []string
	for _, g := range order {
		ends := nodeList(g.from, " ") + "→" + nodeList(g.to, " ")
		if len(g.from) > 1 && slices.Equal(g.from, g.to) {
			ends = "among " + nodeList(g.from, " ")
		}
		part := fmt.Sprintf("%d × %s %s", len(g.msgs), g.name, ends)
		if g.lost > 0 {
			part += fmt.Sprintf(" (%d lost)", g.lost)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
