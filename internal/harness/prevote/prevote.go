// Package prevote tells Raft's pre-votes from its votes. A pre-vote (§9.6 of Ongaro's dissertation) promises nothing. One that has a method
// of its own is no RequestVote. Some systems, Kafka among them (KIP-996), send a RequestVote with one more field, which states that it is a pre-vote.
package prevote

import (
	"reflect"
	"strings"
	"sync"

	"distlabs/labrpc"
)

// In reports whether the body of a RequestVote states that it is a pre-vote: an exported bool, PreVote in upper or lower case, is true.
func In(body any) bool {
	v := reflect.ValueOf(body)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return false
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() == reflect.Bool && strings.EqualFold(f.Name, "PreVote") && v.Field(i).Bool() {
			return true
		}
	}
	return false
}

// Seen are the pre-votes that were sent as a RequestVote. Its methods may be called by several goroutines at once.
type Seen struct {
	mu    sync.Mutex
	asked map[uint64]bool // by the number of the message: a reply does not state itself that it replies to a pre-vote
}

// Watch sees every message of the network from now on.
func Watch(net *labrpc.Network) *Seen {
	s := &Seen{asked: map[uint64]bool{}}
	net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.Method == "RequestVote" && m.Kind == labrpc.Request && In(m.Body) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked[m.Msg] = true
		}
		return labrpc.Pass
	})
	return s
}

// Has reports whether the message is a pre-vote that was sent as a RequestVote, or the reply to one.
func (s *Seen) Has(m labrpc.Message) bool {
	if m.Method != "RequestVote" {
		return false
	}
	if m.Kind != labrpc.Reply {
		return In(m.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[m.ReplyTo]
}

// Lacks is the opposite of Has: what [labrpc.Network.HoldIf] needs to hold only votes.
func (s *Seen) Lacks(m labrpc.Message) bool { return !s.Has(m) }
