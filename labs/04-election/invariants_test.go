package election_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// recordMessage records every message when it is sent. Only the methods of wire.go count: a server may have more, such as a
// PreVote, whose messages look like these but promise nothing. Nor does a RequestVote that is a pre-vote.
func (c *cluster) recordMessage(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.Net.Now()
	var v *labtest.Violation
	if m.Kind != labrpc.Reply {
		c.requests[m.From] = append(c.requests[m.From], now)
		if c.forbidden != nil && c.forbidden.server == m.From {
			v = c.campaigned(m.From)
		}
	}
	switch b := m.Body.(type) {
	case VoteRequest:
		if m.Method != "RequestVote" || c.preVotes.Has(*m) {
			break
		}
		c.asked[m.From] = b.Term
		c.askedOf[m.To]++
		c.saw(m.From, b.Term)
		c.startsElection(m.From, b.Term)
		v = first(v, c.voted(b.Term, vote{m.From, m.From, now}))
		if b.Candidate != m.From {
			v = violation(ruleOneVote, "%v asks for a vote for %v, want it to ask for itself", m.From, b.Candidate)
		}
	case VoteReply:
		if m.Method != "RequestVote" || c.preVotes.Has(*m) {
			break
		}
		c.saw(m.From, b.Term)
		if b.Granted {
			v = first(v, c.voted(b.Term, vote{m.From, m.To, now}))
		}
	case AppendRequest:
		if m.Method != "AppendEntries" {
			break
		}
		c.saw(m.From, b.Term)
		v = first(v, c.claimed(b.Term, claim{m.From, now, fmt.Sprintf("sent AppendEntries of term %d", b.Term)}))
		if b.Leader != m.From {
			v = violation(ruleOneLeader, "%v sends a heartbeat that names %v as the leader, want the name of the sender", m.From, b.Leader)
		}
	case AppendReply:
		if m.Method == "AppendEntries" {
			c.saw(m.From, b.Term)
		}
	}
	if v != nil {
		c.s.Fail(*v)
	}
	return labrpc.Pass
}

// checkStates checks what the servers report. It runs after every step.
func (c *cluster) checkStates() *labtest.Violation {
	for _, id := range c.up() {
		if v := c.checkState(id, c.state(id)); v != nil {
			return v
		}
	}
	return nil
}

func (c *cluster) checkState(id labrpc.NodeID, st State) *labtest.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.Net.Now()
	if st.Term < c.terms[id] {
		return violation(ruleTerms, "at %s, %v is in term %d, although it was in term %d before", labtest.At(now), id, st.Term, c.terms[id])
	}
	if st.Term > c.terms[id] && c.forbidden != nil && c.forbidden.server == id && st.Role == Candidate {
		return c.campaigned(id)
	}
	c.saw(id, st.Term)
	if st.Role != Follower {
		c.startsElection(id, st.Term)
		if v := c.voted(st.Term, vote{id, id, now}); v != nil {
			return v
		}
	}
	if st.Role == Leader {
		if st.Leader != id {
			return violation(ruleOneLeader, "%v is leader of term %d, but reports %v as its leader", id, st.Term, st.Leader)
		}
		if v := first(c.claimed(st.Term, claim{id, now, "was leader"}), c.checkElected(id, st.Term)); v != nil {
			return v
		}
	}
	if known := c.leaders[st.Term].by; st.Leader != 0 && st.Leader != known {
		leads := fmt.Sprintf("the leader of this term is %v", known)
		if known == 0 {
			leads = "no server has led this term"
		}
		return violation(ruleOneLeader, "%v reports %v as the leader of term %d, but %s", id, st.Leader, st.Term, leads)
	}
	return nil
}

// The caller of the following methods holds c.mu.

func (c *cluster) saw(id labrpc.NodeID, term int) { c.terms[id] = max(c.terms[id], term) }

func (c *cluster) startsElection(id labrpc.NodeID, term int) {
	all := c.campaigns[id]
	if len(all) == 0 || all[len(all)-1].term < term {
		c.campaigns[id] = append(all, campaign{term, c.s.Net.Now()})
	}
}

// voted checks that a server does not vote twice in a term.
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
		return fmt.Sprintf("for itself, as a candidate, at %s", labtest.At(v.at))
	}
	return fmt.Sprintf("for %v at %s", v.for_, labtest.At(v.at))
}

// claimed checks that no other server leads the term.
func (c *cluster) claimed(term int, cl claim) *labtest.Violation {
	old, ok := c.leaders[term]
	if !ok {
		c.leaders[term] = cl
		return nil
	}
	if old.by == cl.by {
		return nil
	}
	v := violation(ruleOneLeader, "two leaders in term %d: %v %s at %s, and %v %s at %s",
		term, old.by, old.how, labtest.At(old.at), cl.by, cl.how, labtest.At(cl.at))
	v.Seen = c.votesIn(term)
	return v
}

// checkElected checks that a leader has the votes of a majority, and that their messages have arrived.
func (c *cluster) checkElected(id labrpc.NodeID, term int) *labtest.Violation {
	if c.elected[term] {
		return nil
	}
	c.elected[term] = true
	have := []string{}
	for _, v := range c.votes[term] {
		answers := labrpc.Match{From: v.by, To: id, Method: "RequestVote", Kind: labrpc.Reply}
		if v.for_ == id && (v.by == id || c.s.Net.Stats(answers).Delivered > 0) {
			have = append(have, v.by.String())
		}
	}
	if len(have) > c.servers/2 {
		return nil
	}
	slices.Sort(have)
	v := violation(ruleMajority, "%v leads term %d, but of the %d votes it has only received %d by now (of %s), want at least %d", id, term, c.servers, len(have), strings.Join(have, ", "), c.servers/2+1)
	v.Seen = c.votesIn(term)
	return v
}

func (c *cluster) votesIn(term int) (lines []string) {
	for _, id := range c.s.Net.Nodes() {
		if v, ok := c.votes[term][id]; ok {
			lines = append(lines, fmt.Sprintf("%v voted %s", id, v))
		}
	}
	return lines
}

func (c *cluster) campaigned(id labrpc.NodeID) *labtest.Violation {
	return violation(ruleElectionTimeout, "%v starts an election %s", id, c.forbidden.why)
}

// voteOf returns the server for which a server has voted in the term, as far as the test has observed.
func (c *cluster) voteOf(id labrpc.NodeID, term int) labrpc.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.votes[term][id].for_
}

// campaignsOf returns the elections that a server was seen to start since a time.
func (c *cluster) campaignsOf(id labrpc.NodeID, since time.Duration) (all []campaign) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, started := range c.campaigns[id] {
		if started.at >= since {
			all = append(all, started)
		}
	}
	return all
}

// candidatesIn returns the number of servers that were seen to vote for themselves in the term.
func (c *cluster) candidatesIn(term int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, v := range c.votes[term] {
		if v.for_ == id {
			n++
		}
	}
	return n
}
