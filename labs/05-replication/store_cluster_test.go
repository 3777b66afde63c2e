package replication_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A storeCluster is a store on the first nodes, and clients on those after them.
type storeCluster struct {
	s       *labtest.Sim
	epoch   time.Time
	opts    ServerOptions
	servers []labrpc.NodeID

	mu      sync.Mutex
	running map[labrpc.NodeID]*Server
	history []operation
}

// newStoreCluster starts that many servers; the other nodes are for clients.
func newStoreCluster(s *labtest.Sim, servers int, opts ServerOptions) *storeCluster {
	v := &storeCluster{s: s, epoch: time.Now(), servers: s.Net.Nodes()[:servers], running: map[labrpc.NodeID]*Server{}}
	opts.Servers = v.servers
	v.opts = opts
	s.Restarts(v.boot, v.servers...)
	v.startDown()
	return v
}

// startDown starts every server that is down.
func (v *storeCluster) startDown() {
	for _, id := range v.servers {
		if !v.s.Net.Up(id) {
			v.boot(v.s.Start(id))
		}
	}
}

// boot has a node that has been started run a server.
func (v *storeCluster) boot(node *labrpc.Node) {
	srv := StartServer(node, v.opts)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running[node.ID()] = srv
}

// status returns the Status of a server's Raft; false if the server is down.
func (v *storeCluster) status(id labrpc.NodeID) (Status, bool) {
	v.mu.Lock()
	srv := v.running[id]
	v.mu.Unlock()
	if !v.s.Net.Up(id) || srv == nil || srv.Raft() == nil {
		return Status{}, false
	}
	return srv.Raft().Status(), true
}

// leader returns the server that a majority knows as the leader, itself included; 0 if there is none.
func (v *storeCluster) leader() labrpc.NodeID {
	for _, id := range v.servers {
		st, up := v.status(id)
		if !up || st.Role != roleLeader {
			continue
		}
		follow := 0
		for _, o := range v.servers {
			if other, up := v.status(o); up && other.Term == st.Term && (o == id || other.Leader == id) {
				follow++
			}
		}
		if follow > len(v.servers)/2 {
			return id
		}
	}
	return 0
}

// waitForLeader waits for a leader other than the given one.
func (v *storeCluster) waitForLeader(other labrpc.NodeID) labrpc.NodeID {
	v.s.WaitFor(commandLimit, labtest.Violation{
		What: fmt.Sprintf("no server became leader within %v, although a majority is up and connected", commandLimit), Rule: ruleReturns,
	}, func() bool { return v.leader() != 0 && v.leader() != other })
	return v.leader()
}

// others returns all nodes but the given ones.
func (v *storeCluster) others(not ...labrpc.NodeID) []labrpc.NodeID {
	var all []labrpc.NodeID
	for _, id := range v.s.Net.Nodes() {
		out := false
		for _, n := range not {
			out = out || n == id
		}
		if !out {
			all = append(all, id)
		}
	}
	return all
}

// moveLeader makes a server other than the present leader lead, and heals the network.
func (v *storeCluster) moveLeader() labrpc.NodeID {
	old := v.waitForLeader(0)
	v.s.Net.Isolate(old)
	leader := v.waitForLeader(old)
	v.s.Net.Heal()
	return leader
}

// A testClient uses the store from a client's node.
type testClient struct {
	v    *storeCluster
	id   labrpc.NodeID
	node *labrpc.Node
	opts ClientOptions

	mu     sync.Mutex
	client *Client // nil until it is connected
	calls  int     // of startCall
}

// connect starts a node and connects a client on it, with a session that expires after ttl without a request.
func (v *storeCluster) connect(id labrpc.NodeID, ttl time.Duration) *testClient {
	c := v.newClient(id, ttl)
	c.dial(nil)
	return c
}

// newClient starts a node for a client.
func (v *storeCluster) newClient(id labrpc.NodeID, ttl time.Duration) *testClient {
	return &testClient{v: v, id: id, node: v.s.Start(id), opts: ClientOptions{Servers: slices.Clone(v.servers), TTL: ttl}}
}

// dial calls Connect, with a context that limit may bound.
func (c *testClient) dial(limit func(context.Context) (context.Context, context.CancelFunc)) {
	_, err := startCall(c, "Connect", func(ctx context.Context, _ *Client) (bool, error) {
		if limit != nil {
			var cancel context.CancelFunc
			ctx, cancel = limit(ctx)
			defer cancel()
		}
		client, err := Connect(ctx, c.node, c.opts)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.client = client
		return true, err
	}).wait()
	if err != "" {
		c.v.s.Failf(ruleReturns, "on %v, Connect returned %s, want no error", c.id, err)
	}
}

func (c *testClient) connected() *Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}

// An outcome is what a call of the client returned, and when.
type outcome[T any] struct {
	Value T
	Err   string // "", or the name of the error
	At    time.Duration
}

