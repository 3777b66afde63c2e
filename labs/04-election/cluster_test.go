package election_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleOneLeader = "at most one leader a term (rule 9; Raft §5.2, Election Safety)"
	ruleOneVote   = "one vote a term, none in a term that is over, and a crash changes nothing (rule 10; Raft §5.2)"
	ruleTerms     = "terms never go back, all messages carry them, and who hears of a higher one follows in it (rule 11; Raft §5.1)"
	ruleMajority  = "to lead a term takes votes of that term from a majority of all servers, each counted once (rule 12; Raft §5.2)"
	ruleAnother   = "a candidate that hears from the leader of its term follows it; an older leader changes nothing (rule 13; Raft §5.2)"
	rulePatience  = "a server stands after a silence of one to two election timeouts: a leader of its term and a vote given end the silence, nothing else does (rule 14; Raft §5.2)"
	ruleBeats     = "a leader lets every peer hear from it at once, and then at every heartbeat (rule 15; Raft §5.2)"
	ruleCalm      = "while a leader is heard nobody stands (rule 16; Raft §5.2)"
	ruleProgress  = "when a majority can talk, it soon has a leader and knows it (rule 17)"
)

// raftTiming is the timing of all servers in these tests, that of Raft §9.3.
var raftTiming = RaftOptions{Heartbeat: 50 * time.Millisecond, ElectionTimeout: 150 * time.Millisecond}

const (
	soon         = 5 * time.Second  // rule 17, on links that lose nothing
	soonDespite  = 10 * time.Second // rule 17, on others
	longestWait  = 350 * time.Millisecond
	raftSeeds    = 20
	fixedLatency = 2 * time.Millisecond
)

// steadyLink is for stories in which a millisecond more or less would matter.
var steadyLink = labrpc.Link{Latency: labrpc.Fixed(fixedLatency)}

// A cluster is Raft servers and what the test has seen of them. It checks at every step what must hold at every step:
// by what the servers report, and by what they say to each other.
type cluster struct {
	s       *labtest.Sim
	servers int // of all, up or not

	mu      sync.Mutex
	rafts   map[labrpc.NodeID]*Raft
	votes   map[int]map[labrpc.NodeID]vote // by term and voter
	leaders map[int]claim                  // by term
	terms   map[labrpc.NodeID]int          // the highest that each server was seen in
	asked   map[labrpc.NodeID]int          // how many requests of any kind each has sent
	quiet   *silence
}

type vote struct {
	by, for_ labrpc.NodeID
	at       time.Duration
}

type claim struct {
	by labrpc.NodeID
	at time.Duration
}

// A silence is a server that must not stand for now, and why.
type silence struct {
	server labrpc.NodeID
	rule   string
	why    string
}

func newCluster(s *labtest.Sim) *cluster {
	c := &cluster{
		s: s, servers: len(s.Net.Nodes()), rafts: map[labrpc.NodeID]*Raft{},
		votes: map[int]map[labrpc.NodeID]vote{}, leaders: map[int]claim{},
		terms: map[labrpc.NodeID]int{}, asked: map[labrpc.NodeID]int{},
	}
	s.Net.Intercept(c.hear)
	s.Always(c.look)
	return c
}

// startAll begins a cluster in which every server is the student's.
func startAll(s *labtest.Sim) *cluster {
	c := newCluster(s)
	c.start(s.Net.Nodes()...)
	return c
}

func (c *cluster) start(ids ...labrpc.NodeID) {
	for _, id := range ids {
		r := NewRaft(c.s.Start(id), raftTiming)
		c.mu.Lock()
		c.rafts[id] = r
		c.mu.Unlock()
	}
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

// up are the student's servers that run.
func (c *cluster) up() []labrpc.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(c.s.Net.Nodes(), func(id labrpc.NodeID) bool {
		return c.rafts[id] == nil || !c.s.Net.Up(id)
	})
}

// mustNotStand sets who must not stand from now on, or asks of anybody anything; nobody, for 0.
func (c *cluster) mustNotStand(id labrpc.NodeID, rule, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = &silence{id, rule, why}
}

// requests is how many requests a server has sent: a follower sends none.
func (c *cluster) requests(id labrpc.NodeID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[id]
}

// voteOf is for whom a server has voted in the term, as far as the test has seen.
func (c *cluster) voteOf(id labrpc.NodeID, term int) labrpc.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.votes[term][id].for_
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

// waitForLeader waits until these servers (all that are up, if none is named), follow one of themselves.
func (c *cluster) waitForLeader(limit time.Duration, ids ...labrpc.NodeID) (leader labrpc.NodeID, term int) {
	if len(ids) == 0 {
		ids = c.up()
	}
	since := c.s.Net.Now()
	ok := c.s.Until(limit, func() bool {
		leader, term = c.agreed(ids...)
		return leader != 0
	})
	if !ok {
		v := violation(ruleProgress, "%s can talk to each other since %s, and have no leader that all of them know after %v",
			names(ids), stamp(since), limit)
		for _, id := range ids {
			v.Seen = append(v.Seen, fmt.Sprintf("%v is %s", id, c.state(id)))
		}
		c.s.Fail(*v)
	}
	return leader, term
}

// others are all nodes but these.
func (c *cluster) others(ids ...labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(c.s.Net.Nodes(), func(id labrpc.NodeID) bool { return slices.Contains(ids, id) })
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

func stamp(at time.Duration) string { return fmt.Sprintf("%.3fs", at.Seconds()) }

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
