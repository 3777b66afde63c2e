package view

import (
	"strings"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// streamKey names the messages of which each is compared with the one before it.
type streamKey struct {
	from, to labrpc.NodeID
	kind     labrpc.MessageKind
	method   string
}

// A nodeInstant is what one node did at one instant.
type nodeInstant struct {
	node labrpc.NodeID
	at   int64
}

// findRoutine tells for each step whether a reader may skip it: a heartbeat that says what the last one said and
// moves nobody, a note that changes nothing.
//
// A request and its reply are routine together or not at all, and a message that
// met a fault of its own never is; one that was lost to a cut or to a dead node is no news
// beside the cut or the crash.
func findRoutine(run *trace.Run) []bool {
	r := &routine{
		run: run, same: make([]bool, len(run.Steps)), routineMsgs: map[uint64]bool{},
		changedAt: map[nodeInstant]bool{}, partner: map[uint64]uint64{}, named: namesOf(run).Keep,
	}
	r.compare()
	r.judge()
	out := make([]bool, len(run.Steps))
	for i := range run.Steps {
		out[i] = r.of(i)
	}
	return out
}

type routine struct {
	run         *trace.Run
	same        []bool               // notes, logs: they say what the last one said
	routineMsgs map[uint64]bool      // messages that nobody need see
	changedAt   map[nodeInstant]bool // somebody did something new then
	partner     map[uint64]uint64    // of a request its reply
	named       []bool               // steps that the failure names: never routine
}

// compare finds what repeats, and when there was news.
func (r *routine) compare() {
	bodies, values := map[streamKey]string{}, map[string]string{}
	for i := range r.run.Steps {
		s := &r.run.Steps[i]
		now := nodeInstant{s.Node, int64(s.At)}
		switch s.Kind {
		case labrpc.EventSent:
			key := streamKey{s.From, s.To, s.Message, s.Method}
			old, known := bodies[key]
			bodies[key] = s.Body
			r.routineMsgs[s.Msg] = known && old == s.Body
			if s.ReplyTo != 0 {
				r.partner[s.ReplyTo] = s.Msg
			}
			if !r.routineMsgs[s.Msg] && s.Message != labrpc.Reply {
				r.changedAt[now] = true
			}
		case labrpc.EventNoted, labrpc.EventLogged:
			key := strings.Join([]string{s.Node.String(), string(s.Kind), s.Name}, "\x00")
			old, known := values[key]
			values[key] = s.Value
			r.same[i] = known && old == s.Value
			if !r.same[i] {
				r.changedAt[now] = true
			}
		case trace.KindCalled, trace.KindReturned, trace.KindTold:
			r.changedAt[now] = true
		case labrpc.EventStarted:
			for _, kind := range []labrpc.EventKind{labrpc.EventNoted, labrpc.EventLogged} {
				forget(values, s.Node.String()+"\x00"+string(kind)+"\x00")
			}
		}
	}
}

// forget drops what an earlier incarnation noted: the next one notes everything again.
func forget(values map[string]string, prefix string) {
	for key := range values {
		if strings.HasPrefix(key, prefix) {
			delete(values, key)
		}
	}
}

// judge takes back what is routineMsgs of messages that moved somebody or met a fault, and
// of their requests or replies.
func (r *routine) judge() {
	for i := range r.run.Steps {
		s := &r.run.Steps[i]
		if r.isNamed(i) {
			r.routineMsgs[s.Msg] = false
		}
		switch s.Kind {
		case labrpc.EventDelivered:
			if r.changedAt[nodeInstant{s.Node, int64(s.At)}] {
				r.routineMsgs[s.Msg] = false
			}
		case labrpc.EventLost:
			if s.Reason == "loss" || s.Reason == "dropped by the test" {
				r.routineMsgs[s.Msg] = false
			}
		case labrpc.EventDuplicated, labrpc.EventHeld, labrpc.EventAltered:
			r.routineMsgs[s.Msg] = false
		}
	}
	for request, reply := range r.partner {
		both := r.routineMsgs[request] && r.routineMsgs[reply]
		r.routineMsgs[request], r.routineMsgs[reply] = both, both
	}
}

// isNamed reports whether the failure names the step.
func (r *routine) isNamed(i int) bool { return i < len(r.named) && r.named[i] }

// of judges one step.
func (r *routine) of(i int) bool {
	s := &r.run.Steps[i]
	if r.isNamed(i) {
		return false
	}
	switch s.Kind {
	case trace.KindSeen:
		return true // the table of states shows it
	case labrpc.EventNoted, labrpc.EventLogged:
		return r.same[i]
	case labrpc.EventWrote:
		return !r.changedAt[nodeInstant{s.Node, int64(s.At)}] && r.answersDull(i)
	}
	return s.Msg != 0 && r.routineMsgs[s.Msg]
}

// answersDull reports whether the node did this because of a routine message.
func (r *routine) answersDull(i int) bool {
	s := &r.run.Steps[i]
	for k := i - 1; k >= 0 && r.run.Steps[k].At == s.At; k-- {
		if before := &r.run.Steps[k]; before.Node == s.Node && before.Kind == labrpc.EventDelivered {
			return r.routineMsgs[before.Msg]
		}
	}
	return false
}
