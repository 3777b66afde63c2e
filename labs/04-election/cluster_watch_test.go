package election_test

import (
	"fmt"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// hear takes note of every message when it is sent.
func (c *cluster) hear(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.Net.Now()
	var v *labtest.Violation
	if m.Kind != labrpc.Reply {
		c.asked[m.From]++
		if c.quiet != nil && c.quiet.server == m.From {
			v = c.stood(m.From)
		}
	}
	switch b := m.Body.(type) {
	case VoteRequest:
		c.saw(m.From, b.Term)
		v = first(v, c.voted(b.Term, vote{m.From, m.From, now}))
		if b.Candidate != m.From {
			v = violation(ruleOneVote, "%v asks for a vote for %v", m.From, b.Candidate)
		}
	case VoteReply:
		c.saw(m.From, b.Term)
		if b.Granted {
			v = first(v, c.voted(b.Term, vote{m.From, m.To, now}))
		}
	case AppendRequest:
		c.saw(m.From, b.Term)
		v = first(v, c.claimed(b.Term, claim{m.From, now}))
		if b.Leader != m.From {
			v = violation(ruleOneLeader, "%v sends a heartbeat in the name of %v", m.From, b.Leader)
		}
	case AppendReply:
		c.saw(m.From, b.Term)
	}
	if v != nil {
		c.s.Fail(*v)
	}
	return labrpc.Pass
}

// look checks what the servers report. It runs after every step.
func (c *cluster) look() *labtest.Violation {
	for _, id := range c.up() {
		if v := c.reported(id, c.state(id)); v != nil {
			return v
		}
	}
	return nil
}

func (c *cluster) reported(id labrpc.NodeID, st State) *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.Net.Now()
	if st.Term < c.terms[id] {
		return violation(ruleTerms, "%v is in term %d, after it was in term %d", id, st.Term, c.terms[id])
	}
	if st.Term > c.terms[id] && c.quiet != nil && c.quiet.server == id && st.Role == Candidate {
		return c.stood(id)
	}
	c.saw(id, st.Term)
	if st.Role != Follower {
		if v := c.voted(st.Term, vote{id, id, now}); v != nil {
			return v
		}
	}
	if st.Role == Leader {
		if st.Leader != id {
			return violation(ruleOneLeader, "%v leads term %d but names %v as its leader", id, st.Term, st.Leader)
		}
		if v := first(c.claimed(st.Term, claim{id, now}), c.elected(id, st.Term)); v != nil {
			return v
		}
	}
	if known := c.leaders[st.Term].by; st.Leader != 0 && st.Leader != known {
		return violation(ruleOneLeader, "%v names %v as the leader of term %d, which %v leads", id, st.Leader, st.Term, known)
	}
	return nil
}

// The caller of those that follow holds c.mu.

func (c *cluster) saw(id labrpc.NodeID, term int) { c.terms[id] = max(c.terms[id], term) }

// voted checks that nobody votes twice in a term.
func (c *cluster) voted(term int, v vote) *labtest.Violation {
	if c.votes[term] == nil {
		c.votes[term] = map[labrpc.NodeID]vote{}
	}
	old, ok := c.votes[term][v.by]
	if !ok {
		c.votes[term][v.by] = v
		return nil
	}
	if old.for_ == v.for_ {
		return nil
	}
	broken := violation(ruleOneVote, "%v votes twice in term %d: %s and %s", v.by, term, old, v)
	broken.Nodes = []labrpc.NodeID{v.by, v.for_, old.for_}
	return broken
}

func (v vote) String() string {
	if v.by == v.for_ {
		return fmt.Sprintf("for itself, as it stood at %s", stamp(v.at))
	}
	return fmt.Sprintf("for %v at %s", v.for_, stamp(v.at))
}

// claimed checks that nobody else leads the term.
func (c *cluster) claimed(term int, cl claim) *labtest.Violation {
	old, ok := c.leaders[term]
	if !ok {
		c.leaders[term] = cl
		return nil
	}
	if old.by == cl.by {
		return nil
	}
	v := violation(ruleOneLeader, "two leaders in term %d: %v (from %s) and %v (from %s)",
		term, old.by, stamp(old.at), cl.by, stamp(cl.at))
	v.Seen = c.ballotBox(term)
	return v
}

// elected checks that a leader has the votes.
func (c *cluster) elected(id labrpc.NodeID, term int) *labtest.Violation {
	have := 0
	for _, v := range c.votes[term] {
		if v.for_ == id {
			have++
		}
	}
	if have > c.servers/2 {
		return nil
	}
	v := violation(ruleMajority, "%v leads term %d with %d of the %d votes, its own included", id, term, have, c.servers)
	v.Seen = c.ballotBox(term)
	return v
}

func (c *cluster) ballotBox(term int) (lines []string) {
	for _, id := range c.s.Net.Nodes() {
		if v, ok := c.votes[term][id]; ok {
			lines = append(lines, fmt.Sprintf("%v voted %s", id, v))
		}
	}
	return lines
}

func (c *cluster) stood(id labrpc.NodeID) *labtest.Violation {
	return violation(c.quiet.rule, "%v stands for election %s", id, c.quiet.why)
}
