package trace

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"distlabs/labrpc"
)

// The columns of the timeline: the time, a mark for faults, who.
const (
	minTimeWidth = len("1.204391s  ")
	whoWidth     = 4
)

// timeWidth is the width of the column of times, which are aligned at the point.
func timeWidth(until time.Duration) int {
	return max(minTimeWidth, len(seconds(until, 6)+"s  "))
}

// render writes the rows, with the times in width characters.
func render(b *strings.Builder, run *Run, rows []*row, width int) {
	arrows := arrowWidth(rows)
	for i, r := range rows {
		mark := " "
		switch {
		case r.folded != "":
			mark = "…"
		case r.faulty():
			mark = "!"
		}
		line := alignTime(timeOf(rows, i), width) + mark + " "
		if r.left {
			line = fmt.Sprintf("%*s… ", width, "")
		}
		if r.folded != "" {
			line += r.folded
		} else {
			who := "test"
			if r.who() != 0 {
				who = r.who().String()
			}
			line += fmt.Sprintf("%-*s ", whoWidth, who)
			line += r.what(run, arrows, maxWidth-utf8.RuneCountInString(line))
		}
		b.WriteString(strings.TrimRight(shorten(line, maxWidth), " ") + "\n")
	}
}

// alignTime pads a time on both sides, so that points stand below each other.
func alignTime(s string, width int) string {
	whole := width - len(".204391s  ")
	if point := strings.IndexByte(s, '.'); point >= 0 && point < whole {
		s = strings.Repeat(" ", whole-point) + s
	}
	return fmt.Sprintf("%-*s", width, s)
}

// timeOf writes a row's time: nothing if the row above has the same, with
// microseconds if a neighbour would look the same without.
func timeOf(rows []*row, i int) string {
	at := rows[i].at
	if i > 0 && !rows[i-1].left && rows[i-1].at == at {
		return ""
	}
	same := func(o time.Duration) bool { return o != at && o/time.Millisecond == at/time.Millisecond }
	if i > 0 && same(rows[i-1].at) {
		return seconds(at, 6) + "s"
	}
	for k := i + 1; k < len(rows); k++ {
		if rows[k].at != at {
			if same(rows[k].at) {
				return seconds(at, 6) + "s"
			}
			break
		}
	}
	return seconds(at, 3) + "s"
}

// faulty reports whether a student should look twice at the row.
func (r *row) faulty() bool {
	return r.fate != "" || r.after != "" || r.first.isFault()
}

// who is the lane of the row: for what happens on the wire, the sender's.
func (r *row) who() labrpc.NodeID {
	if r.first.Node == 0 && r.first.Msg != 0 {
		return r.first.From
	}
	return r.first.Node
}

// arrow writes the direction and the other end of a message: "→ n2 n3".
func (r *row) arrow() string {
	switch {
	case r.first.Msg == 0:
		return ""
	case r.first.Kind == labrpc.EventDelivered:
		return "← " + r.first.From.String()
	case len(r.to) > 0:
		return "→ " + nodeList(r.to, " ")
	}
	return "→ " + r.first.To.String()
}

// arrowWidth is the width of the column of arrows: wide rows may stand out of it.
func arrowWidth(rows []*row) int {
	width := 4
	for _, r := range rows {
		if r.folded == "" {
			if w := utf8.RuneCountInString(r.arrow()); w <= 13 {
				width = max(width, w)
			}
		}
	}
	return width
}

// what says what happened, in at most about width characters.
func (r *row) what(run *Run, arrows, width int) string {
	s := r.first
	if s.Msg == 0 {
		return r.deed()
	}
	head := fmt.Sprintf("%-*s  %s", arrows, r.arrow(), s.name())
	tail := r.tail(run)
	room := width - utf8.RuneCountInString(head) - utf8.RuneCountInString(tail)
	if r.answer == nil {
		return head + within(s.Body, min(maxBody, max(room, 8))) + tail
	}
	answer := goLike(r.answer.Body)
	ending := ""
	if r.after != "" {
		ending = "  " + r.after
	}
	room -= utf8.RuneCountInString(", answers "+ending) + utf8.RuneCountInString(answer)
	if room < maxBody/3 {
		// Both must give way: what is asked keeps a third, the answer gets the rest.
		room += utf8.RuneCountInString(answer)
		answer = within(r.answer.Body, max(room-maxBody/3, 8))
		room -= utf8.RuneCountInString(answer)
	}
	return head + within(s.Body, min(maxBody, max(room, 8))) + tail + ", answers " + answer + ending
}

// tail is what follows a message's body.
func (r *row) tail(run *Run) string {
	s := r.first
	switch s.Kind {
	case labrpc.EventSent:
		if r.fate == "" {
			return ""
		}
		return "  " + r.fate
	case labrpc.EventDelivered:
		words := "  after " + run.travelled(s)
		if s.Copy > 0 {
			words = "  a duplicate," + words[1:]
		}
		return words
	case labrpc.EventLost:
		if s.Partner < 0 {
			return "  " + fate(s.Reason)
		}
		return fmt.Sprintf("  %s, sent at %s", fate(s.Reason), Seconds(run.Steps[s.Partner].At))
	}
	return "  " + s.Word()
}

// travelled is how long a delivered message was under way.
func (r *Run) travelled(s *Step) string {
	if s.Partner < 0 {
		return "an unknown time"
	}
	d := s.At - r.Steps[s.Partner].At
	if d >= 10*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	if d >= time.Millisecond {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// deed says what happened that was no message.
func (r *row) deed() string {
	s := r.first
	value := printable(s.Value)
	switch s.Kind {
	case labrpc.EventStarted:
		if s.Inc > 1 {
			return fmt.Sprintf("starts again (start %d)", s.Inc)
		}
		return "starts"
	case labrpc.EventCrashed:
		return because("crashes", s.Reason)
	case labrpc.EventStopped:
		return "crashes for good"
	case labrpc.EventPaused:
		return "pauses for " + value
	case labrpc.EventResumed:
		return "goes on"
	case labrpc.EventCut:
		return "cuts " + describeLinks(r.wires)
	case labrpc.EventHealed:
		return "heals " + describeLinks(r.wires)
	case labrpc.EventNoted, labrpc.EventWrote:
		return strings.Join(r.parts, ", ")
	case labrpc.EventLogged:
		return "“" + value + "”"
	case labrpc.EventClock:
		return "clock " + value
	case labrpc.EventMarked:
		return "# " + value
	case KindCalled:
		return "calls " + value
	case KindReturned:
		return printable(r.parts[0]) + " returned " + value
	case KindTold:
		return "delivers " + value
	}
	return string(s.Kind)
}
