package labrpc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// A pipe is a carrier between two networks in one process: each has one of the two nodes.
type pipe struct {
	local labrpc.NodeID
	store labrpc.Store

	mu    sync.Mutex
	other *labrpc.Network
	lost  bool // every packet is
	late  []labrpc.Packet
	keep  bool // put packets into late
}

func (p *pipe) Local(id labrpc.NodeID) bool         { return id == p.local }
func (p *pipe) Store(id labrpc.NodeID) labrpc.Store { return p.store }
func (p *pipe) set(f func())                        { p.mu.Lock(); defer p.mu.Unlock(); f() }
func (p *pipe) Carry(packet labrpc.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.keep:
		p.late = append(p.late, packet)
	case !p.lost:
		other := p.other
		go func() { _ = other.Arrive(packet) }()
	}
}

// connect starts n1 and n2, each in a network of its own.
func connect(t *testing.T, opts labrpc.Options) (pipes [3]*pipe, nets [3]*labrpc.Network, nodes [3]*labrpc.Node) {
	t.Helper()
	for id := labrpc.NodeID(1); id <= 2; id++ {
		opts.Nodes, opts.Carrier = 2, &pipe{local: id}
		pipes[id] = opts.Carrier.(*pipe)
		nets[id] = labrpc.New(opts)
		t.Cleanup(nets[id].Close)
		nodes[id] = nets[id].Start(id)
	}
	pipes[1].set(func() { pipes[1].other = nets[2] })
	pipes[2].set(func() { pipes[2].other = nets[1] })
	return pipes, nets, nodes
}

// everything has a value of each kind of type that may travel.
type everything struct {
	Bool    bool
	Int     int64
	Uint    uint8
	Float   float64
	Text    string
	Bytes   []byte
	Nothing []byte
	Empty   []string
	List    []part
	Array   [3]int
	Pointer *part
	None    *part
	Map     map[string]part
	At      time.Time
}

type part struct{ A, B int }

func sample() everything {
	return everything{
		Bool: true, Int: -1 << 62, Uint: 200, Float: 0.1, Text: "é\x00", Bytes: []byte{0, 255}, Empty: []string{},
		List: []part{{1, 2}, {}}, Array: [3]int{1, 2, 3}, Pointer: &part{3, 4}, Map: map[string]part{"x": {5, 6}},
		At: time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC),
	}
}

func TestCarriesValuesBetweenProcesses(t *testing.T) {
	_, _, nodes := connect(t, labrpc.Options{})
	require.Equal(t, []labrpc.NodeID{2}, nodes[1].Peers())
	labrpc.Handle(nodes[2], "echo", func(from labrpc.NodeID, v everything) everything {
		v.Text += from.String()
		return v
	})
	got := make(chan everything, 1)
	labrpc.Receive(nodes[2], "note", func(from labrpc.NodeID, v everything) { got <- v })

	reply, err := labrpc.Call[everything](short(t, nodes[1]), nodes[1], 2, "echo", sample())
	require.NoError(t, err)
	want := sample()
	want.Text += "n1"
	require.Equal(t, want, reply)
	require.NoError(t, labrpc.Send(nodes[1], 2, "note", sample()))
	require.Equal(t, sample(), <-got)
}

