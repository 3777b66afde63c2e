package labrpc

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"time"
	"unsafe"
)

// A message on its way. Its body is a private copy, behind a pointer.
type message struct {
	item     item // what the outbox holds of it
	kind     MessageKind
	from, to NodeID
	method   string
	plan     *plan
	body     unsafe.Pointer
	sender   *Node        // nil if forged
	call     *pendingCall // of a request and its reply
	pc       uintptr      // the student's line that sent it; 0 unless observed

	// Set by the network.
	id      uint64
	stream  *stream
	number  uint64
	replyTo uint64
	bytes   []byte // encoded, once wanted
	edge    byte   // its address orders a map's copier and its readers for the race detector

	// Of a delivered message: the handler that it is for, and where.
	receiver *Node
	handler  *handler
}

// A letter is a message with room for its body, and a request one that has room for its call as well: one allocation each.
// Every write to them is in a function that is not instrumented: see race.go.
type (
	letter[M any] struct {
		message message
		value   M
	}
	request[A any] struct {
		message message
		call    pendingCall
		value   A
	}
)

// value returns the body as an interface: the struct is copied, what it points to is not.
func (m *message) value() any {
	return reflect.NewAt(m.plan.typ, m.body).Elem().Interface()
}

// encoded returns the body's bytes.
func (m *message) encoded() []byte {
	if m.bytes == nil {
		b, err := Marshal(m.value())
		if err != nil {
			b = fmt.Appendf(nil, "%+v", m.value())
		}
		m.bytes = b
	}
	return m.bytes
}

// acquire tells the race detector that the caller may read the message: its plan, which the first sender of its type made,
// and the maps in it, which only instrumented code can build. The rest of the body it does not know of.
func (m *message) acquire() {
	raceAcquire(unsafe.Pointer(m.plan))
	if m.plan.maps {
		raceAcquire(unsafe.Pointer(&m.edge))
	}
}

// twin returns the same message with another body.
//
//go:norace
func (m *message) twin(body unsafe.Pointer) *message {
	t := new(message)
	*t = *m
	t.item = item{}
	t.body = body
	if m.plan.maps {
		raceRelease(unsafe.Pointer(&t.edge))
	}
	return t
}

// renew replaces a body in which the network has looked: to the race detector, the receiver's first write
// to it would collide with that.
func (m *message) renew(net *Network) {
	if !raceEnabled || m.bytes == nil && net.opts.Observe == nil {
		return
	}
	if copied, err := m.plan.clone(m.body); err == nil {
		m.setBody(copied)
	}
}

//go:norace
func (m *message) setBody(body unsafe.Pointer) {
	m.body = body
	if m.plan.maps {
		raceRelease(unsafe.Pointer(&m.edge))
	}
}

// fill makes m a new message of n's, and copies the value at src to room, which becomes its body. The caller's goroutine is
// the sender's, and the value at src is its own; other goroutines may share only what the value points to.
//
//go:norace
func (m *message) fill(n *Node, kind MessageKind, to NodeID, method string, p *plan, room, src unsafe.Pointer) error {
	if p.err != nil {
		return n.fail(to, method, ErrType, p.err)
	}
	if err := p.copyTo(room, src, true); err != nil {
		return n.fail(to, method, ErrType, err)
	}
	m.item.kind = itemSend
	m.item.node = n
	m.item.msg = m
	m.kind = kind
	m.from = n.host.id
	m.to = to
	m.method = method
	m.plan = p
	m.body = room
	m.sender = n
	if p.maps {
		raceRelease(unsafe.Pointer(&m.edge))
	}
	return nil
}

func (n *Node) fail(to NodeID, method string, is, why error) error {
	return &callError{from: n.ID(), to: to, method: method, is: is, why: why}
}

// check refuses what can never arrive.
func (n *Node) check(to NodeID, method string) error {
	if n.isDown() {
		return n.fail(to, method, ErrDown, nil)
	}
	if !n.net.has(to) {
		return n.fail(to, method, ErrNoNode, nil)
	}
	return nil
}

// source notes the line of the student's call, for the record.
//
//go:norace
func (m *message) source(n *Node) {
	if n.net.opts.Observe == nil {
		return
	}
	var pcs [1]uintptr
	if runtime.Callers(4, pcs[:]) > 0 {
		m.pc = pcs[0]
	}
}

// Send puts a one-way message on the wire and returns at once. Nothing tells whether it
// arrives: it may be lost, duplicated, delayed or overtaken, as the link has it. The message is
// copied: what the caller does to it afterwards does not matter.
//
// It is handled by what the receiver registered with [Receive] under the same name, for the same type M.
// The error is ErrDown, ErrNoNode, or ErrType if an M cannot travel (an unexported field, a channel, an interface).
// A node may send to itself.
func Send[M any](n *Node, to NodeID, method string, msg M) error {
	p := planFor(reflect.TypeFor[M]())
	if err := n.check(to, method); err != nil {
		return err
	}
	l := new(letter[M])
	return send(n, to, method, p, &l.message, unsafe.Pointer(&l.value), unsafe.Pointer(&msg))
}

//go:norace
func send(n *Node, to NodeID, method string, p *plan, m *message, room, src unsafe.Pointer) error {
	if err := m.fill(n, OneWay, to, method, p, room, src); err != nil {
		return err
	}
	m.source(n)
	n.net.submit(&m.item)
	return nil
}

