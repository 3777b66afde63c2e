package consistency_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
	"distlabs/labs/06-consistency"
)

const (
	ruleStrong   = "a write and a read happen at one moment each, between call and return: they are linearizable (rule 1)"
	ruleRefused  = "what is Refused is not written, and never will be (rule 2)"
	ruleAnswers  = "a server answers every request within 3s, if only to say that it cannot (rule 3)"
	ruleServes   = "in a calm network with a leader that a majority follows, each request is Done within 500ms: Put and LogGet by the leader, Get by every server (rule 4)"
	ruleLeader   = "who is not the leader refuses Put and does not serve LogGet; it names the leader if it knows one (rule 5)"
	ruleIndex    = "the reply to a Put that is Done has the index of its entry in the log (rule 4)"
	ruleNoEntry  = "a Get writes neither log nor disk, but for one entry a term (rule 6)"
	ruleMessages = "a Get costs 2(n-1) messages between n servers, and 2 more if the leader was not asked (rule 7)"
	ruleBase     = "6A and 6B stand on a lab 05 that works; without one, take the reference's: go run ./cmd/grade run 06 --base reference"
)

const (
	leaderLimit  = 5 * time.Second        // lab 05, rule 10
	servesLimit  = 500 * time.Millisecond // rule 4
	answersLimit = 3 * time.Second        // rule 3
	healLimit    = 20 * time.Second       // lab 05, rule 12
)

// strongLink is a network so fast that a test can do several things before anybody
// loses patience.
var strongLink = labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 3*time.Millisecond)}

// A strongCluster is a store on the first nodes, and clients on those after them.
type strongCluster struct {
	s       *labtest.Sim
	servers []labrpc.NodeID
	clients []labrpc.NodeID
	nodes   map[labrpc.NodeID]*labrpc.Node // of the clients

	mu      sync.Mutex // guards what the interceptors and clients on their own use
	running map[labrpc.NodeID]*consistency.Server
	stands  labrpc.NodeID // who alone may win an election; 0: all may
	ops     []*strongOp   // by their calls
}

// newStrongCluster starts so many servers, and clients on all other nodes. It returns when
// lab 05 has shown that it works.
func newStrongCluster(s *labtest.Sim, servers int) *strongCluster {
	all := s.Net.Nodes()
	c := &strongCluster{
		s: s, servers: all[:servers], clients: all[servers:],
		nodes: map[labrpc.NodeID]*labrpc.Node{}, running: map[labrpc.NodeID]*consistency.Server{},
	}
	s.Net.Intercept(c.rewrite)
	c.startDown()
	for _, id := range c.clients {
		c.nodes[id] = s.Start(id)
	}
	c.needLab05()
	return c
}

// startDown begins an incarnation of every server that is down.
func (c *strongCluster) startDown() {
	for _, id := range c.servers {
		if !c.s.Net.Up(id) {
			server := consistency.StartServer(c.s.Start(id), c.servers)
			c.mu.Lock()
			c.running[id] = server
			c.mu.Unlock()
		}
	}
}

// needLab05 fails, and says so plainly, if lab 05 does not lead or does not agree.
func (c *strongCluster) needLab05() {
	fail := func(what string) {
		c.s.Fail(labtest.Violation{What: "your lab 05 does not work yet: " + what, Rule: ruleBase, Nodes: c.servers})
	}
	if !c.s.Until(leaderLimit, func() bool { return c.leader() != 0 }) {
		fail(fmt.Sprintf("of its servers, none leads after %v", leaderLimit))
	}
	index, _, led := c.raft(c.leader()).Submit(nil)
	agreed := func() bool {
		for _, id := range c.servers {
			if c.status(id).LastApplied < index {
				return false
			}
		}
		return true
	}
	if !led || !c.s.Until(servesLimit, agreed) {
		fail(fmt.Sprintf("an entry that its leader %v took is not applied everywhere after %v", c.leader(), servesLimit))
	}
}

// rewrite lets nobody win an election but who may.
func (c *strongCluster) rewrite(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	req, ok := m.Body.(replication.VoteRequest)
	if !ok || c.stands == 0 || c.stands == m.From {
		return labrpc.Pass
	}
	// All shall hear of the new term, or who may win would always be behind.
	req.LastLogIndex, req.LastLogTerm = 0, 0
	m.Body = req
	return labrpc.Replace
}

// allowWinner lets one server win elections; 0 lets all.
func (c *strongCluster) allowWinner(id labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stands = id
}

func (c *strongCluster) raft(id labrpc.NodeID) *replication.Raft {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[id].Raft()
}

