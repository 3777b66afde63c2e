package labrpc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
)

// A Carrier connects the nodes of one network that run in several processes ([Options.Carrier]). Student code sees no
// difference. A lab's tests need none; the command grade live has one, which uses TCP and files.
//
// Each process makes a network with all nodes and starts only its own. Links, cuts and interceptors act on what this process
// sends, cuts also on what it receives.
type Carrier interface {
	// Local reports whether a node runs in this process.
	Local(id NodeID) bool
	// Carry takes a packet to the process of its receiver, which passes it to [Network.Arrive], or loses it. It must
	// not block and must not call the network.
	Carry(p Packet)
	// Store returns the place in which a local node's disk keeps its records; nil for memory only.
	Store(id NodeID) Store
}

// A Store keeps a disk's records beyond the end of the process.
type Store interface {
	// Records returns what is stored. The map is the caller's.
	Records() map[string][]byte
	// Write sets a record, or deletes it if data is nil. When it returns nil, a kill of the process does not undo it; and
	// the carrier lets nothing that the node does afterwards leave the process before the record is on stable storage. An error ends the node.
	Write(name string, data []byte) error
}

// A Packet is a message as it travels between processes.
type Packet struct {
	Kind     MessageKind
	From, To NodeID
	Method   string
	Number   uint64 // see Event.Number
	ID       uint64 // of the message; no other process or run has it, except by chance
	ReplyTo  uint64 // of a reply: the ID of its request
	Type     string // of the value
	Body     []byte // the value, encoded (Marshal)
	Refused  Refusal
}

// A Refusal is why a receiver did not run a handler: the package's errors, as they travel.
type Refusal struct {
	Is  string // the text of ErrNoMethod or ErrType; "" if the handler ran
	Why string
}

// carried holds what a network with a carrier needs; guarded by the network's lock.
type carried struct {
	Carrier
	// The calls of this process that wait for a reply from another: the type that each expects, and each by the ID of its request.
	expect map[*pendingCall]*plan
	calls  map[uint64]*pendingCall
}

func newCarried(c Carrier) *carried {
	return &carried{Carrier: c, expect: map[*pendingCall]*plan{}, calls: map[uint64]*pendingCall{}}
}

// firstMessage is where a network with a carrier begins to count its messages: a late reply to a process that has
// been restarted must not look like one to the present process.
func firstMessage() uint64 { return rand.Uint64N(1 << 52) }

// isElsewhere reports whether a node runs in another process.
func (net *Network) isElsewhere(id NodeID) bool { return net.carried != nil && !net.carried.Local(id) }

// carry hands a message to the carrier. The caller holds net.mu.
func (net *Network) carry(m *message) {
	if m.kind == Request {
		if net.carried.expect[m.call] == nil {
			return // the caller has gone while a slow link kept the message
		}
		net.carried.calls[m.id] = m.call
	}
	net.carried.Carry(Packet{
		Kind: m.kind, From: m.from, To: m.to, Method: m.method, Number: m.number, ID: m.id, ReplyTo: m.replyTo,
		Type: m.plan.typ.String(), Body: m.encoded(),
	})
}

// expect notes that a call waits for a reply from another process, and forget that it does not any more.
func (net *Network) expect(c *pendingCall, reply *plan) {
	net.mu.Lock()
	defer net.mu.Unlock()
	net.carried.expect[c] = reply
}

func (net *Network) forget(m *message) {
	net.mu.Lock()
	defer net.mu.Unlock()
	delete(net.carried.expect, m.call)
	delete(net.carried.calls, m.id)
}

