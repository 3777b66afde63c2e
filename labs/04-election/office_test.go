package election_test

import (
	"context"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
	"errors"
	"sync"
	"time"
)

const (
	ruleHolder = "at no moment do two leases say Held, whatever the lessor's crashes, slow messages and clocks (rule 24)"
	ruleTokens = "every grant has a higher token than all before, also after a crash (rule 25)"
	ruleGrants = "the lease is granted again within two TTLs of the last grant or restart, and to one client at a time (rule 26)"
	ruleFence  = "the store refuses a token lower than one that it has seen with a write, also after a crash, and no other (rule 27)"
	ruleSwap   = "Swap writes if and only if the file is as it was read, in one step; each write adds one to the version (rule 28)"
	ruleKept   = "what the store has confirmed is there, also after a crash (rule 29)"
)

// The nodes of these tests.
const (
	lessorNode = labrpc.NodeID(1)
	storeNode  = labrpc.NodeID(2)
	alice      = labrpc.NodeID(3)
	bob        = labrpc.NodeID(4)
)

// ttl is how long a lease lasts.
const ttl = 10 * time.Second

// An office is a lessor, a store and clients. It checks at every step that one lease at most is held,
// and at every grant that tokens grow.
type office struct {
	s       *labtest.Sim
	nodes   map[labrpc.NodeID]*labrpc.Node // of the clients
	clients map[labrpc.NodeID]*Client

	mu     sync.Mutex
	leases map[labrpc.NodeID]Lease // the last that each client acquired
	token  int                     // the highest that was granted
	grants int
	last   time.Duration // of the last grant, or restart of the lessor
}

func newOffice(s *labtest.Sim) *office {
	o := &office{s: s, nodes: map[labrpc.NodeID]*labrpc.Node{}, clients: map[labrpc.NodeID]*Client{}, leases: map[labrpc.NodeID]Lease{}}
	s.Net.Intercept(o.hear)
	s.Always(o.look)
	s.StartAll(func(n *labrpc.Node) {
		switch n.ID() {
		case lessorNode:
			NewLessor(n, ttl)
		case storeNode:
			NewStore(n)
		default:
			o.nodes[n.ID()] = n
			o.clients[n.ID()] = NewClient(n, ClientOptions{Lessor: lessorNode, Store: storeNode})
		}
	})
	return o
}

func (o *office) restartLessor() {
	o.s.Net.Crash(lessorNode)
	NewLessor(o.s.Start(lessorNode), ttl)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = o.s.Net.Now()
}

func (o *office) restartStore() {
	o.s.Net.Crash(storeNode)
	NewStore(o.s.Start(storeNode))
}

// hear sees every grant as it leaves the lessor.
func (o *office) hear(m *labrpc.Message) labrpc.Verdict {
	r, ok := m.Body.(LeaseReply)
	if !ok || !r.Granted {
		return labrpc.Pass
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Token <= o.token {
		o.s.Fail(*violation(ruleTokens, "the lessor grants %v a lease with token %d, after it granted one with token %d", m.To, r.Token, o.token))
	}
	o.token = max(o.token, r.Token)
	o.grants++
	o.last = o.s.Net.Now()
	return labrpc.Pass
}

func (o *office) look() *labtest.Violation {
	o.mu.Lock()
	defer o.mu.Unlock()
	var holder labrpc.NodeID
	for _, id := range o.s.Net.Nodes() {
		if !o.leases[id].Held() {
			continue
		}
		if holder != 0 {
			return violation(ruleHolder, "at %s both %v (token %d) and %v (token %d) hold the lease",
				stamp(o.s.Net.Now()), holder, o.leases[holder].Token, id, o.leases[id].Token)
		}
		holder = id
	}
	return nil
}

func within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// acquire asks once. It may be called from any goroutine.
func (o *office) acquire(id labrpc.NodeID, limit time.Duration) (Lease, error) {
	lease, err := o.clients[id].Acquire(within(limit))
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.leases[id] = lease
	}
	return lease, err
}

// acquires asks until the client has the lease.
func (o *office) acquires(id labrpc.NodeID) Lease {
	o.mu.Lock()
	last := o.last
	o.mu.Unlock()
	for {
		lease, err := o.acquire(id, time.Second)
		switch {
		case err == nil:
			if !lease.Held() {
				o.s.Failf(ruleGrants, "%v acquires the lease with token %d, and in the same moment does not hold it", id, lease.Token)
			}
			return lease
		case !errors.Is(err, ErrTaken):
			o.s.Failf(ruleGrants, "%v asks for the lease: %v; want the lease or %q", id, err, ErrTaken)
		}
		if o.s.Net.Now()-last > 2*ttl {
			o.s.Failf(ruleGrants, "%v asks for the lease again and again, nobody has had it since %s, and it is still refused", id, stamp(last))
		}
		o.s.Run(200 * time.Millisecond)
	}
}

// A try is a call whose result comes later.
type try struct {
	mu   sync.Mutex
	done bool
	err  error
}

func start(f func() error) *try {
	t := &try{}
	go func() {
		err := f()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done, t.err = true, err
	}()
	return t
}

func (t *try) result() (error, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err, t.done
}

// wants checks the result of a call.
func (o *office) wants(rule, what string, got, want error) {
	if !errors.Is(got, want) {
		o.s.Failf(rule, "%s: the error is %v, want %v", what, got, want)
	}
}

func (o *office) read() File {
	f, err := o.clients[bob].Read(within(time.Minute))
	o.wants(ruleKept, "bob (n4) reads the file", err, nil)
	return f
}

func (o *office) holds(rule string, want File) {
	if got := o.read(); got != want {
		o.s.Failf(rule, "the file is %+v, want %+v", got, want)
	}
}

// pauses lets alice (n3) begin a call, and stand still before it leaves, until the lease is over.
func (o *office) pauses(f func() error) *try {
	o.s.Net.Pause(alice, 2*ttl)
	return start(f)
}

// returns waits until alice is back, and for what became of her call.
func (o *office) returns(rule string, t *try) error {
	o.s.WaitFor(3*ttl, *violation(rule, "n3 is back from its pause since long, and its write has yet to return"), func() bool {
		_, done := t.result()
		return done
	})
	err, _ := t.result()
	return err
}
