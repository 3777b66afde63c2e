package labrpc

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// Options of a [Network]. The zero value is a perfect network without nodes; give at least Nodes.
type Options struct {
	Seed  uint64 // every random choice follows from it
	Nodes int    // how many nodes there are: n1 … nN
	Link  Link   // how every link behaves until SetLink

	// Observe, if not nil, is called for every event, one at a time. It must not call the network.
	// Recording costs time: leave it nil where nothing reads it.
	Observe func(Event)
	// CountBytes makes [Network.Stats] count encoded bytes too, which costs an encoding a message.
	CountBytes bool
	// Suppress, if not nil, is asked before each fault, whether a link causes it for a message or
	// the test causes; true makes it not happen. No other message's fate changes. A crash that is suppressed happens
	// after all if the test starts the node again.
	Suppress func(Fault) bool
	// Override, if not nil, is asked about each message that a link is about to carry from one node to another, and may change its
	// fate: msg is its number in the run, as in Event. What the seed has drawn for other messages does not change. As an
	// observer, it must not call the network.
	Override func(msg uint64, drawn Fate) Fate
	// Scheduler, if not nil, decides what happens next in place of the links' faults and latencies.
	Scheduler Scheduler
	// Carrier, if not nil, connects this process's nodes with those of other processes, in real time.
	Carrier Carrier
}

// A Network connects nodes. Make one with [New], begin nodes with
// [Network.Start], end it with [Network.Close]. Its methods may be called by several
// goroutines at once, but not by an Observe, Intercept or Tell function.
//
// In a testing/synctest bubble the network is deterministic: see the package comment.
type Network struct {
	opts    Options
	virtual bool
	began   time.Time
	carried *carried // nil if all nodes are in this process

	// Virtual time: what the nodes did since the last quiescent point, and the dispatcher's alarm.
	box   outbox
	wake  chan struct{}
	jobs  chan *message // for spawn; nil if it does not run
	crew  crew
	done  chan struct{}
	steps atomic.Uint64 // see Steps

	calling atomic.Pointer[string] // in virtual time: which of the test's functions the dispatcher has called

	mu         sync.Mutex // guards all that follows; see lock
	hosts      []*host    // by NodeID; hosts[0] is nil
	links      [][]*linkState
	closed     bool
	queue      eventQueue
	order      uint64 // of queued events
	waiters    []*waiter
	newborn    []*Node // started, and their starter has not waited since
	holds      []*Held
	intercepts []func(*Message) Verdict
	events     uint64
	messages   uint64
	problems   []string
	faults     map[FaultKind]uint64 // how many of each kind the test has caused
	moved      bool                 // something happened since the step functions last ran
	lines      map[uintptr]string   // of calls that an observer was told of: see lineOf

	pending   []Pending     // with a Scheduler: what was sent and has not arrived
	waitUntil time.Duration // it lets time pass until then; the dispatcher's own
}

// linkState is one one-way link.
type linkState struct {
	from, to NodeID
	link     Link
	isCut    bool
	streams  map[streamKey]*stream // made with the first: of many nodes few talk to all
	last     *stream               // of streams, the one that was asked for last
	lastDue  time.Duration         // InOrder
}

type streamKey struct {
	method string
	kind   MessageKind
}

