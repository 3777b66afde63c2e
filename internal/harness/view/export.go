package view

import (
	"fmt"
	"strings"
	"time"
	"unicode"

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
	case labrpc.EventMarked:
		text = "test: " + s.Value
	default:
		text = strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Kind, s.Value, s.Reason))
	}
	return oneLine(text)
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