// short is a context with time enough for a call that gets its reply.
func short(t *testing.T, n *labrpc.Node) context.Context {
	ctx, cancel := context.WithTimeout(n.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestRefusesBetweenProcesses(t *testing.T) {
	_, nets, nodes := connect(t, labrpc.Options{})
	labrpc.Handle(nodes[2], "square", func(_ labrpc.NodeID, x int) int { return x * x })
	labrpc.Receive(nodes[2], "note", func(labrpc.NodeID, int) {})

	_, err := labrpc.Call[int](short(t, nodes[1]), nodes[1], 2, "cube", 3)
	require.ErrorIs(t, err, labrpc.ErrNoMethod)
	require.ErrorContains(t, err, "n2 has [note square]")
	_, err = labrpc.Call[int](short(t, nodes[1]), nodes[1], 2, "note", 3)
	require.ErrorIs(t, err, labrpc.ErrNoMethod)
	_, err = labrpc.Call[int](short(t, nodes[1]), nodes[1], 2, "square", "three")
	require.ErrorIs(t, err, labrpc.ErrType)
	require.ErrorContains(t, err, "expects int, got string")
	_, err = labrpc.Call[string](short(t, nodes[1]), nodes[1], 2, "square", 3)
	require.ErrorIs(t, err, labrpc.ErrType)
	_, err = labrpc.Call[int](short(t, nodes[1]), nodes[1], 3, "square", 3)
	require.ErrorIs(t, err, labrpc.ErrNoNode)

	require.NoError(t, labrpc.Send(nodes[1], 2, "square", 3))
	require.Eventually(t, func() bool { return len(nets[2].Misuses()) == 1 }, 10*time.Second, time.Millisecond)
}

func TestACallEndsWithItsContextBetweenProcesses(t *testing.T) {
	pipes, nets, nodes := connect(t, labrpc.Options{})
	labrpc.Handle(nodes[2], "square", func(_ labrpc.NodeID, x int) int { return x * x })
	pipes[1].set(func() { pipes[1].lost = true })
	ctx, cancel := context.WithTimeout(nodes[1].Context(), 10*time.Millisecond)
	defer cancel()
	_, err := labrpc.Call[int](ctx, nodes[1], 2, "square", 3)
	require.ErrorIs(t, err, labrpc.ErrNoReply)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	done := make(chan error, 1)
	go func() {
		_, err := labrpc.Call[int](context.Background(), nodes[1], 2, "square", 3)
		done <- err
	}()
	require.Eventually(t, func() bool { return nets[1].Stats(labrpc.Match{}).Sent == 2 }, 10*time.Second, time.Millisecond)
	nets[1].Crash(1)
	require.ErrorIs(t, <-done, labrpc.ErrDown)
}

func TestAReplyThatIsLateOrComesTwiceIsLost(t *testing.T) {
	pipes, nets, nodes := connect(t, labrpc.Options{})
	labrpc.Handle(nodes[2], "square", func(_ labrpc.NodeID, x int) int { return x * x })
	pipes[2].set(func() { pipes[2].keep = true })
	ctx, cancel := context.WithTimeout(nodes[1].Context(), 20*time.Millisecond)
	defer cancel()
	_, err := labrpc.Call[int](ctx, nodes[1], 2, "square", 3)
	require.ErrorIs(t, err, labrpc.ErrNoReply)
	var late labrpc.Packet
	require.Eventually(t, func() bool {
		pipes[2].set(func() {
			if len(pipes[2].late) > 0 {
				late, pipes[2].keep = pipes[2].late[0], false
			}
		})
		return late.Kind == labrpc.Reply
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, nets[1].Arrive(late))
	require.NoError(t, nets[1].Arrive(late))
	got, err := labrpc.Call[int](short(t, nodes[1]), nodes[1], 2, "square", 4)
	require.NoError(t, err)
	require.Equal(t, 16, got)
}

// What crosses between processes meets the sender's link and the cuts of both sides.
func TestLinksActBetweenProcesses(t *testing.T) {
	_, nets, nodes := connect(t, labrpc.Options{})
	got := make(chan int, 100)
	labrpc.Receive(nodes[2], "count", func(_ labrpc.NodeID, x int) { got <- x })
	for side := 1; side <= 2; side++ {
		nets[side].Cut(1, 2)
		require.NoError(t, labrpc.Send(nodes[1], 2, "count", side))
		time.Sleep(20 * time.Millisecond)
		nets[side].HealBoth(1, 2)
		require.NoError(t, labrpc.Send(nodes[1], 2, "count", 10*side))
		require.Equal(t, 10*side, <-got)
	}
	nets[1].SetLink(1, 2, labrpc.Link{Duplicate: 1})
	require.NoError(t, labrpc.Send(nodes[1], 2, "count", 7))
	require.Equal(t, []int{7, 7}, []int{<-got, <-got})
}

func TestArriveRefusesWhatIsNotItsOwn(t *testing.T) {
	_, nets, _ := connect(t, labrpc.Options{})
	for _, p := range []labrpc.Packet{
		{Kind: labrpc.OneWay, From: 1, To: 2}, {Kind: labrpc.OneWay, From: 2, To: 3}, {Kind: labrpc.OneWay, From: 9, To: 1},
		{Kind: "letter", From: 2, To: 1}, {Kind: labrpc.OneWay, From: 1, To: 1},
	} {
		require.Error(t, nets[1].Arrive(p), fmt.Sprint(p))
	}
	// A value that does not decode is a misuse, and no panic.
	labrpc.Receive(nets[1].Restart(1), "note", func(labrpc.NodeID, part) {})
	require.NoError(t, nets[1].Arrive(labrpc.Packet{Kind: labrpc.OneWay, From: 2, To: 1, Method: "note", Type: "labrpc_test.part", Body: []byte{0xff}}))
	require.Len(t, nets[1].Misuses(), 1)
	require.Panics(t, func() { nets[1].Start(2) })
}

// A memory is a store that can fail.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
	err  error
}

func (m *memory) Records() map[string][]byte { return maps.Clone(m.data) }
func (m *memory) Write(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.data[name] = data
	}
	return m.err
}

func TestADiskIsKeptInItsStore(t *testing.T) {
	store := &memory{data: map[string][]byte{"term": {3}}}
	net := labrpc.New(labrpc.Options{Nodes: 1, Carrier: &pipe{local: 1, store: store}})
	defer net.Close()
	node := net.Start(1)
	var term int
	found, err := node.Disk().Load("term", &term)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 3, term)
	require.NoError(t, node.Disk().Save("term", 4))
	require.NoError(t, node.Disk().Delete("vote"))
	require.Equal(t, map[string][]byte{"term": {4}, "vote": nil}, store.data)

	store.err = errors.New("no space left")
	require.ErrorIs(t, node.Disk().Save("term", 5), labrpc.ErrDown)
	require.Error(t, node.Context().Err(), "a node whose disk fails is down")
	require.Equal(t, []byte{4}, store.data["term"])
}
