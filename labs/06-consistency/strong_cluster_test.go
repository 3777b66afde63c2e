package consistency_test

import (
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
	ruleStrong   = "Put, LogGet and Get are linearizable: each takes effect at one instant between request and reply (rule 1)"
	ruleRefused  = "a Put that is Refused never takes effect (rule 2)"
	ruleAnswers  = "a server replies to every request within 3s, if only to say that it is not Done (rule 3)"
	ruleServes   = "in a calm network, while a majority follows one leader, each request is Done within 500ms: Put and LogGet at the leader, Get at every server (rule 4)"
	ruleLeader   = "a server that is not the leader refuses Put and serves no LogGet; it names the leader if it knows one (rule 5)"
	ruleIndex    = "the reply to a Put that is Done has the index of its entry in the log; each Put has an entry of its own (rule 4)"
	ruleNoEntry  = "a Get adds nothing to the log and writes nothing to the disk, except for one entry per term (rule 6)"
	ruleMessages = "a Get costs at most 2(n-1) messages between the n servers, and 2 more if the client did not ask the leader (rule 7)"
	ruleBase     = "6A and 6B need a lab 05 that works up to 5C"
)

const (
	leaderLimit  = 5 * time.Second        // lab 05, rule 10
	servesLimit  = 500 * time.Millisecond // rule 4
	answersLimit = 3 * time.Second        // rule 3
	healLimit    = 20 * time.Second       // lab 05, rule 12
)

// strongLink is so fast that a test can do several things before an election timeout.
var strongLink = labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 3*time.Millisecond)}

// A strongCluster is a store on the first nodes, and clients on those after them.
type strongCluster struct {
	s       *labtest.Sim
	servers []labrpc.NodeID
	clients []labrpc.NodeID
	nodes   map[labrpc.NodeID]*labrpc.Node // of the clients

	mu      sync.Mutex // guards what the interceptors and clients on their own use
	running map[labrpc.NodeID]*consistency.Server
	winner  labrpc.NodeID // the only server that may win an election; 0: all may
	term    int           // if not 0, the next reply of a server to the leader or to a candidate states this term
	ops     []*strongOp   // by their calls
}

// newStrongCluster starts that many servers, and clients on all other nodes. It returns when lab 05 has elected a leader and
// committed an entry.
func newStrongCluster(s *labtest.Sim, servers int) *strongCluster {
	c := startStrongCluster(s, servers)
	c.needLab05()
	return c
}

// startStrongCluster returns when all nodes have started: there is no leader yet.
func startStrongCluster(s *labtest.Sim, servers int) *strongCluster {
	all := s.Net.Nodes()
	c := &strongCluster{
		s: s, servers: all[:servers], clients: all[servers:],
		nodes: map[labrpc.NodeID]*labrpc.Node{}, running: map[labrpc.NodeID]*consistency.Server{},
	}
	s.Net.Intercept(c.rewrite)
	s.Restarts(c.boot, c.servers...)
	c.startDown()
	for _, id := range c.clients {
		c.nodes[id] = s.Start(id)
	}
	return c
}

// startDown starts every server that is down.
func (c *strongCluster) startDown() {
	for _, id := range c.servers {
		if !c.s.Net.Up(id) {
			c.boot(c.s.Start(id))
		}
	}
}

// needLab05 fails with a message about lab 05 if that elects no leader or commits nothing.
func (c *strongCluster) needLab05() {
	fail := func(what string) {
		c.s.Fail(labtest.Violation{What: "your lab 05 does not work yet: " + what, Rule: ruleBase, Nodes: c.servers})
	}
	if !c.s.Until(leaderLimit, func() bool { return c.leader() != 0 }) {
		fail(fmt.Sprintf("none of its servers has become the leader within %v", leaderLimit))
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
		fail(fmt.Sprintf("an entry that its leader %v accepted is not applied by all servers %v later", c.leader(), servesLimit))
	}
}

// rewrite lets only the allowed server win an election, and raises the term.
func (c *strongCluster) rewrite(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stated := c.term; stated > 0 {
		switch m.Body.(type) {
		case replication.AppendReply:
			m.Body, c.term = replication.AppendReply{Term: stated}, 0
			return labrpc.Replace
		case replication.VoteReply:
			m.Body, c.term = replication.VoteReply{Term: stated}, 0
			return labrpc.Replace
		}
	}
	req, ok := m.Body.(replication.VoteRequest)
	if !ok || c.winner == 0 || c.winner == m.From {
		return labrpc.Pass
	}
	// All servers must learn of the new term. Otherwise the allowed server's term would stay behind.
	req.LastLogIndex, req.LastLogTerm = 0, 0
	m.Body = req
	return labrpc.Replace
}

// allowWinner lets one server win elections; 0 lets all.
func (c *strongCluster) allowWinner(id labrpc.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.winner = id
}

// raiseTerm makes the servers that follow a leader go on from a term, and returns their next leader: most often, that leads the term after it.
func (c *strongCluster) raiseTerm(term int) labrpc.NodeID {
	c.statesTerm(term)
	c.s.WaitFor(healLimit, labtest.Violation{
		What: fmt.Sprintf("your lab 05 does not work yet: a server stated the term %d, and %v later no server led a newer term", term, healLimit), Rule: ruleBase, Nodes: c.servers,
	}, func() bool { return c.leader() != 0 && c.status(c.leader()).Term > term })
	return c.leader()
}

// statesTerm makes the next reply to a leader or to a candidate state a term.
func (c *strongCluster) statesTerm(term int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = term
}

func (c *strongCluster) raft(id labrpc.NodeID) *replication.Raft {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[id].Raft()
}

// status returns the Status of a server's Raft; the zero Status if the server is down.
func (c *strongCluster) status(id labrpc.NodeID) replication.Status {
	if !c.s.Net.Up(id) {
		return replication.Status{}
	}
	return c.raft(id).Status()
}

// leader returns the server that a majority follows, the server itself included; 0 if there is none.
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
		What: fmt.Sprintf("your lab 05 does not work yet: from %v to %v, a majority of its servers followed no new leader", labtest.At(from), labtest.At(from+healLimit)),
		Rule: ruleBase, Nodes: c.servers,
	}, func() bool { return c.leader() != 0 && c.leader() != other })
	return c.leader()
}

// settles waits until all servers have applied the whole log, in a calm network.
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
			What: fmt.Sprintf("your lab 05 does not work yet: after %v in a calm network, its servers have not applied the same log", healLimit), Rule: ruleBase, Nodes: c.servers,
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
	sent  time.Duration
	reply R
	came  bool // a reply did
	over  bool // a reply did, or the client has given up
}

// strongAsk sends a request from a client to a server; then, if not nil, is called at the end.
func strongAsk[R, A any](c *strongCluster, from, to labrpc.NodeID, method string, args A, then func(at time.Duration, call *strongCall[R])) *strongCall[R] {
	call := &strongCall[R]{sent: c.s.Net.Now()}
	node := c.nodes[from]
	go func() {
		type end struct {
			Reply R
			Came  bool
		}
		ctx, cancel := labtest.WithTimeout(node.Context(), 2*answersLimit)
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
// A dropper drops messages while it has a condition.
type dropper struct {
	mu   sync.Mutex
	drop func(m *labrpc.Message) bool
}

// newDropper adds a dropper without a condition to the network.
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

// set replaces the condition; nil loses nothing.
func (q *dropper) set(f func(m *labrpc.Message) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop = f
}
