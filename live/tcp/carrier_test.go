package tcp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

const wait = 20 * time.Second // for what takes milliseconds on a machine that is not busy

// A cluster is some processes within this one: n1 is process "n1", and so on.
type cluster struct {
	t         *testing.T
	keys      string
	processes map[string]Process
	listeners map[string]net.Listener
}

func newCluster(t *testing.T, names ...string) *cluster {
	c := &cluster{t: t, keys: t.TempDir(), processes: map[string]Process{}, listeners: map[string]net.Listener{}}
	require.NoError(t, MakeKeys(c.keys, names))
	for i, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		c.listeners[name] = l
		c.processes[name] = Process{Address: l.Addr().String(), Nodes: []labrpc.NodeID{labrpc.NodeID(i + 1)}}
	}
	return c
}

// A process is one started process of a cluster.
type process struct {
	carrier *Carrier
	network *labrpc.Network
	node    *labrpc.Node
	log     *logBuffer
}

// options are those of a process.
func (c *cluster) options(name string) Options {
	config, err := ReadKeys(c.keys, name)
	require.NoError(c.t, err)
	return Options{Process: name, Processes: c.processes, Version: "v1", TLS: config}
}

// start starts a process; register registers its handlers.
func (c *cluster) start(name string, opts Options, register func(n *labrpc.Node)) *process {
	p := &process{log: &logBuffer{}}
	opts.Log = slog.New(slog.NewTextHandler(p.log, nil))
	var err error
	p.carrier, err = New(opts)
	require.NoError(c.t, err)
	p.network = labrpc.New(labrpc.Options{Nodes: len(c.processes), Carrier: p.carrier})
	p.node = p.network.Start(c.processes[name].Nodes[0])
	if register != nil {
		register(p.node)
	}
	l := c.listeners[name]
	if l == nil {
		l, err = net.Listen("tcp", c.processes[name].Address)
		require.NoError(c.t, err)
	}
	c.listeners[name] = nil
	p.carrier.Serve(p.network, l)
	c.t.Cleanup(p.stop)
	return p
}

func (p *process) stop() {
	p.carrier.Close()
	p.network.Close()
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *logBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// says waits until the log of a process has the text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	if !eventually(func() bool { return strings.Contains(p.log.String(), text) }) {
		t.Fatalf("the log does not say %q:\n%s", text, p.log)
	}
}

func eventually(cond func() bool) bool {
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return cond()
}

func square(n *labrpc.Node) {
	labrpc.Handle(n, "square", func(_ labrpc.NodeID, x int) int { return x * x })
}

// reaches reports whether a call gets its reply eventually.
func (p *process) reaches(to labrpc.NodeID) bool {
	return eventually(func() bool {
		ctx, cancel := context.WithTimeout(p.node.Context(), time.Second)
		defer cancel()
		got, err := labrpc.Call[int](ctx, p.node, to, "square", 7)
		return err == nil && got == 49
	})
}

func TestCallsBetweenProcesses(t *testing.T) {
	c := newCluster(t, "n1", "n2", "n3")
	var all []*process
	for _, name := range []string{"n1", "n2", "n3"} {
		all = append(all, c.start(name, c.options(name), square))
	}
	for _, p := range all {
		for _, id := range p.node.Peers() {
			require.True(t, p.reaches(id), "%v to %v", p.node.ID(), id)
		}
	}
	// Large messages travel whole; many at once too.
	labrpc.Handle(all[1].node, "size", func(_ labrpc.NodeID, b []byte) int { return len(b) })
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	got, err := labrpc.Call[int](ctx, all[0].node, 2, "size", make([]byte, 5<<20))
	require.NoError(t, err)
	require.Equal(t, 5<<20, got)
	var group sync.WaitGroup
	for x := range 200 {
		group.Go(func() {
			got, err := labrpc.Call[int](ctx, all[0].node, 2, "square", x)
			if err != nil || got != x*x {
				t.Errorf("the square of %d is %d, %v", x, got, err)
			}
		})
	}
	group.Wait()
}

func TestConnectsAgain(t *testing.T) {
	c := newCluster(t, "n1", "n2")
	one := c.start("n1", c.options("n1"), square)
	two := c.start("n2", c.options("n2"), square)
	require.True(t, one.reaches(2))
	for range 3 {
		two.stop()
		two = c.start("n2", c.options("n2"), square)
		require.True(t, one.reaches(2), "n1 to the new n2: %s", one.log)
		require.True(t, two.reaches(1), "the new n2 to n1: %s", two.log)
	}
}

// A process that has been restarted is connected to at once, however long this one has waited for it.
func TestAPeerThatConnectsIsBack(t *testing.T) {
	c := newCluster(t, "n1", "n2")
	two := c.start("n2", c.options("n2"), square)
	opts := c.options("n1")
	opts.firstPause = time.Hour
	one := c.start("n1", opts, square)
	require.True(t, one.reaches(2))
	two.stop()
	one.says(t, "no connection")
	two = c.start("n2", c.options("n2"), square)
	require.True(t, one.reaches(2), "n1 to the new n2: %s", one.log)
}

