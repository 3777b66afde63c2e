package transactions_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/05-replication"
	"distlabs/labs/07-transactions"
)

const (
	ruleShardStrict   = "one order of the transactions explains all that was read: each takes effect as a whole, at one instant after it began and before it returned, whatever wall clocks show (rule 33)"
	ruleShardOutcome  = "after nil the transaction has been committed exactly once; after ErrOutcomeUnknown once or never, or it may still be; after any other error it has no effect and never will (rule 34)"
	ruleShardLost     = "a transaction of which Get or Put has returned an error that wraps ErrAborted is not committed: its Commit returns an error (rule 34)"
	ruleShardUnknown  = "ErrOutcomeUnknown is returned only if the context or the node has ended, or if a Lease or more has passed since the transaction began (rule 34)"
	ruleShardOver     = "a call of a transaction that has ended returns ErrOver and has no effect; Abort does nothing then (rule 34)"
	ruleShardLease    = "when the last message of a client has arrived, its transaction makes other transactions wait for at most Lease + 1s, in a calm network (rule 35)"
	ruleShardInTime   = "if a transaction writes two keys, its messages take up to 150ms, and all other transactions that have these keys only read, Run returns nil within 3 Leases (rule 36)"
	ruleShardDisjoint = "in a calm network, Run of up to 4 operations returns nil within 2s if no unfinished transaction has one of its keys (rule 37)"
	ruleShardProgress = "in a calm network, while up to 4 clients run transactions of up to 4 operations on the same keys, each Run returns nil within 10s (rule 38)"
	ruleShardContext  = "Get, Put, Commit and Run return within 100ms of the end of the transaction's context, with an error that wraps ctx.Err() if nothing else is known (rule 39)"
	ruleShardDurable  = "what was committed survives the crash of any servers; 10s after all servers are up and connected again, in a calm network, the store serves (rule 40)"
	ruleShardLate     = "a message of a transaction that arrives again, or late, changes no value, and makes no other transaction wait for longer than Lease + 1s (rule 41)"
	ruleShardSpace    = "the log of a server has at most 2 SnapshotEvery entries that the server has applied (rule 42)"
	ruleShardBase     = "7D needs a lab 05 that works up to 5E"
)

const (
	shardLease    = 2 * time.Second
	shardServes   = 2 * time.Second        // rule 37
	shardSlack    = time.Second            // rule 35
	shardProgress = 10 * time.Second       // rule 38
	shardContext  = 100 * time.Millisecond // rule 39
	shardHeals    = 10 * time.Second       // rule 40
)

// shardLink is so fast that a test can do several things before an election timeout.
var shardLink = labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 3*time.Millisecond)}

// A shardCluster is a store of several groups on the first nodes, and clients on those after them.
type shardCluster struct {
	s       *labtest.Sim
	layout  transactions.Layout
	clients []labrpc.NodeID
	nodes   map[labrpc.NodeID]*labrpc.Node // of the clients
	client  map[labrpc.NodeID]*transactions.ShardClient
	pairOf  [2]string // the keys that script writes

	mu      sync.Mutex // guards what interceptors use too
	running map[labrpc.NodeID]*transactions.Shard
	runs    []*shardRun
	gates   map[labrpc.NodeID]*shardGate
	between *[]labrpc.Message // if not nil: requests of servers to servers of other groups
}

// wide reports whether a test runs at its full length. The first seed does; of others, which repeat it, one of eight is enough.
func wide(s *labtest.Sim) bool { return s.Seed%8 == 1 }

// shardSplits divide the keys: group 0 has those from a, 1 from h, 2 from q, 3 from v, 4 from x.
var shardSplits = []string{"h", "q", "v", "x"}

// shardNodes is how many nodes a cluster of that many groups of three and clients has.
func shardNodes(groups, clients int) int { return 3*groups + clients }

// newShardCluster starts that many groups of three servers, and clients on all other nodes. It returns when all groups have leaders.
func newShardCluster(s *labtest.Sim, groups int) *shardCluster {
	return newShardClusterWith(s, groups, transactions.Layout{Lease: shardLease, SnapshotEvery: 20 + s.Rand().IntN(20)})
}

// newShardClusterWith is newShardCluster; the layout has only what is not about the groups.
func newShardClusterWith(s *labtest.Sim, groups int, layout transactions.Layout) *shardCluster {
	all := s.Net.Nodes()
	c := &shardCluster{
		s: s, clients: all[3*groups:], nodes: map[labrpc.NodeID]*labrpc.Node{}, client: map[labrpc.NodeID]*transactions.ShardClient{},
		running: map[labrpc.NodeID]*transactions.Shard{}, gates: map[labrpc.NodeID]*shardGate{},
		layout: layout, pairOf: [2]string{"m", "t"},
	}
	for g := range groups {
		c.layout.Groups = append(c.layout.Groups, all[3*g:3*g+3])
	}
	c.layout.Splits = shardSplits[:groups-1]
	s.Net.Intercept(c.rewrite)
	s.Restarts(c.boot, c.servers()...)
	c.startDown()
	for _, id := range c.clients {
		c.startClient(id)
	}
	c.waitForLeaders()
	return c
}

