package election_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

const (
	ruleHolder  = "at any instant at most one lease is held, whatever the lessor's crashes, slow messages and wall clocks; a lease ends TTL after its grant (rule 24)"
	ruleTokens  = "every grant has a higher token than all grants before it, also after a crash, and Acquire returns a token that was granted (rule 25)"
	ruleGrants  = "one of the clients that keep asking gets the lease within 2 TTLs of the last grant or start of the lessor, and holds it for at least ¾ TTL (rule 26)"
	ruleFence   = "the store refuses a Write if and only if its token is lower than the highest token of the writes that it has executed, also after a crash (rule 27)"
	ruleSwap    = "Swap writes if and only if the file has the version that was read, in one atomic step; each write adds 1 to the version (rule 28)"
	ruleKept    = "a confirmed write is there for each later Read, also after a crash; an unconfirmed one is there once, with its version and its token, or not at all (rule 29)"
	ruleContext = "a call of a Client returns when its own context ends, within 10ms, with an error that wraps the context's (rule 30)"
)

// The nodes of these tests.
const (
	lessorNode = labrpc.NodeID(1)
	storeNode  = labrpc.NodeID(2)
	alice      = labrpc.NodeID(3)
	bob        = labrpc.NodeID(4)
)

// ttl is the length of a lease.
const ttl = 10 * time.Second

// A leaseCluster is a lessor, a store and clients. It checks at every step that at most one lease is held, and at every grant
// that tokens grow.
type leaseCluster struct {
	s       *labtest.Sim
	nodes   map[labrpc.NodeID]*labrpc.Node // of the clients
	clients map[labrpc.NodeID]*Client

	mu     sync.Mutex
	leases []acquiredLease
	token  int                   // the highest that was granted
	to     map[int]labrpc.NodeID // the client that each token was granted to
	grants int
	began  bool          // the lessor has granted nothing since its last start
	last   time.Duration // the last grant, or start of the lessor
}

type acquiredLease struct {
	Lease
	by labrpc.NodeID
}

