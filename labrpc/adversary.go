package labrpc

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"
)

// A Message is what one who controls the network sees of a message, and may forge.
type Message struct {
	From, To NodeID
	Method   string
	Kind     MessageKind
	Number   uint64 // its number on its link among those of its method and kind
	Msg      uint64 // its number in the run, as in an Event; 0 if it is yet to be injected
	ReplyTo  uint64 // of a reply: the Msg of its request
	Body     any    // the value sent: a copy, free to alter
}

// A Verdict is what an interceptor decides.
type Verdict int

// The verdicts.
const (
	Pass    Verdict = iota // the message goes on as it was
	Drop                   // it is lost
	Replace                // it goes on with the Body, From and To that the interceptor left in it
)

// Intercept makes f see every message when it is sent, before the link's own faults: the adversary
// of the Byzantine model. Several interceptors see it in the order of their registration. f is called one message at a time,
// in the order that follows from the seed, and must not call the network (except Now), which panics; to send more messages, note them
// and [Network.Inject] them at the next quiescent point. As with [Tell], what f wrote may be read there.
func (net *Network) Intercept(f func(*Message) Verdict) {
	net.lock()
	defer net.mu.Unlock()
	net.intercepts = append(net.intercepts, f)
}

// intercepted shows a message to the interceptors; true if none is left to route. The caller holds net.mu.
func (net *Network) intercepted(m *message) bool {
	for _, f := range net.intercepts {
		view := m.view()
		net.calls(&callingIntercept)
		verdict := f(&view)
		net.calls(nil)
		switch verdict {
		case Drop:
			net.lose(delivery{m: m}, "dropped by the test")
			return true
		case Replace:
			altered, err := forge(view)
			if err != nil {
				panic(err.Error())
			}
			m.become(altered)
			net.observe(EventAltered, m, 0, "")
		}
	}
	return false
}

// view copies a message for the outside.
func (m *message) view() Message {
	v := Message{From: m.from, To: m.to, Method: m.method, Kind: m.kind, Number: m.number, Msg: m.id, ReplyTo: m.replyTo}
	if copied, err := m.plan.clone(m.body); err == nil {
		v.Body = reflect.NewAt(m.plan.typ, copied).Elem().Interface()
	}
	return v
}

// forge makes a message that no node has sent.
func forge(v Message) (*message, error) {
	if v.Body == nil {
		return nil, fmt.Errorf("labrpc: a forged %q has no Body", v.Method)
	}
	p := planFor(reflect.TypeOf(v.Body))
	if p.err != nil {
		return nil, fmt.Errorf("labrpc: a forged %q: %w", v.Method, p.err)
	}
	src := reflect.New(p.typ)
	src.Elem().Set(reflect.ValueOf(v.Body))
	body, err := p.clone(src.UnsafePointer())
	if err != nil {
		return nil, fmt.Errorf("labrpc: a forged %q: %w", v.Method, err)
	}
	return newForged(v, p, body), nil
}

//go:norace
func newForged(v Message, p *plan, body unsafe.Pointer) *message {
	m := new(message)
	m.kind = v.Kind
	m.from = v.From
	m.to = v.To
	m.method = v.Method
	m.plan = p
	m.setBody(body)
	return m
}

// become gives the message the ends and the body of an altered one.
//
//go:norace
func (m *message) become(altered *message) {
	m.from = altered.from
	m.to = altered.to
	m.plan = altered.plan
	m.bytes = nil
	m.setBody(altered.body)
}

// Inject puts a forged one-way message or request on the link m.From→m.To, as if m.From had sent it: an invention,
// or a replay of one seen before. It meets the link's faults, not the interceptors. The reply to a forged
// request goes nowhere. It returns an error if the body cannot travel.
func (net *Network) Inject(m Message) error {
	net.lock()
	defer net.mu.Unlock()
	net.host(m.From)
	net.host(m.To)
	if m.Kind != Request {
		m.Kind = OneWay
	}
	forged, err := forge(m)
	if err != nil {
		return err
	}
	l := net.links[m.From][m.To]
	// A stream of their own: forgeries do not shift the numbers of the true messages.
	s := l.stream(net.opts.Seed, m.Method, "forged "+m.Kind)
	s.count++
	net.messages++
	forged.id, forged.number, forged.stream = net.messages, s.count, s
	net.observe(EventAltered, forged, 0, "")
	net.route(forged)
	net.rouse()
	return nil
}