// A pendingCall is a call that is under way.
type pendingCall[T any] struct {
	c    *testClient
	what string

	mu   sync.Mutex
	done bool
	got  outcome[T]
}

// startCall begins a call on the client's node.
func startCall[T any](c *testClient, what string, f func(ctx context.Context, client *Client) (T, error)) *pendingCall[T] {
	c.mu.Lock()
	c.calls++
	id := fmt.Sprint("call ", c.calls)
	c.mu.Unlock()
	c.v.s.Called(c.id, id, what)
	return launch(c, what, id, f)
}

// launch runs f on the client's node. With an id, the end of the call is put into the record of the run.
func launch[T any](c *testClient, what, id string, f func(ctx context.Context, client *Client) (T, error)) *pendingCall[T] {
	l := &pendingCall[T]{c: c, what: what}
	go func() {
		value, err := f(c.node.Context(), c.connected())
		tellTest(c, outcome[T]{Value: value, Err: errorName(err), At: time.Since(c.v.epoch)}, func(_ time.Duration, got outcome[T]) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.done, l.got = true, got
			if id != "" && c.v.s.Recording() {
				c.v.s.Returned(c.id, id, resultText(got.Value, got.Err))
			}
		})
	}()
	return l
}

// resultText describes what a call returned.
func resultText(value any, err string) string {
	if y, ok := value.(response); ok && err == "" {
		return fmt.Sprintf("%q, revision %d", y.Data, y.Revision)
	}
	return orNil(err)
}

// tellTest hands a value to the test, unless the client's node is down.
func tellTest[T any](c *testClient, value T, sink func(time.Duration, T)) {
	// The one other error is of a type that cannot travel, which would be a mistake in the test.
	if err := labrpc.Tell(c.node, value, sink); err != nil && !errors.Is(err, labrpc.ErrDown) {
		c.v.s.Failf(noRule, "Tell: %v", err)
	}
}

func (l *pendingCall[T]) returned() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// wait returns what the call returned. The call must return in time.
func (l *pendingCall[T]) wait() (T, string) {
	l.c.v.s.WaitFor(commandLimit, labtest.Violation{
		What:  fmt.Sprintf("on %v, %s has not returned %v after the test began to wait", l.c.id, l.what, commandLimit),
		Rule:  ruleReturns,
		Nodes: append([]labrpc.NodeID{l.c.id}, l.c.v.servers...),
	}, l.returned)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got.Value, l.got.Err
}

