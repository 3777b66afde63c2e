package view

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// sentence says what happened in a step, in one line without control characters.
func sentence(s *trace.Step) string {
	name := s.Method
	if s.Message == labrpc.Reply {
		name += " reply"
	}
	body := ""
	if s.Body != "" {
		body = " " + s.Body
	}
	text := ""
	switch s.Kind {
	case labrpc.EventSent:
		text = fmt.Sprintf("sent %s to %v%s", name, s.To, body)
	case labrpc.EventDelivered:
		text = fmt.Sprintf("received %s from %v%s", name, s.From, body)
		if s.Copy > 0 {
			text = "duplicate: " + text
		}
	case labrpc.EventLost:
		text = fmt.Sprintf("%s %v→%v lost (%s)", name, s.From, s.To, s.Reason)
	case labrpc.EventDuplicated, labrpc.EventHeld, labrpc.EventReleased, labrpc.EventAltered:
		text = fmt.Sprintf("%s %v→%v %s", name, s.From, s.To, s.Kind)
	case labrpc.EventCut, labrpc.EventHealed:
		text = fmt.Sprintf("%v→%v %s", s.From, s.To, s.Kind)
	case labrpc.EventNoted:
		text = s.Name + " = " + s.Value
	case labrpc.EventWrote:
		text = "wrote " + s.Name
		if s.Value == "deleted" {
			text = "deleted " + s.Name
		}
	case labrpc.EventLogged:
		text = "log: " + s.Value
	case trace.KindCalled:
		text = "called " + s.Value
	case trace.KindReturned:
		text = "returned " + s.Value
	case trace.KindTold:
		text = "delivered " + s.Value + " to the application"
	case trace.KindSeen:
		text = "the test saw " + s.Name + " = " + s.Value
	case labrpc.EventMarked:
		text = "test: " + s.Value
	default:
		text = strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Kind, s.Value, s.Reason))
	}
	return oneLine(text)
}

// violationLine says in one line what broke, and which rule.
func violationLine(f *report.Failure) string {
	switch {
	case f == nil || f.What == "":
		return "✗ a rule was broken here"
	case f.Rule == "":
		return "✗ " + oneLine(f.What)
	}
	return fmt.Sprintf("✗ %s (%s)", oneLine(f.What), oneLine(f.Rule))
}

// violationStep is the step at a node that a run's failure is about: the one that it names, or the last before it; -1 if the run passed.
func violationStep(run *trace.Run) int {
	_, broke := failureOf(run)
	if broke == nil {
		return -1
	}
	if k := namesOf(run).Key; k >= 0 && run.Steps[k].Node != 0 {
		return k
	}
	last := -1
	for i := range run.Steps {
		if s := &run.Steps[i]; s.Node != 0 && s.At <= *broke && !closing(s) {
			last = i
		}
	}
	return last
}

// oneLine escapes what could break a line or hide text.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// micros is a time in the microseconds that Chrome's traces count in.
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