// A Match says which messages are meant; a zero field matches all.
type Match struct {
	From, To NodeID
	Method   string
	Kind     MessageKind
}

func (x Match) matches(m *message) bool {
	return (x.From == 0 || x.From == m.from) && (x.To == 0 || x.To == m.to) &&
		(x.Method == "" || x.Method == m.method) && (x.Kind == "" || x.Kind == m.kind)
}

// Held are the messages that a [Network.Hold] keeps from their receivers, in the order in which they were sent.
type Held struct {
	net   *Network
	match Match
	has   func(Message) bool // nil for all
	open  bool
	msgs  []*message
}

// Hold stops the messages that match, from now on, until their release. Where several holds match, the first takes the message.
func (net *Network) Hold(match Match) *Held { return net.HoldIf(match, nil) }

// HoldIf stops those of the messages that match for which has is true: it is asked about a copy and, as an
// interceptor, must not call the network.
func (net *Network) HoldIf(match Match, has func(Message) bool) *Held {
	net.lock()
	defer net.mu.Unlock()
	h := &Held{net: net, match: match, has: has, open: true}
	net.holds = append(net.holds, h)
	return h
}

// takes keeps the message if it matches. The caller holds net.mu.
func (h *Held) takes(m *message) bool {
	if !h.open || !h.match.matches(m) || h.has != nil && !h.has(m.view()) {
		return false
	}
	h.msgs = append(h.msgs, m)
	return true
}

// Messages returns copies of what is held, in the order in which it was sent.
func (h *Held) Messages() []Message {
	h.net.lock()
	defer h.net.mu.Unlock()
	var out []Message
	for _, m := range h.msgs {
		out = append(out, m.view())
	}
	return out
}

// Deliver lets those held messages go for which f holds (all, if f is nil), and goes on holding new ones.
// They meet their link's faults and latency from now. It returns how many it let go.
func (h *Held) Deliver(f func(Message) bool) int {
	h.net.lock()
	defer h.net.mu.Unlock()
	return h.remove(f, func(m *message) {
		h.net.observe(EventReleased, m, 0, "")
		if h.net.links[m.from][m.to].isCut {
			h.net.lose(delivery{m: m}, "cut")
			return
		}
		h.net.transmit(m)
	})
}

// DeliverAtOnce brings those held messages for which f holds (all, if f is nil) to their receivers in one instant, and goes on holding
// new ones: their handlers, and the calls that their replies end, run at the same time. In virtual time they do so nowhere else. Links
// neither lose nor delay them, unless they are cut. In which order the goroutines run no seed decides. It returns how many messages it delivers.
func (h *Held) DeliverAtOnce(f func(Message) bool) int {
	h.net.lock()
	defer h.net.mu.Unlock()
	var chosen []*message
	h.remove(f, func(m *message) {
		h.net.observe(EventReleased, m, 0, "")
		chosen = append(chosen, m)
	})
	h.net.after(0, func() {
		for _, m := range chosen {
			h.net.deliver(delivery{m: m})
		}
	})
	return len(chosen)
}

// Discard loses those held messages for which f holds (all, if f is nil). It returns how many.
func (h *Held) Discard(f func(Message) bool) int {
	h.net.lock()
	defer h.net.mu.Unlock()
	return h.remove(f, func(m *message) { h.net.lose(delivery{m: m}, "discarded while held") })
}

// Release ends the hold and lets go all that it has.
func (h *Held) Release() int {
	h.net.lock()
	h.open = false
	h.net.holds = slices.DeleteFunc(h.net.holds, func(o *Held) bool { return o == h })
	h.net.mu.Unlock()
	return h.Deliver(nil)
}

// remove takes out what f chooses and hands each to then. The caller holds the network's lock.
func (h *Held) remove(f func(Message) bool, then func(*message)) int {
	var chosen, rest []*message
	for _, m := range h.msgs {
		if f == nil || f(m.view()) {
			chosen = append(chosen, m)
		} else {
			rest = append(rest, m)
		}
	}
	h.msgs = rest
	for _, m := range chosen {
		then(m)
	}
	h.net.rouse()
	return len(chosen)
}
