package labrpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
)

// A stamped value is what a register holds; the greater Stamp is the newer.
type stamped struct {
	Stamp int
	Value string
}

type nothing struct{}

// A replica keeps one copy of the register, on its disk.
type replica struct {
	node *labrpc.Node

	mu  sync.Mutex
	now stamped
}

func startReplica(node *labrpc.Node) error {
	r := &replica{node: node}
	if _, err := node.Disk().Load("register", &r.now); err != nil {
		return err
	}
	labrpc.Handle(node, "get", r.get)
	labrpc.Handle(node, "put", r.put)
	return nil
}

func (r *replica) get(labrpc.NodeID, nothing) stamped {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *replica) put(_ labrpc.NodeID, v stamped) nothing {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.Stamp > r.now.Stamp {
		r.now = v
		if err := r.node.Disk().Save("register", v); err != nil {
			r.node.Logf("%v", err) // only ErrDown; then nobody hears the reply
		}
	}
	return nothing{}
}

// A register is a client's view of an atomic register with one writer and
// many readers, kept by replicas of which a minority may be down
// (Attiya, Bar-Noy, Dolev 1995).
type register struct {
	node     *labrpc.Node
	replicas []labrpc.NodeID
}

// Write writes a value. The one writer gives each write a greater stamp.
func (r *register) Write(v stamped) error {
	_, err := quorum[nothing](r, "put", v)
	return err
}

// Read writes back what it found before it returns: else a later read could
// ask another majority and find something older.
func (r *register) Read() (stamped, error) {
	replies, err := quorum[stamped](r, "get", nothing{})
	if err != nil {
		return stamped{}, err
	}
	var newest stamped
	for _, v := range replies {
		if v.Stamp > newest.Stamp {
			newest = v
		}
	}
	return newest, r.Write(newest)
}

// quorum calls all replicas, again and again, until a majority has replied.
// The error says that this client is down.
func quorum[R, A any](r *register, method string, args A) ([]R, error) {
	ctx, cancel := context.WithCancel(r.node.Context())
	defer cancel()
	replies := make(chan R, len(r.replicas))
	for _, to := range r.replicas {
		go func() {
			for ctx.Err() == nil {
				once, done := context.WithTimeout(ctx, 60*time.Millisecond)
				reply, err := labrpc.Call[R](once, r.node, to, method, args)
				done()
				if err == nil {
					replies <- reply
					return
				}
			}
		}()
	}
	var got []R
	for len(got) <= len(r.replicas)/2 {
		select {
		case reply := <-replies:
			got = append(got, reply)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return got, nil
}

// An operation is one read or write, as its client tells it to the test.
type operation struct {
	Client     labrpc.NodeID
	Wrote      bool
	Value      stamped
	Start, End time.Time
}

// A history is all operations told so far, in the order of their ends.
type history struct {
	mu  sync.Mutex // Tell's function runs in the network's goroutine
	ops []operation
}

func (h *history) add(_ time.Duration, op operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

func (h *history) all() []operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops[:len(h.ops):len(h.ops)]
}

// client writes (or reads) the register n times, with pauses, and tells each.
func (h *history) client(r *register, write bool, n int) {
	for i := 1; i <= n; i++ {
		op := operation{Client: r.node.ID(), Wrote: write, Start: time.Now()}
		var err error
		if write {
			op.Value = stamped{Stamp: i, Value: fmt.Sprint("value ", i)}
			err = r.Write(op.Value)
		} else {
			op.Value, err = r.Read()
		}
		if err != nil {
			return
		}
		op.End = time.Now()
		_ = labrpc.Tell(r.node, op, h.add) // fails only if the client is down
		time.Sleep(time.Duration(r.node.Rand().IntN(30)) * time.Millisecond)
	}
}

// checkAtomic returns how many reads overlapped a write. It fails the test if
// an operation returned a value older than one that was written or read
// before it began, or a value of which the write had not begun.
func checkAtomic(t *testing.T, ops []operation) (overlapping int) {
	t.Helper()
	for _, op := range ops {
		if op.Wrote {
			continue
		}
		begun := op.Value.Stamp == 0
		for _, other := range ops {
			if other.End.Before(op.Start) && other.Value.Stamp > op.Value.Stamp {
				t.Errorf("%v read %v at %v, although %v had %v already at %v",
					op.Client, op.Value, op.Start, other.Client, other.Value, other.End)
			}
			if other.Wrote && other.Value == op.Value && other.Start.Before(op.End) {
				begun = true
			}
			if other.Wrote && other.Start.Before(op.End) && op.Start.Before(other.End) {
				overlapping++
			}
		}
		if !begun {
			t.Errorf("%v read %v, which nobody had written", op.Client, op.Value)
		}
	}
	return overlapping
}

// A read returns what was written before it, or newer, and never goes back,
// although messages are lost and one or two of five replicas are always down.
func TestExampleRegister(t *testing.T) {
	var virtual time.Duration
	overlapping := 0
	began := time.Now()
	for seed := range uint64(15) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ops, took := runRegister(t, seed)
				overlapping += checkAtomic(t, ops)
				virtual += took
			})
		})
	}
	if overlapping < 50 {
		t.Errorf("only %d reads overlapped a write: the test tests nothing", overlapping)
	}
	t.Logf("%v virtual at %.0f virtual seconds in a real one", virtual, virtual.Seconds()/time.Since(began).Seconds())
}

func runRegister(t *testing.T, seed uint64) ([]operation, time.Duration) {
	const each = 30
	net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 8, Link: labrpc.FairLoss(0.2)})
	defer net.Close()
	start := func(id labrpc.NodeID) {
		if err := startReplica(net.Start(id)); err != nil {
			t.Errorf("%v does not start: %v", id, err)
		}
	}
	replicas, clients := net.Nodes()[:5], net.Nodes()[5:]
	for _, id := range replicas {
		start(id)
	}
	var h history
	for _, id := range clients {
		r := &register{node: net.Start(id), replicas: replicas}
		go h.client(r, id == clients[0], each)
	}

	// Two replicas at most are down at any time, and each comes back in turn.
	rng := rand.New(rand.NewPCG(seed, 1))
	down := replicas[:2]
	net.Crash(down[0])
	net.Crash(down[1])
	finished := func() bool { return len(h.all()) == each*len(clients) }
	for !net.RunUntil(time.Duration(rng.IntN(100))*time.Millisecond, finished) {
		if net.Now() > time.Minute {
			t.Fatalf("%d of %d operations done after %v", len(h.all()), each*len(clients), net.Now())
		}
		start(down[0])
		next := (down[1] % 5) + 1
		net.Crash(next)
		down = []labrpc.NodeID{down[1], next}
	}
	return h.all(), net.Now()
}
