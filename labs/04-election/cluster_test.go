package election_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleOneLeader       = "each term has at most one leader, and State and the heartbeats agree on it (rule 9; Raft §5.2, Election Safety)"
	ruleOneVote         = "a server votes once per term, for the first server that asks, never in a term older than its own, and a crash changes nothing (rule 10; Raft §5.2)"
	ruleTerms           = "terms never decrease, every message carries the sender's term, and a server that receives a higher one adopts it and becomes a follower (rule 11; Raft §5.1)"
	ruleMajority        = "a candidate becomes leader only with votes in its term from more than half of all servers, each counted once (rule 12; Raft §5.2)"
	ruleAnother         = "a candidate follows the leader of its own term; an AppendEntries of an older term changes nothing (rule 13; Raft §5.2)"
	ruleElectionTimeout = "a server starts an election when its random election timeout has passed; only AppendEntries from the leader of its term and a granted vote reset the timer (rule 14; Raft §5.2)"
	ruleHeartbeats      = "a leader sends AppendEntries to every peer within 30ms of its election and then at every heartbeat; a follower sends no requests (rule 15; Raft §5.2)"
	ruleCalm            = "in a calm network with a leader, no server starts an election (rule 16; Raft §5.2)"
	ruleProgress        = "5s after a majority of the servers is connected, 10s if links lose messages, this majority has a leader, and all its servers know the leader (rule 17)"
)

// raftTiming is the timing of all servers in these tests, the one of Raft §9.3.
var raftTiming = RaftOptions{Heartbeat: 50 * time.Millisecond, ElectionTimeout: 150 * time.Millisecond}

const (
	electionLimit      = 5 * time.Second        // rule 17, on links that lose nothing
	lossyElectionLimit = 10 * time.Second       // rule 17, on other links
	shortestTimeout    = 140 * time.Millisecond // rule 14: ElectionTimeout, less one tick of 10ms
	longestTimeout     = 350 * time.Millisecond // rule 14: 2·ElectionTimeout + Heartbeat
	raftSeeds          = 20
	fixedLatency       = 2 * time.Millisecond
)

// steadyLink is for tests in which a millisecond more or less would matter.
var steadyLink = labrpc.Link{Latency: labrpc.Fixed(fixedLatency)}

// A cluster is Raft servers and what the test has observed of them. It checks the invariants at every step, by the
// servers' State and by their messages.
type cluster struct {
	s       *labtest.Sim
	servers int // of all, up or not

	preVotes *prevote.Seen // a RequestVote that is a pre-vote promises nothing

	mu        sync.Mutex
	rafts     map[labrpc.NodeID]*Raft
	boots     map[labrpc.NodeID]int          // how often each server has begun
	votes     map[int]map[labrpc.NodeID]vote // by term and voter
	leaders   map[int]claim                  // by term
	elected   map[int]bool                   // the terms whose leader's votes were checked
	terms     map[labrpc.NodeID]int          // the highest term that each server was seen in
	campaigns map[labrpc.NodeID][]campaign   // the elections that each server was seen to start, in order
	requests  map[labrpc.NodeID][]time.Duration
	asked     map[labrpc.NodeID]int // the term of the last RequestVote that each server has sent
	askedOf   map[labrpc.NodeID]int // how often each server was sent a RequestVote
	forbidden *forbiddenCampaign
}

type vote struct {
	by, for_ labrpc.NodeID
	at       time.Duration
}

type claim struct {
	by  labrpc.NodeID
	at  time.Duration
	how string
}

type campaign struct {
	term int
	at   time.Duration
}

// A forbiddenCampaign is a server that must not start an election now, and the reason.
type forbiddenCampaign struct {
	server labrpc.NodeID
	why    string
}