// servers lists the servers of all groups.
func (c *shardCluster) servers() []labrpc.NodeID { return slices.Concat(c.layout.Groups...) }

// startDown starts every server that is down.
func (c *shardCluster) startDown() {
	for _, id := range c.servers() {
		if !c.s.Net.Up(id) {
			c.boot(c.s.Start(id))
		}
	}
}

// boot has a node that has been started run a server.
func (c *shardCluster) boot(node *labrpc.Node) {
	server := transactions.StartShard(node, c.layout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[node.ID()] = server
}

// startClient starts a client's node, which is down.
func (c *shardCluster) startClient(id labrpc.NodeID) {
	c.nodes[id] = c.s.Start(id)
	c.client[id] = transactions.NewShardClient(c.nodes[id], c.layout)
}

// waitForLeaders waits until each group has a leader that a majority follows.
func (c *shardCluster) waitForLeaders() {
	for g, servers := range c.layout.Groups {
		if !c.s.Until(shardHeals, func() bool { return c.leader(g) != 0 }) {
			c.s.Fail(labtest.Violation{
				What: fmt.Sprintf("your lab 05 does not work yet: %v have elected no leader within %v", servers, shardHeals),
				Rule: ruleShardBase, Nodes: c.servers(),
			})
		}
	}
}

// settle heals everything, starts what is down, and waits until all groups have leaders.
func (c *shardCluster) settle() {
	c.s.Net.Heal()
	c.s.Net.SetLinks(shardLink)
	c.startDown()
	c.s.Run(time.Second)
	c.waitForLeaders()
}

func (c *shardCluster) status(id labrpc.NodeID) replication.Status {
	if !c.s.Net.Up(id) {
		return replication.Status{}
	}
	c.mu.Lock()
	server := c.running[id]
	c.mu.Unlock()
	if raft := server.Raft(); raft != nil {
		return raft.Status()
	}
	return replication.Status{}
}

// leader returns the server of a group that a majority of the group follows; 0 if there is none.
func (c *shardCluster) leader(group int) labrpc.NodeID {
	servers := c.layout.Groups[group]
	for _, id := range servers {
		st := c.status(id)
		if st.Role != replication.Leader {
			continue
		}
		follow := 0
		for _, o := range servers {
			if other := c.status(o); other.Term == st.Term && (o == id || other.Leader == id) {
				follow++
			}
		}
		if follow > len(servers)/2 {
			return id
		}
	}
	return 0
}

// A shardGate counts the requests of a client, and can lose those after the first few.
type shardGate struct {
	sent   int
	limit  int  // how many go through; -1: all
	last   bool // with limit: of the requests that are sent together, only the first after the limit is lost
	deaf   bool // with limit: messages to the client are lost too, from when it has sent so many
	at     time.Duration
	copies []labrpc.Message // of what was sent, if keep
	keep   bool
}

// gate returns the gate of a client, with all requests going through.
func (c *shardCluster) gate(client labrpc.NodeID) *shardGate {
	return c.setGate(client, shardGate{limit: -1})
}

// setGate gives a client a gate, in place of the one that it has, and returns it.
func (c *shardCluster) setGate(client labrpc.NodeID, g shardGate) *shardGate {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gates[client] = &g
	return &g
}

// rewrite is the cluster's interceptor.
func (c *shardCluster) rewrite(m *labrpc.Message) labrpc.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.gates[m.To]; g != nil && g.deaf && g.limit >= 0 && g.sent >= g.limit {
		return labrpc.Drop
	}
	if m.Kind == labrpc.Reply {
		return labrpc.Pass
	}
	if from, to := c.layout.Member(m.From), c.layout.Member(m.To); c.between != nil && from >= 0 && to >= 0 && from != to {
		*c.between = append(*c.between, *m)
	}
	g := c.gates[m.From]
	if g == nil {
		return labrpc.Pass
	}
	g.sent++
	if g.keep {
		g.copies = append(g.copies, *m)
	}
	switch now := c.s.Net.Now(); {
	case g.limit < 0 || g.sent <= g.limit:
		g.at = now
		return labrpc.Pass
	case g.last && g.sent > g.limit+1 && now == g.at:
		return labrpc.Pass
	case g.last && g.sent == g.limit+1:
		g.at = now
	}
	return labrpc.Drop
}

// requests returns how many requests a gate has seen.
func (c *shardCluster) requests(g *shardGate) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return g.sent
}

// shardTime is a time as a message shows it.
func shardTime(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