// Receive registers f for the one-way messages of that name. For each that arrives, f runs in a
// goroutine of its own, with the sender as the network names it (which a lying node may forge) and
// a copy of the message that is f's to keep. It panics if the name is registered already in this incarnation, or if an M cannot travel.
func Receive[M any](n *Node, method string, f func(from NodeID, msg M)) {
	mustTravel(reflect.TypeFor[M](), method)
	n.register(method, &handler{arg: reflect.TypeFor[M](), run: func(m *message) {
		m.acquire()
		f(m.from, *(*M)(m.body))
	}})
}

// Handle registers f as the method of that name, for [Call]. For each request that arrives, f runs in a goroutine
// of its own with a copy of the arguments, and what it returns is sent back. A duplicated
// request runs it twice. It panics if the name is registered already in this incarnation, or if an A or R cannot travel.
func Handle[A, R any](n *Node, method string, f func(from NodeID, args A) R) {
	mustTravel(reflect.TypeFor[A](), method)
	mustTravel(reflect.TypeFor[R](), method)
	p := planFor(reflect.TypeFor[R]())
	n.register(method, &handler{arg: reflect.TypeFor[A](), reply: p.typ, run: func(m *message) {
		m.acquire()
		r := f(m.from, *(*A)(m.body))
		l := new(letter[R])
		n.answer(m, p, &l.message, unsafe.Pointer(&l.value), unsafe.Pointer(&r))
	}})
}

// mustTravel panics on a type that cannot be sent: no run of the program could be right.
func mustTravel(t reflect.Type, method string) {
	if err := planFor(t).err; err != nil {
		panic(fmt.Sprintf("labrpc: handler of %q: %v", method, err))
	}
}

// answer sends a handler's reply, the value at src, back in m.
//
//go:norace
func (n *Node) answer(req *message, p *plan, m *message, room, src unsafe.Pointer) {
	if n.isDown() || req.call == nil {
		return
	}
	if err := m.fill(n, Reply, req.from, req.method, p, room, src); err != nil {
		return // deeper than maxDepth: the caller will have no reply
	}
	m.call = req.call
	m.replyTo = req.id
	n.net.submit(&m.item)
}

// Call sends a request and waits for the reply. It returns when a reply comes, when ctx ends or when
// n crashes, whichever is first; a lost message tells nothing, so give ctx a deadline:
//
//	ctx, cancel := context.WithTimeout(n.Context(), 50*time.Millisecond)
//	defer cancel()
//	reply, err := labrpc.Call[VoteReply](ctx, n, peer, "RequestVote", VoteArgs{Term: 3})
//
// Errors, for errors.Is: ErrNoReply (with ctx's own error) says nothing about whether the handler ran; ErrNoMethod
// and ErrType say that it did not (a mistake in the program, which the network tells at once, whatever
// the link back is like); ErrDown, ErrNoNode. Hold no lock across it: see the package comment.
func Call[R, A any](ctx context.Context, n *Node, to NodeID, method string, args A) (R, error) {
	var zero R
	reply, p := planFor(reflect.TypeFor[R]()), planFor(reflect.TypeFor[A]())
	if err := n.check(to, method); err != nil {
		return zero, err
	}
	q := new(request[A])
	out := call(ctx, n, to, method, reply, p, &q.message, &q.call, unsafe.Pointer(&q.value), unsafe.Pointer(&args))
	if out.err != nil {
		return zero, out.err
	}
	out.m.acquire()
	return *(*R)(out.m.body), nil
}

//go:norace
func call(ctx context.Context, n *Node, to NodeID, method string, reply, p *plan, m *message, c *pendingCall, room, src unsafe.Pointer) outcome {
	if reply.err != nil {
		return outcome{err: n.fail(to, method, ErrType, reply.err)}
	}
	if err := m.fill(n, Request, to, method, p, room, src); err != nil {
		return outcome{err: err}
	}
	m.source(n)
	c.node = n
	c.done = n.bells.take()
	m.call = c
	if n.net.isElsewhere(to) {
		n.net.expect(c, reply)
		defer n.net.forget(m)
	}
	n.net.submit(&m.item)
	return c.wait(ctx, n, to, method, reply)
}

// Tell hands a value from student code to a test: sink(at, v) is called at the next quiescent point, one call
// at a time, in an order that follows from the seed, with a copy of v. What a crashed
// incarnation tells is dropped. What sink does is ordered before the test's next look at a quiescent point ([Network.Run],
// [Network.RunUntil], [Network.OnStep]), so sink may write what the test then reads; it must not call the network (except Now). It adds no ordering among nodes that
// could hide a data race. An error as for [Send].
func Tell[T any](n *Node, v T, sink func(at time.Duration, v T)) error {
	p := planFor(reflect.TypeFor[T]())
	if p.err != nil {
		return n.fail(0, "Tell", ErrType, p.err)
	}
	if n.isDown() {
		return n.fail(0, "Tell", ErrDown, nil)
	}
	l := new(letter[T])
	return tell(n, p, &l.message, unsafe.Pointer(&l.value), unsafe.Pointer(&v), sink, callSink[T])
}

// callSink is no closure: a closure made by the teller and read by the network
// would itself be a data race.
func callSink[T any](sink any, at time.Duration, body unsafe.Pointer) {
	sink.(func(time.Duration, T))(at, *(*T)(body))
}

//go:norace
func tell(n *Node, p *plan, m *message, room, src unsafe.Pointer, sink any, call func(any, time.Duration, unsafe.Pointer)) error {
	if err := m.fill(n, OneWay, n.ID(), "Tell", p, room, src); err != nil {
		return err
	}
	m.item.kind = itemTell
	m.item.sink = sink
	m.item.call = call
	n.net.submit(&m.item)
	return nil
}