func newCluster(s *labtest.Sim) *cluster {
	c := &cluster{
		s: s, servers: len(s.Net.Nodes()), rafts: map[labrpc.NodeID]*Raft{}, boots: map[labrpc.NodeID]int{},
		votes: map[int]map[labrpc.NodeID]vote{}, leaders: map[int]claim{}, elected: map[int]bool{},
		terms: map[labrpc.NodeID]int{}, campaigns: map[labrpc.NodeID][]campaign{}, requests: map[labrpc.NodeID][]time.Duration{},
		asked: map[labrpc.NodeID]int{}, askedOf: map[labrpc.NodeID]int{}, preVotes: prevote.Watch(s.Net),
	}
	s.Net.Intercept(c.recordMessage)
	s.Always(c.checkStates)
	s.Restarts(func(node *labrpc.Node) { c.boot(node) })
	return c
}

// startAll starts a cluster in which every server runs the student's code.
func startAll(s *labtest.Sim) *cluster {
	c := newCluster(s)
	c.start(s.Net.Nodes()...)
	return c
}

func (c *cluster) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		c.boot(c.s.Start(id))
	}
}

// boot starts a server on a node, and reports whether it is not the first on that node.
func (c *cluster) boot(node *labrpc.Node) (again bool) {
	r := NewRaft(node, raftTiming)
	c.mu.Lock()
	defer c.mu.Unlock()
	again = c.rafts[node.ID()] != nil
	c.rafts[node.ID()] = r
	c.boots[node.ID()]++
	return again
}

func (c *cluster) restart(id labrpc.NodeID) {
	c.s.Net.Crash(id)
	c.start(id)
}

func (c *cluster) state(id labrpc.NodeID) State {
	c.mu.Lock()
	r := c.rafts[id]
	c.mu.Unlock()
	if r == nil {
		return State{}
	}
	return r.State()
}

// up returns the student's servers that run.
func (c *cluster) up() []labrpc.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(c.s.Net.Nodes(), func(id labrpc.NodeID) bool {
		return c.rafts[id] == nil || !c.s.Net.Up(id)
	})
}

// mustNotCampaign forbids a server to start an election, or to send any request, from now on; 0 forbids it to no server.
func (c *cluster) mustNotCampaign(id labrpc.NodeID, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbidden = &forbiddenCampaign{id, why}
}

// requestsOf returns the times at which a server has sent requests since a time: a follower sends none.
func (c *cluster) requestsOf(id labrpc.NodeID, since time.Duration) []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.requests[id]
	at, _ := slices.BinarySearch(all, since)
	return slices.Clone(all[at:])
}

// holdVotes holds the messages of RequestVote that match, except pre-votes.
func (c *cluster) holdVotes(match labrpc.Match) *labrpc.Held {
	match.Method = "RequestVote"
	return c.s.Net.HoldIf(match, c.preVotes.Lacks)
}

// lastRequest returns the term of the last RequestVote that a server has sent, or 0.
func (c *cluster) lastRequest(id labrpc.NodeID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[id]
}

// waitForCampaign lets the longest timeout pass for a server whose timer was reset between from, when the request was sent that resets it, and now;
// checks that it has started an election; and returns the time that it took.
// Sending any request counts: an election may begin with pre-votes (Raft §9.6). while says what the server receives.
func (c *cluster) waitForCampaign(id labrpc.NodeID, from time.Duration, while string) time.Duration {
	began := c.s.Net.Now()
	c.s.Run(longestTimeout + 2*fixedLatency)
	asked := c.requestsOf(id, began)
	if len(asked) == 0 {
		c.s.Failf(ruleElectionTimeout, "%v has not started an election within %v of %s, and since then nothing has reset its election timer; meanwhile %s",
			id, longestTimeout, labtest.At(began), while)
	}
	waited := asked[0] - from
	if waited < shortestTimeout {
		c.s.Failf(ruleElectionTimeout, "%v starts an election %v after its timer was reset, want at least %v; %s",
			id, waited, raftTiming.ElectionTimeout, while)
	}
	return waited
}

