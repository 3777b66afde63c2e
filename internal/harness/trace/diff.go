package trace

import (
	"fmt"
	"strings"
	"time"

	"distlabs/labrpc"
)

// A Difference is the first step at which two runs part.
type Difference struct {
	Step  int           // its index in both runs
	At    time.Duration // when, in the run where it came first
	One   string        // what happened in the one run: "n3 sent RequestVote to n1"; "" if it had ended
	Other string        // what happened in the other
}

// String is one sentence: "step 412 at 1.204s: n3 sent RequestVote to n1 in one run, n3 sent AppendEntries to n1 in
// the other". It counts steps from 1, as a person does.
func (d Difference) String() string {
	where := fmt.Sprintf("step %d at %s: ", d.Step+1, Seconds(d.At))
	switch {
	case d.One == "":
		return where + "one run has ended; in the other " + d.Other
	case d.Other == "":
		return where + d.One + " in one run; the other has ended"
	}
	return where + d.One + " in one run, " + d.Other + " in the other"
}

// Diff returns the first step at which two runs differ, and whether they do. Source lines and what follows
// from the rest (vectors, partners) are not compared.
func Diff(a, b *Run) (Difference, bool) {
	for i := range max(len(a.Steps), len(b.Steps)) {
		switch {
		case i >= len(a.Steps):
			s := &b.Steps[i]
			return Difference{Step: i, At: s.At, Other: s.sentence()}, true
		case i >= len(b.Steps):
			s := &a.Steps[i]
			return Difference{Step: i, At: s.At, One: s.sentence()}, true
		case a.Steps[i].comparison() != b.Steps[i].comparison():
			x, y := &a.Steps[i], &b.Steps[i]
			d := Difference{Step: i, At: min(x.At, y.At)}
			d.One, d.Other = describeDifference(x, y)
			return d, true
		}
	}
	return Difference{}, false
}

// comparison is what of a step Diff compares.
type comparison struct {
	event     labrpc.Event // without Body, which may be no type that == takes
	typ, body string
}

func (s *Step) comparison() comparison {
	e := comparison{event: s.Event, typ: s.Type, body: s.Body}
	e.event.Seq, e.event.Source, e.event.Body = 0, "", nil
	return e
}

// describeDifference describes two different steps so that the descriptions differ, and
// no longer than that needs: first what happened, then the time, then the
// content of the message, then its numbers.
func describeDifference(x, y *Step) (one, other string) {
	one, other = x.sentence(), y.sentence()
	switch {
	case one != other:
		if a, b := shorten(one, maxSentence), shorten(other, maxSentence); a != b {
			return a, b
		}
		p, q := differingText(one, other)
		return shorten(one, maxSentence) + " (with " + p + ")", "the same with " + q
	case x.At != y.At:
		return fmt.Sprintf("%s at %ss", one, seconds(x.At, 6)), fmt.Sprintf("at %ss", seconds(y.At, 6))
	case x.Body != y.Body:
		p, q := differingText(goLike(x.Body), goLike(y.Body))
		return one + " with " + p, "with " + q
	case x.Value != y.Value:
		p, q := differingText(printable(x.Value), printable(y.Value))
		return one + " with " + p, "with " + q
	case x.Type != y.Type:
		return one + " as " + printable(x.Type), "as " + printable(y.Type)
	}
	return one + " as " + x.numbers(), "as " + y.numbers()
}

const maxSentence = 160

// numbers are what else two steps can differ in.
func (s *Step) numbers() string {
	return fmt.Sprintf("message %d, #%d of its link, copy %d, reply to %d, incarnation %d",
		s.Msg, s.Number, s.Copy, s.ReplyTo, s.Inc)
}

// differingText cuts from two different texts the word where they diverge: "Term:3" and "Term:4". The two results differ.
func differingText(p, q string) (string, string) {
	at := 0
	for at < len(p) && at < len(q) && p[at] == q[at] {
		at++
	}
	start := strings.LastIndexAny(p[:at], " {[") + 1
	const most = 60
	if at-start > most/2 { // a long word: what is around the difference
		start = at - most/2
	}
	cut := func(s string) string {
		end := len(s)
		if next := strings.IndexAny(s[at:], " }]"); next >= 0 {
			end = at + next
		}
		s = strings.ToValidUTF8(s[start:min(end, start+most)], "")
		if s == "" {
			return "less"
		}
		return s
	}
	one, other := cut(p), cut(q)
	if one == other { // they differ in what separates words, or in half a character
		return fmt.Sprintf("%.40q", p[at:]), fmt.Sprintf("%.40q", q[at:])
	}
	return one, other
}

// sentence says what happened, without the time: "n3 sent RequestVote to n1".
func (s *Step) sentence() string {
	who, msg := s.Node.String(), s.name()
	value := printable(s.Value)
	switch s.Kind {
	case labrpc.EventSent:
		return fmt.Sprintf("%v sent %s to %v", s.From, msg, s.To)
	case labrpc.EventDelivered:
		if s.Copy > 0 {
			msg = "a duplicate of " + msg
		}
		return fmt.Sprintf("%v received %s from %v", s.To, msg, s.From)
	case labrpc.EventLost:
		return fmt.Sprintf("%s from %v to %v was %s", msg, s.From, s.To, fate(s.Reason))
	case labrpc.EventDuplicated, labrpc.EventHeld, labrpc.EventReleased, labrpc.EventAltered:
		return fmt.Sprintf("%s from %v to %v was %s", msg, s.From, s.To, s.Kind)
	case labrpc.EventCut, labrpc.EventHealed:
		return fmt.Sprintf("the link %v→%v was %s", s.From, s.To, s.Kind)
	case labrpc.EventNoted:
		return fmt.Sprintf("%s noted %s = %s", who, printable(s.Name), value)
	case labrpc.EventLogged:
		return fmt.Sprintf("%s logged %q", who, value)
	case labrpc.EventWrote:
		return because(fmt.Sprintf("%s wrote %s", who, printable(s.Name)), s.Value)
	case labrpc.EventClock:
		return fmt.Sprintf("the clock of %s: %s", who, value)
	case labrpc.EventPaused:
		return fmt.Sprintf("%s paused for %s", who, value)
	case labrpc.EventMarked:
		return fmt.Sprintf("the test remarked %q", value)
	}
	return because(fmt.Sprintf("%s %s", who, s.Kind), s.Reason)
}