// Arrive brings a packet of another process to its receiver. It is for a [Carrier], and does not wait for the handler.
// A packet that is for no local node, or that came too late, is lost. The error says what is wrong with the packet.
func (net *Network) Arrive(p Packet) error {
	if net.carried == nil || !net.has(p.From) || !net.has(p.To) || net.isElsewhere(p.To) || !net.isElsewhere(p.From) {
		return fmt.Errorf("labrpc: a packet from %v to %v does not belong to this process", p.From, p.To)
	}
	switch p.Kind {
	case Reply:
		return net.arriveReply(p)
	case Request, OneWay:
		return net.arriveAt(p)
	}
	return fmt.Errorf("labrpc: a packet from %v is of kind %q", p.From, p.Kind)
}

func (net *Network) arriveReply(p Packet) error {
	net.mu.Lock()
	c := net.carried.calls[p.ReplyTo]
	want := net.carried.expect[c]
	net.mu.Unlock()
	if c == nil || c.node.ID() != p.To {
		return nil // late: its call has ended
	}
	m := &message{kind: Reply, from: p.From, to: p.To, method: p.Method, number: p.Number, id: p.ID, replyTo: p.ReplyTo, call: c, plan: want}
	err := refusal(p)
	if err == nil {
		err = m.decode(p)
	}
	net.mu.Lock()
	defer net.mu.Unlock()
	switch {
	case net.closed || net.links[p.From][p.To].isCut:
	case err != nil:
		c.answer(outcome{err: err})
	default:
		net.arrive(m)
	}
	return nil
}

func (net *Network) arriveAt(p Packet) error {
	net.mu.Lock()
	n := net.hosts[p.To].node
	net.mu.Unlock()
	if n == nil {
		return nil
	}
	h := n.handler(p.Method)
	m := &message{kind: p.Kind, from: p.From, to: p.To, method: p.Method, number: p.Number, id: p.ID, plan: planFor(reflect.TypeFor[struct{}]())}
	if h != nil {
		m.plan = planFor(h.arg)
	}
	if p.Kind == Request {
		m.call = new(pendingCall) // in another process: deliver hands the reply to the carrier
	}
	err := h.accepts(n, m)
	if err == nil {
		err = m.decode(p)
	}
	net.mu.Lock()
	defer net.mu.Unlock()
	switch {
	case net.closed || net.links[p.From][p.To].isCut:
	case err == nil:
		net.arrive(m)
	case p.Kind == OneWay:
		net.problem("%v", err)
	default:
		net.carried.Carry(Packet{
			Kind: Reply, From: p.To, To: p.From, Method: p.Method, ReplyTo: p.ID, Refused: refusalOf(err),
		})
	}
	return nil
}

// arrive delivers a message of another process. The caller holds net.mu.
func (net *Network) arrive(m *message) {
	m.stream = net.links[m.from][m.to].stream(net.opts.Seed, m.method, m.kind)
	net.deliver(delivery{m: m})
}

// decode sets the body, of the message's plan, from the packet.
func (m *message) decode(p Packet) error {
	fail := func(why error) error {
		return &callError{from: m.from, to: m.to, method: m.method, is: ErrType, why: why}
	}
	if want := m.plan.typ.String(); want != p.Type {
		return fail(fmt.Errorf("%v expects %v, got %v", m.to, want, p.Type))
	}
	v := reflect.New(m.plan.typ)
	if err := Unmarshal(p.Body, v.Interface()); err != nil {
		return fail(err)
	}
	m.body = v.UnsafePointer()
	return nil
}

// refusalOf and refusal translate an error for the way, and back.
func refusalOf(err error) Refusal {
	r := Refusal{Is: ErrType.Error()}
	if errors.Is(err, ErrNoMethod) {
		r.Is = ErrNoMethod.Error()
	}
	if e, ok := errors.AsType[*callError](err); ok && e.why != nil {
		r.Why = e.why.Error()
	}
	return r
}

func refusal(p Packet) error {
	if p.Refused.Is == "" {
		return nil
	}
	is := ErrType
	if p.Refused.Is == ErrNoMethod.Error() {
		is = ErrNoMethod
	}
	return &callError{from: p.To, to: p.From, method: p.Method, is: is, why: errors.New(p.Refused.Why)}
}