func newLeaseCluster(s *labtest.Sim) *leaseCluster {
	o := &leaseCluster{s: s, nodes: map[labrpc.NodeID]*labrpc.Node{}, clients: map[labrpc.NodeID]*Client{}, to: map[int]labrpc.NodeID{}}
	s.Net.Intercept(o.recordMessage)
	s.Always(o.checkLeases)
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

func (o *leaseCluster) restartLessor() {
	o.s.Net.Crash(lessorNode)
	o.mu.Lock()
	o.began, o.last = true, o.s.Net.Now()
	o.mu.Unlock()
	NewLessor(o.s.Start(lessorNode), ttl)
}

func (o *leaseCluster) restartStore() {
	o.s.Net.Crash(storeNode)
	NewStore(o.s.Start(storeNode))
}

// recordMessage records every grant when it is sent.
func (o *leaseCluster) recordMessage(m *labrpc.Message) labrpc.Verdict {
	r, ok := m.Body.(LeaseReply)
	if !ok || !r.Granted {
		return labrpc.Pass
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.Token == o.token && m.To == o.to[r.Token] && !o.began {
		return labrpc.Pass // the reply to a copy of the request, perhaps: acquire checks that no two calls return this token
	}
	o.began = false
	if r.Token <= o.token {
		o.s.Fail(*violation(ruleTokens, "the lessor grants %v a lease with token %d, although it granted one with token %d before", m.To, r.Token, o.token))
	}
	o.token = max(o.token, r.Token)
	o.to[r.Token] = m.To
	o.grants++
	o.last = o.s.Net.Now()
	return labrpc.Pass
}

func (o *leaseCluster) checkLeases() *labtest.Violation {
	o.mu.Lock()
	defer o.mu.Unlock()
	holder := -1
	for i, lease := range o.leases {
		if !lease.Held() {
			continue
		}
		if holder >= 0 {
			return violation(ruleHolder, "at %s two leases are held: one of %v (token %d) and one of %v (token %d)",
				labtest.At(o.s.Net.Now()), o.leases[holder].by, o.leases[holder].Token, lease.by, lease.Token)
		}
		holder = i
	}
	return nil
}

func within(limit time.Duration) context.Context {
	ctx, cancel := labtest.WithTimeout(context.Background(), limit)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// acquire asks once. It may be called from any goroutine.
func (o *leaseCluster) acquire(id labrpc.NodeID, limit time.Duration) (Lease, error) {
	lease, err := o.clients[id].Acquire(within(limit))
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, earlier := range o.leases {
			if earlier.Token == lease.Token {
				o.s.Fail(*violation(ruleTokens, "Acquire at %v returned a lease with token %d, although an earlier call at %v had returned one with this token", id, lease.Token, earlier.by))
			}
		}
		o.leases = append(o.leases, acquiredLease{lease, id})
	}
	return lease, err
}

// acquires asks until the client has the lease.
func (o *leaseCluster) acquires(id labrpc.NodeID) Lease {
	o.mu.Lock()
	last := o.last
	o.mu.Unlock()
	for {
		asked := o.s.Net.Now()
		lease, err := o.acquire(id, time.Second)
		switch {
		case err == nil:
			if !lease.Held() {
				o.s.Failf(ruleGrants, "Acquire at %v returned a lease with token %d that is not held", id, lease.Token)
			}
			o.mu.Lock()
			to, token := o.to[lease.Token], o.token
			o.mu.Unlock()
			if to != id {
				granted := fmt.Sprintf("n1, the lessor, has granted to nobody: its last grant has token %d", token)
				if to != 0 {
					granted = fmt.Sprintf("n1, the lessor, has granted to %v", to)
				}
				o.s.Failf(ruleTokens, "Acquire at %v returned a lease with token %d, want the token of a grant to %v: this token %s", id, lease.Token, id, granted)
			}
			return lease
		case !errors.Is(err, ErrTaken):
			o.s.Failf(ruleGrants, "Acquire at %v returned %s, want a lease or ErrTaken", id, errorText(err))
		}
		if asked-last > 2*ttl {
			o.s.Failf(ruleGrants, "%v asks for the lease every 200ms, the last grant or start of the lessor was at %s, but a request of %s was still refused", id, labtest.At(last), labtest.At(asked))
		}
		o.s.Run(200 * time.Millisecond)
	}
}

// A pendingCall is a call whose result comes later.
type pendingCall struct {
	mu   sync.Mutex
	done bool
	err  error
}

func startCall(f func() error) *pendingCall {
	t := &pendingCall{}
	go func() {
		err := f()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.done, t.err = true, err
	}()
	return t
}

func (t *pendingCall) result() (error, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err, t.done
}

// wants checks the result of a call.
func (o *leaseCluster) wants(rule, what string, got, want error) {
	if !errors.Is(got, want) {
		wanted := errorText(want)
		if got != nil && want != nil {
			wanted = "an error that wraps " + wanted
		}
		o.s.Failf(rule, "%s: the call returned %s, want %s", what, errorText(got), wanted)
	}
}

// errorText names an error that the lab knows, and quotes any other error.
func errorText(err error) string {
	if err == nil {
		return "nil"
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{ErrTaken, "ErrTaken"}, {ErrStale, "ErrStale"}, {ErrConflict, "ErrConflict"},
		{context.Canceled, "context.Canceled"}, {context.DeadlineExceeded, "context.DeadlineExceeded"},
	} {
		switch {
		case err == known.err:
			return known.name
		case errors.Is(err, known.err):
			return fmt.Sprintf("the error %q, which wraps %s", err, known.name)
		}
	}
	return fmt.Sprintf("the error %q", err)
}

func (o *leaseCluster) read() File {
	f, err := o.clients[bob].Read(within(time.Minute))
	o.wants(ruleKept, "n4 reads the file", err, nil)
	return f
}

func (o *leaseCluster) holds(rule string, want File, why ...string) {
	if got := o.read(); got != want {
		o.s.Failf(rule, "the store, %v, returned Value %q and Version %d to n4, want Value %q and Version %d%s", storeNode, got.Value, got.Version, want.Value, want.Version,
			strings.Join(append([]string{""}, why...), ": "))
	}
}

// pauses lets n3 (alice) begin a call, and pauses n3 before its message leaves, until the lease has expired.
func (o *leaseCluster) pauses(f func() error) *pendingCall {
	o.s.Net.Pause(alice, 2*ttl+time.Second) // the lease is granted again within 2 TTLs (rule 26)
	return startCall(f)
}

// returns waits until n3 is back and its call has returned.
func (o *leaseCluster) returns(rule string, t *pendingCall) error {
	return o.waits(3*ttl, violation(rule, "n3's write has not returned, although its pause ended long ago"), t)
}

// waits waits until a call has returned, and returns its error.
func (o *leaseCluster) waits(limit time.Duration, v *labtest.Violation, t *pendingCall) error {
	o.s.WaitFor(limit, *v, func() bool { _, done := t.result(); return done })
	err, _ := t.result()
	return err
}