// waitForAnother waits until a server that has started an election without success starts the next one. After that it starts none for
// the shortest timeout: so what it states can be compared with what it stated before.
func (c *cluster) waitForAnother(id labrpc.NodeID, while string) {
	began := c.s.Net.Now()
	v := *violation(ruleElectionTimeout, "%v has started an election without success, and has not started another one within %v of %s; meanwhile %s",
		id, longestTimeout, labtest.At(began), while)
	last := c.lastRequest(id)
	c.s.WaitFor(longestTimeout+2*fixedLatency, v, func() bool { return c.startsAnother(id, began, last) })
}

// votesAskedOf is how often a server was sent a RequestVote, pre-votes excepted.
func (c *cluster) votesAskedOf(id labrpc.NodeID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.askedOf[id]
}

// startsAnother reports whether a server has started an election since a time: it has sent a request, and not one for the votes of an earlier term
// again. It may have asked for pre-votes only.
func (c *cluster) startsAnother(id labrpc.NodeID, since time.Duration, last int) bool {
	now := c.lastRequest(id)
	return len(c.requestsOf(id, since)) > 0 && (now == 0 || now > last)
}

// agreed returns the leader that all these servers follow in one term, or 0.
func (c *cluster) agreed(ids ...labrpc.NodeID) (leader labrpc.NodeID, term int) {
	for i, id := range ids {
		st := c.state(id)
		if st.Leader == 0 || i > 0 && (st.Leader != leader || st.Term != term) {
			return 0, 0
		}
		leader, term = st.Leader, st.Term
	}
	if !slices.Contains(ids, leader) || c.state(leader).Role != Leader {
		return 0, 0
	}
	return leader, term
}

// waitForLeader waits until these servers (all that are up, if none is named) follow one of themselves.
func (c *cluster) waitForLeader(limit time.Duration, ids ...labrpc.NodeID) (leader labrpc.NodeID, term int) {
	if len(ids) == 0 {
		ids = c.up()
	}
	since := c.s.Net.Now()
	ok := c.s.Until(limit, func() bool {
		leader, term = c.agreed(ids...)
		return leader != 0
	})
	if ok {
		return leader, term
	}
	v := violation(ruleProgress, "no leader within %v: %s have been connected since %s, want one of them to be the leader, and all of them to know it", limit, names(ids), labtest.At(since))
	if len(ids) == 1 {
		v = violation(ruleProgress, "no leader within %v: %v, alone a majority, has run since %s, but does not lead", limit, ids[0], labtest.At(since))
	}
	for _, id := range ids {
		st := c.state(id)
		line := fmt.Sprintf("%v is %s", id, st)
		if st.Leader != 0 && !slices.Contains(ids, st.Leader) {
			line += ", which is not one of them"
		}
		v.Seen = append(v.Seen, line)
	}
	c.s.Fail(*v)
	return 0, 0
}

// others returns all nodes except these.
func (c *cluster) others(ids ...labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(c.s.Net.Nodes(), func(id labrpc.NodeID) bool { return slices.Contains(ids, id) })
}

// jumpClocks sets all wall clocks forward, or all back, or some: no rule depends on them.
func jumpClocks(s *labtest.Sim) {
	for i, id := range s.Net.Nodes() {
		forward := s.Seed%3 == 0 || s.Seed%3 == 2 && i%2 == 0
		if forward {
			s.Net.JumpClock(id, time.Hour)
		} else {
			s.Net.JumpClock(id, -time.Hour)
		}
	}
}

func violation(rule, format string, args ...any) *labtest.Violation {
	return &labtest.Violation{What: fmt.Sprintf(format, args...), Rule: rule}
}

func first(vs ...*labtest.Violation) *labtest.Violation {
	for _, v := range vs {
		if v != nil {
			return v
		}
	}
	return nil
}

func names(ids []labrpc.NodeID) string {
	text := ""
	for i, id := range ids {
		switch {
		case i == 0:
		case i == len(ids)-1:
			text += " and "
		default:
			text += ", "
		}
		text += id.String()
	}
	return text
}