// status returns what a server's Raft says; of one that is down, nothing.
func (c *strongCluster) status(id labrpc.NodeID) replication.Status {
	if !c.s.Net.Up(id) {
		return replication.Status{}
	}
	return c.raft(id).Status()
}

// leader returns the server that a majority follows, itself included; 0 if there is none.
func (c *strongCluster) leader() labrpc.NodeID {
	for _, id := range c.servers {
		st := c.status(id)
		if st.Role != replication.Leader {
			continue
		}
		follow := 0
		for _, o := range c.servers {
			if other := c.status(o); other.Term == st.Term && (o == id || other.Leader == id) {
				follow++
			}
		}
		if follow > len(c.servers)/2 {
			return id
		}
	}
	return 0
}

// waitForLeader waits for a leader other than the given one.
func (c *strongCluster) waitForLeader(other labrpc.NodeID) labrpc.NodeID {
	from := c.s.Net.Now()
	c.s.WaitFor(healLimit, labtest.Violation{
		What: fmt.Sprintf("your lab 05 does not work yet: no leader that a majority follows, from %v to %v", brief(from), brief(from+healLimit)),
		Rule: ruleBase, Nodes: c.servers,
	}, func() bool { return c.leader() != 0 && c.leader() != other })
	return c.leader()
}

// settles waits until all servers have carried out all that there is, in a network that is calm and whole.
func (c *strongCluster) settles() {
	// An entry of its own term shows a new leader what is committed.
	index, tried := 0, 0
	ok := c.s.Until(healLimit, func() bool {
		if leader := c.leader(); leader != 0 && c.status(leader).Term != tried {
			tried = c.status(leader).Term
			index, _, _ = c.raft(leader).Submit(nil)
		}
		for _, id := range c.servers {
			if st := c.status(id); index == 0 || st.Term != tried || st.LastApplied < index {
				return false
			}
		}
		return true
	})
	if !ok {
		c.s.Fail(labtest.Violation{
			What: fmt.Sprintf("your lab 05 does not work yet: its servers have not the same log after %v in a calm network", healLimit), Rule: ruleBase, Nodes: c.servers,
		})
	}
}

// but lists all servers except these.
func (c *strongCluster) except(ids ...labrpc.NodeID) []labrpc.NodeID {
	return slices.DeleteFunc(slices.Clone(c.servers), func(id labrpc.NodeID) bool { return slices.Contains(ids, id) })
}

// cast returns the leader and the other servers, in a random order.
func (c *strongCluster) roles() (leader labrpc.NodeID, others []labrpc.NodeID) {
	leader = c.waitForLeader(0)
	others = c.except(leader)
	c.s.Rand().Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return leader, others
}

// A strongCall is a request to a server that is under way.
type strongCall[R any] struct {
	reply R
	came  bool // a reply did
	over  bool // it did, or the client has given up
}

// strongAsk sends a request from a client to a server; then, if not nil, is called at the end.
func strongAsk[R, A any](c *strongCluster, from, to labrpc.NodeID, method string, args A, then func(at time.Duration, call *strongCall[R])) *strongCall[R] {
	call := &strongCall[R]{}
	node := c.nodes[from]
	go func() {
		type end struct {
			Reply R
			Came  bool
		}
		ctx, cancel := context.WithTimeout(node.Context(), 2*answersLimit)
		defer cancel()
		reply, err := labrpc.Call[R](ctx, node, to, method, args)
		_ = labrpc.Tell(node, end{reply, err == nil}, func(at time.Duration, e end) {
			call.reply, call.came, call.over = e.Reply, e.Came, true
			if then != nil {
				then(at, call)
			}
		})
	}()
	return call
}

// ofRaft reports whether a message is lab 05's: its body's type is declared there. (A pre-vote, for
// example, has a method that this lab cannot know.)
func ofRaft(m *labrpc.Message) bool {
	switch m.Method {
	case "AppendEntries", "RequestVote", "InstallSnapshot":
		return true
	}
	return m.Body != nil && strings.HasSuffix(reflect.TypeOf(m.Body).PkgPath(), "/labs/05-replication")
}

// brief is a time as a message shows it.
func brief(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// dropper drops messages for as long as it is on.
type dropper struct {
	mu   sync.Mutex
	drop func(m *labrpc.Message) bool
}

// newDropper adds one to the network.
func newDropper(s *labtest.Sim) *dropper {
	q := &dropper{}
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.drop != nil && q.drop(m) {
			return labrpc.Drop
		}
		return labrpc.Pass
	})
	return q
}

// set drops what f says from now on; nil drops nothing.
func (q *dropper) set(f func(m *labrpc.Message) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop = f
}