// errorName is how an error travels to the test.
func errorName(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{ErrExists, "ErrExists"}, {ErrConflict, "ErrConflict"}, {ErrExpired, "ErrExpired"}, {ErrCompacted, "ErrCompacted"},
		{context.Canceled, "context.Canceled"}, {context.DeadlineExceeded, "context.DeadlineExceeded"}, {labrpc.ErrDown, "ErrDown"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return fmt.Sprintf("error %q", err)
}

// A command is one call of the client, as a test writes it.
type command struct {
	Op   string // "get", "put", "create", "own", "set" or "delete"
	Key  string
	Data string
	At   int // for "set": the revision
}

func (e command) String() string {
	key, data := shortText([]byte(e.Key)), shortText([]byte(e.Data))
	switch e.Op {
	case "put", "create":
		return fmt.Sprintf("%s(%s, %q)", e.Op, key, data)
	case "own":
		return fmt.Sprintf("create-ephemeral(%s, %q)", key, data)
	case "set":
		return fmt.Sprintf("compare-and-set(%s, %q, at revision %d)", key, data, e.At)
	}
	return fmt.Sprintf("%s(%s)", e.Op, key)
}

// A response is what a command returned: a get returns the value, others the revision.
type response struct {
	Data     string
	Revision int
}

// run calls the client.
func (e command) run(ctx context.Context, c *Client) (y response, err error) {
	switch e.Op {
	case "get":
		var value Value
		value, err = c.Get(ctx, e.Key)
		y = response{Data: value.Data, Revision: value.Revision}
	case "put":
		y.Revision, err = c.Put(ctx, e.Key, e.Data)
	case "create":
		y.Revision, err = c.Create(ctx, e.Key, e.Data)
	case "own":
		y.Revision, err = c.CreateEphemeral(ctx, e.Key, e.Data)
	case "set":
		y.Revision, err = c.CompareAndSet(ctx, e.Key, e.Data, e.At)
	case "delete":
		err = c.Delete(ctx, e.Key)
	}
	return y, err
}

// start begins a command.
func (c *testClient) start(e command) *pendingCall[response] {
	return startCall(c, e.String(), e.run)
}

// startAt starts a command, and waits until a server, which leads, has a new entry in its log; it reports whether it has.
func (c *testClient) startAt(server labrpc.NodeID, e command) (call *pendingCall[response], appended bool) {
	before, _ := c.v.status(server)
	call = c.start(e)
	return call, c.v.waitForEntry(server, before, call.returned)
}

// waitForEntry waits until a server, which leads, has an entry that it had not before, and reports whether it has. It waits for 3s, as a client may wait before its next
// command, and no longer than until the client's call has returned or the server has stepped down.
func (v *storeCluster) waitForEntry(server labrpc.NodeID, before Status, returned func() bool) (appended bool) {
	v.s.Until(3*time.Second, func() bool {
		st, _ := v.status(server)
		appended = lastIndexOf(st) > lastIndexOf(before)
		return appended || returned() || st.Role != roleLeader
	})
	return appended
}

// startDeaf starts a command whose reply is lost, and waits until another client reads what the command writes, which the key had not before; it reports whether it has.
func (c *testClient) startDeaf(e command, other *testClient) (call *pendingCall[response], executed bool) {
	return callDeaf(c, func() *pendingCall[response] { return c.start(e) }, func() bool {
		return other.mustRun(command{Op: "get", Key: e.Key}).Data == e.Data
	})
}

const replyLost = "a call had its effect, and its client received no reply"

// callDeaf starts a call whose reply is lost: as soon as the leader has a new entry, the replies of all servers to the client are cut off, until the call has had its effect;
// it reports whether it has. The new entry may be another one, as of a tick or of a session: a client that asks the servers something
// before it sends its command hears them again then, until the next entry.
func callDeaf[T any](c *testClient, start func() *pendingCall[T], executed func() bool) (call *pendingCall[T], done bool) {
	v := c.v
	var cut []labrpc.NodeID
	for until := v.s.Net.Now() + commandLimit; v.s.Net.Now() < until; {
		leader := v.waitForLeader(0)
		before, _ := v.status(leader)
		if call == nil {
			call = start()
		}
		c.hears(cut)
		v.waitForEntry(leader, before, call.returned)
		cut = c.deafen()
		if v.s.Until(3*time.Second, func() bool { return call.returned() || executed() }) {
			if !call.returned() {
				v.s.Cover(replyLost)
			}
			return call, true
		}
	}
	return call, false
}

// deafen cuts off the replies of all servers to the client, and returns those that it has cut off.
func (c *testClient) deafen() (servers []labrpc.NodeID) {
	for _, id := range c.v.servers {
		if c.v.s.Net.Connected(id, c.id) {
			servers = append(servers, id)
			c.v.s.Net.Cut(id, c.id)
		}
	}
	return servers
}

// hears undoes deafen.
func (c *testClient) hears(servers []labrpc.NodeID) {
	for _, id := range servers {
		c.v.s.Net.HealLink(id, c.id)
	}
}

// expect runs a command, which must have that error ("" for none).
func (c *testClient) expect(e command, wantErr, rule string) response {
	y, err := c.start(e).wait()
	if err != wantErr {
		c.v.s.Failf(rule, "on %v, %v returned %s, want %s", c.id, e, orNil(err), orNil(wantErr))
	}
	return y
}

// mustRun runs a command that must not fail, of a client that reaches the store.
func (c *testClient) mustRun(e command) response {
	y, err := c.start(e).wait()
	rule := ruleReturns
	switch err {
	case "ErrExpired":
		c.v.s.Failf(ruleSession, "on %v, %v returned ErrExpired, want no error: the client's TTL is %v, and it was never cut off for so long", c.id, e, c.opts.TTL)
	case "ErrExists", "ErrConflict":
		rule = ruleChecked
	}
	if err != "" {
		c.v.s.Failf(rule, "%v: %v returned %s, want no error", c.id, e, err)
	}
	return y
}

// expectValue gets a key, which must have that value; "" for no such key.
func (c *testClient) expectValue(key, want, rule string, why ...string) Value {
	y := c.mustRun(command{Op: "get", Key: key})
	if y.Data != want || (y.Revision == 0) != (want == "") {
		c.v.s.Failf(rule, "on %v, get(%q) = %q at revision %d, want %s%s", c.id, key, y.Data, y.Revision, orNothing(want), strings.Join(append([]string{""}, why...), ": "))
	}
	return Value{Data: y.Data, Revision: y.Revision}
}

func orNil(err string) string {
	if err == "" {
		return "no error"
	}
	return err
}

func orNothing(data string) string {
	if data == "" {
		return "no such key (revision 0)"
	}
	return fmt.Sprintf("%q", data)
}

// A requestLog keeps copies of the requests that one node sends.
type requestLog struct {
	mu   sync.Mutex
	kept []labrpc.Message
}

// collect returns an interceptor that keeps what the node sends.
func (l *requestLog) collect(from labrpc.NodeID) func(*labrpc.Message) labrpc.Verdict {
	return func(m *labrpc.Message) labrpc.Verdict {
		l.mu.Lock()
		defer l.mu.Unlock()
		if m.From == from && m.Kind != labrpc.Reply {
			l.kept = append(l.kept, *m)
		}
		return labrpc.Pass
	}
}

func (l *requestLog) requests() []labrpc.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}