func TestRefusesOthers(t *testing.T) {
	t.Run("another version", func(t *testing.T) {
		c := newCluster(t, "n1", "n2")
		c.start("n1", c.options("n1"), square)
		opts := c.options("n2")
		opts.Version = "v2"
		two := c.start("n2", opts, square)
		two.says(t, "n2 runs version v2 of the course and its lab, this process runs v1: start all processes from one build")
	})
	t.Run("a stranger", func(t *testing.T) {
		c, other := newCluster(t, "n1", "n2"), newCluster(t, "n1", "n2")
		one := c.start("n1", c.options("n1"), square)
		opts := other.options("n2") // the right name, signed by another authority
		opts.Processes = c.processes
		c.start("n2", opts, square)
		one.says(t, "certificate")
		require.Empty(t, one.network.Stats(labrpc.Match{From: 2}))
	})
	t.Run("one that calls itself another", func(t *testing.T) {
		c := newCluster(t, "n1", "n2", "n3")
		c.start("n1", c.options("n1"), square)
		opts := c.options("n2")
		opts.Process = "n3"
		c.start("n3", opts, square).says(t, "the process that calls itself n3 has the key of n2")
	})
	t.Run("one that sends in another's name", func(t *testing.T) {
		c := newCluster(t, "n1", "n2", "n3")
		one := c.start("n1", c.options("n1"), square)
		opts := c.options("n2")
		opts.Processes = map[string]Process{"n1": c.processes["n1"], "n2": {Address: c.processes["n2"].Address, Nodes: []labrpc.NodeID{3}}, "n3": {Address: c.processes["n3"].Address, Nodes: []labrpc.NodeID{2}}}
		carrier, err := New(opts)
		require.NoError(t, err)
		network := labrpc.New(labrpc.Options{Nodes: 3, Carrier: carrier})
		defer network.Close()
		node := network.Start(3)
		carrier.Serve(network, c.listeners["n2"])
		defer carrier.Close()
		for end := time.Now().Add(wait); time.Now().Before(end) && !strings.Contains(one.log.String(), "in the name of"); time.Sleep(10 * time.Millisecond) {
			require.NoError(t, labrpc.Send(node, 1, "square", 1))
		}
		one.says(t, "n2 sent in the name of n3, which belongs to n3")
	})
	t.Run("plain text", func(t *testing.T) {
		c := newCluster(t, "n1", "n2")
		one := c.start("n1", c.options("n1"), square)
		conn, err := net.Dial("tcp", c.processes["n1"].Address)
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		require.NoError(t, err)
		one.says(t, "connection ended")
	})
}

// What a process of the cluster sends that is no frame ends its connection, and nothing else.
func TestSurvivesDamagedFrames(t *testing.T) {
	c := newCluster(t, "n1", "n2")
	one := c.start("n1", c.options("n1"), square)
	good, err := encodePacket(labrpc.Packet{Kind: labrpc.OneWay, From: 2, To: 1, Method: "square"})
	require.NoError(t, err)
	var frame bytes.Buffer
	require.NoError(t, writeFrame(&frame, good))
	flipped := bytes.Clone(frame.Bytes())
	flipped[len(flipped)-1] ^= 1
	for name, sent := range map[string][]byte{
		"checksum":         flipped,
		"frame is longer":  {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"unexpected EOF":   frame.Bytes()[:frame.Len()-1],
		"does not belong":  framed(t, labrpc.Packet{Kind: labrpc.OneWay, From: 2, To: 2}),
		"is of kind":       framed(t, labrpc.Packet{Kind: "letter", From: 2, To: 1}),
		"in the name of":   framed(t, labrpc.Packet{Kind: labrpc.OneWay, From: 1, To: 1}),
		"cannot unmarshal": {0, 0, 0, 1, 0x52, 0x7d, 0x53, 0x51, 0}, // the CBOR number 0
	} {
		conn := c.dial("n2", "n1")
		_, err := conn.Write(sent)
		require.NoError(t, err)
		require.NoError(t, conn.CloseWrite())
		one.says(t, name)
		conn.Close()
	}
	c.start("n2", c.options("n2"), square)
	require.True(t, one.reaches(2))
}

func framed(t *testing.T, p labrpc.Packet) []byte {
	b, err := encodePacket(p)
	require.NoError(t, err)
	var frame bytes.Buffer
	require.NoError(t, writeFrame(&frame, b))
	return frame.Bytes()
}

// dial connects as one process to another, and greets it.
func (c *cluster) dial(from, to string) *tls.Conn {
	config, err := ReadKeys(c.keys, from)
	require.NoError(c.t, err)
	config.ServerName = to
	conn, err := tls.Dial("tcp", c.processes[to].Address, config)
	require.NoError(c.t, err)
	require.NoError(c.t, writeValue(conn, hello{Speaks: protocolName, Version: "v1", Process: from}))
	var w welcome
	require.NoError(c.t, readValue(bufio.NewReader(conn), &w))
	require.Empty(c.t, w.Refused)
	return conn
}

// Nothing that a node does waits for a peer that does not take its messages: they are lost.
func TestLosesWhatDoesNotFit(t *testing.T) {
	c := newCluster(t, "n1", "n2")
	one := c.start("n1", c.options("n1"), nil) // n2's process listens, but accepts nothing
	began := time.Now()
	for range 3 * queueLength {
		require.NoError(t, labrpc.Send(one.node, 2, "square", 1))
	}
	require.Less(t, time.Since(began), wait)
	require.GreaterOrEqual(t, one.carrier.Lost(), uint64(queueLength))
}

func TestKeysAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, MakeKeys(dir, []string{"n1"}))
	first, err := ReadKeys(dir, "n1")
	require.NoError(t, err)
	require.NoError(t, MakeKeys(dir, []string{"n1"}))
	again, err := ReadKeys(dir, "n1")
	require.NoError(t, err)
	require.Equal(t, first.Certificates[0].Certificate, again.Certificates[0].Certificate)
	// One more process needs new keys for all: the authority's own key is not kept.
	require.NoError(t, MakeKeys(dir, []string{"n1", "n2"}))
	_, err = ReadKeys(dir, "n2")
	require.NoError(t, err)
	_, err = ReadKeys(dir, "n3")
	require.Error(t, err)
}
