package election_test

import (
	"slices"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// Three servers, and any order of events: messages arrive late, never or twice, timers fire meanwhile, a server crashes
// between any two events or in the middle of a write. At every step the cluster checks rules 9 to 13.
func TestAnySchedule4C(t *testing.T) {
	const (
		contested = "two servers were candidates in one term"
		crashed   = "a server crashed"
	)
	space := labtest.SearchSpace{
		Nodes: 3, Depth: 30, Losses: 1, Copies: 1, Crashes: 2,
		Strategy: labtest.Random, MustCover: []string{contested, crashed}, // docs/exploring.md has the measurement
	}
	labtest.Explore(t, space, func(s *labtest.Sim) labtest.Scenario {
		c := newCluster(s)
		terms := newTermCheck(c)
		s.Always(func() *labtest.Violation {
			for _, id := range c.up() {
				st := c.state(id)
				if v := terms.check(id, st); v != nil {
					return v
				}
				if st.Role == Candidate && c.voteOf(id, st.Term) == id && c.candidatesIn(st.Term) > 1 {
					s.Cover(contested)
				}
			}
			return nil
		})
		return labtest.Scenario{
			Start: func(node *labrpc.Node) {
				if c.boot(node) {
					s.Cover(crashed)
				}
				terms.forget(node.ID())
			},
			State: func(see func(...int)) {
				for _, id := range s.Net.Nodes() {
					st := c.state(id)
					see(st.Term, int(st.Role), int(st.Leader))
				}
			},
			Puzzles: electionPuzzles(c),
			OnDelivery: func(m labtest.Arrival) {
				if b, ok := m.Body.(VoteRequest); ok {
					terms.arrives(m.From, m.To, b.Term)
				}
			},
		}
	})
}

// A termCheck checks that a server which has replied to a request has adopted the request's term (rule 11). Before its reply it need not: a server
// may handle its requests at its next tick, or together with one write. One that has known a leader since a RequestVote arrived may have
// ignored it (rule 10).
type termCheck struct {
	c       *cluster
	sent    map[uint64]int       // the term of each request, by the number of the message
	led     map[voteRequest]bool // of each RequestVote that has arrived: whether its receiver has known a leader since
	replied []voteRequest        // since the last check
	due     map[labrpc.NodeID]int
}

type voteRequest struct {
	from, to labrpc.NodeID
	term     int
}

func newTermCheck(c *cluster) *termCheck {
	k := &termCheck{c: c, sent: map[uint64]int{}, led: map[voteRequest]bool{}, due: map[labrpc.NodeID]int{}}
	c.s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.Method != "RequestVote" && m.Method != "AppendEntries" || c.preVotes.Has(*m) {
			return labrpc.Pass
		}
		switch b := m.Body.(type) {
		case VoteRequest:
			k.sent[m.Msg] = b.Term
		case AppendRequest:
			k.sent[m.Msg] = b.Term
		case VoteReply:
			k.replied = append(k.replied, voteRequest{m.To, m.From, k.sent[m.ReplyTo]})
		case AppendReply:
			k.due[m.From] = max(k.due[m.From], k.sent[m.ReplyTo])
			if b.Success {
				k.knowsLeader(m.From)
			}
		}
		return labrpc.Pass
	})
	return k
}

// arrives is called when a RequestVote, which may be a pre-vote, is about to arrive.
func (k *termCheck) arrives(from, to labrpc.NodeID, term int) {
	r := voteRequest{from, to, term}
	k.led[r] = k.led[r] || k.c.state(to).Leader != 0
}

func (k *termCheck) knowsLeader(id labrpc.NodeID) {
	for r := range k.led {
		if r.to == id {
			k.led[r] = true
		}
	}
}

// check is called after every step for each server that is up.
func (k *termCheck) check(id labrpc.NodeID, st State) *labtest.Violation {
	if st.Leader != 0 {
		k.knowsLeader(id)
	}
	k.replied = slices.DeleteFunc(k.replied, func(r voteRequest) bool {
		if r.to != id {
			return false
		}
		if !k.led[r] {
			k.due[id] = max(k.due[id], r.term)
		}
		return true // k.led stays: a copy of the request may come later
	})
	if st.Term < k.due[id] {
		return violation(ruleTerms, "%v has replied to a request of term %d, but it is %v", id, k.due[id], st)
	}
	return nil
}

// forget is called when a server starts: before a crash it may have received a term without having stated it.
func (k *termCheck) forget(id labrpc.NodeID) {
	delete(k.due, id)
	k.replied = slices.DeleteFunc(k.replied, func(r voteRequest) bool { return r.to == id })
	for r := range k.led {
		if r.to == id {
			delete(k.led, r)
		}
	}
}