// New makes a network. It panics if opts.Nodes is negative or opts.Link impossible.
//
// Called inside a synctest bubble, it runs in the bubble's virtual time, and must be closed
// before the bubble ends. Elsewhere it runs in real time.
func New(opts Options) *Network {
	if opts.Nodes < 0 {
		panic(fmt.Sprintf("labrpc: New with %d nodes", opts.Nodes))
	}
	opts.Link.check()
	if opts.Scheduler != nil && !inBubble() {
		panic("labrpc: New with a Scheduler outside a synctest bubble: only virtual time waits for it")
	}
	if opts.Carrier != nil && inBubble() {
		panic("labrpc: New with a Carrier in a synctest bubble: other processes have no part in its time")
	}
	net := &Network{
		opts: opts, virtual: inBubble(), began: time.Now(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		hosts: make([]*host, opts.Nodes+1), links: make([][]*linkState, opts.Nodes+1),
	}
	if opts.Carrier != nil {
		net.carried, net.messages = newCarried(opts.Carrier), firstMessage()
	}
	for id := 1; id <= opts.Nodes; id++ {
		net.hosts[id] = newHost(net, NodeID(id))
		net.links[id] = make([]*linkState, opts.Nodes+1)
		row := make([]linkState, opts.Nodes+1)
		for to := 1; to <= opts.Nodes; to++ {
			row[to] = linkState{from: NodeID(id), to: NodeID(to), link: opts.Link}
			net.links[id][to] = &row[to]
		}
	}
	if net.virtual {
		if raceEnabled {
			net.jobs = make(chan *message, 1)
			go net.spawn()
		}
		go net.dispatch()
	}
	return net
}

// inBubble reports whether the caller runs in a synctest bubble. The package
// is not reported here, but Wait panics elsewhere.
func inBubble() (in bool) {
	defer func() { in = recover() == nil }()
	synctest.Wait()
	return true
}

// now is the time since the network was made. It is asked several times for each packet. Virtual time has no monotonic reading
// beside it, and without one a Time subtracts with three times the work of a number.
//
//go:norace
func (net *Network) now() time.Duration {
	if net.virtual {
		return time.Duration(time.Now().UnixNano() - net.began.UnixNano())
	}
	return time.Since(net.began)
}

// Now returns the time since the network was made: the time in every [Event].
func (net *Network) Now() time.Duration { return net.now() }

// Steps returns how many steps the dispatcher has taken, in virtual time. It may be called from outside the bubble: a number
// that stands still for seconds of real time tells that virtual time does.
func (net *Network) Steps() uint64 { return net.steps.Load() }

// Nodes returns the IDs of all nodes, ascending.
func (net *Network) Nodes() []NodeID {
	ids := make([]NodeID, 0, len(net.hosts)-1)
	for id := 1; id < len(net.hosts); id++ {
		ids = append(ids, NodeID(id))
	}
	return ids
}

// closeGrace is the virtual time that Close gives goroutines to notice that their node is down.
const closeGrace = time.Minute

// Close crashes every node and ends the network. Nothing is delivered any more. It may be called twice.
//
// A bubble cannot end before its goroutines, and its time stops when its first function returns; so in virtual
// time Close lets a minute pass, in which goroutines that sleep or tick can see that their context has ended.
func (net *Network) Close() {
	net.lock()
	if net.closed {
		net.mu.Unlock()
		return
	}
	for _, h := range net.hosts[1:] {
		h.crash("network closed")
	}
	net.closed = true
	for _, w := range net.waiters {
		w.signal(false)
	}
	net.waiters = nil
	net.mu.Unlock()
	net.crew.dismiss()
	if net.virtual {
		net.rouse()
		<-net.done
		time.Sleep(closeGrace)
	}
}

// The test's functions that are called with net.mu held.
var (
	callingTell      = "Tell"
	callingIntercept = "Intercept"
)

// calls notes which of the test's functions the dispatcher calls now; nil when that is over. The caller holds net.mu.
func (net *Network) calls(of *string) {
	if net.virtual {
		net.calling.Store(of)
	}
}

// lock locks net.mu for a method of the network. In virtual time nothing else runs while the dispatcher has called one of the
// test's functions, so it must be this function that calls: it would wait for itself.
func (net *Network) lock() {
	if of := net.calling.Load(); of != nil {
		panic("labrpc: a function given to " + *of + " calls the network, which waits for it: note what is to be done, and do it at the next quiescent point")
	}
	net.mu.Lock()
}

// host returns the host with that ID. It panics on an unknown ID: only a test can name one.
func (net *Network) host(id NodeID) *host {
	if id < 1 || int(id) >= len(net.hosts) {
		panic(fmt.Sprintf("labrpc: there is no node %v; there are n1 to n%d", id, len(net.hosts)-1))
	}
	return net.hosts[id]
}

func (net *Network) has(id NodeID) bool { return id >= 1 && int(id) < len(net.hosts) }

// emit tells the observer of an event at this instant. The caller holds net.mu.
func (net *Network) emit(e Event) {
	switch e.Kind {
	case EventNoted, EventLogged, EventWrote:
		// Nodes tell these only to an observer. If they made a step, then
		// watching a run would change it.
	default:
		net.moved = true
	}
	if net.opts.Observe == nil {
		return
	}
	net.events++
	e.Seq, e.At = net.events, net.now()
	if e.Node != 0 && e.Inc == 0 {
		e.Inc = net.hosts[e.Node].inc
	}
	net.opts.Observe(e)
}

// Mark puts a remark of the test's own into the record.
func (net *Network) Mark(format string, args ...any) {
	net.lock()
	defer net.mu.Unlock()
	net.emit(Event{Kind: EventMarked, Value: fmt.Sprintf(format, args...)})
}

// Misuses returns what student code did wrong in its use of the network where no
// error value could tell it: one-way messages that met no handler or a handler
// of another type, each once, in order.
func (net *Network) Misuses() []string {
	net.lock()
	defer net.mu.Unlock()
	return append([]string(nil), net.problems...)
}

// problem keeps a sentence for Misuses, once. The caller holds net.mu.
func (net *Network) problem(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, p := range net.problems {
		if p == s {
			return
		}
	}
	if len(net.problems) < 20 {
		net.problems = append(net.problems, s)
	}
}
