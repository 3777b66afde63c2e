package labrpc

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"unsafe"
)

// process takes note of one item. The caller holds net.mu.
//
//go:norace
func (net *Network) process(it *item) {
	switch it.kind {
	case itemNote, itemLog, itemWrite, itemCrash:
		net.processText(it)
	case itemTell:
		net.moved = true
		net.calls(&callingTell)
		it.call(it.sink, net.now(), it.msg.body)
		net.calls(nil)
	case itemSend:
		net.send(it.msg)
	case itemWait:
		net.admit(it.wait)
	}
}

// processText takes note of an item with a text. It is not inlined, and neither is observe: an Event is large, handlers come
// by here in real time, and each begins with a small stack, which would have to grow.
//
//go:noinline
func (net *Network) processText(it *item) {
	e := Event{Node: it.node.ID(), Inc: it.node.inc, Name: it.text.name, Value: it.text.value}
	switch it.kind {
	case itemNote:
		e.Kind = EventNoted
	case itemLog:
		e.Kind = EventLogged
	case itemWrite:
		e.Kind = EventWrote
	case itemCrash:
		if h := it.node.host; h.node == it.node {
			h.crash(it.text.value)
		}
		return
	}
	net.emit(e)
}

// send numbers a message, shows it to the interceptors and routes it. The caller holds net.mu.
//
//go:norace
func (net *Network) send(m *message) {
	l := net.links[m.from][m.to]
	s := l.stream(net.opts.Seed, m.method, m.kind)
	s.count++
	net.messages++
	m.id, m.number, m.stream = net.messages, s.count, s
	s.stats.Sent++
	if net.opts.CountBytes {
		s.stats.Bytes += len(m.encoded())
	}
	net.observe(EventSent, m, 0, "")
	if len(net.intercepts) == 0 || !net.intercepted(m) {
		net.route(m)
	}
}

//go:norace
func (l *linkState) stream(seed uint64, method string, kind MessageKind) *stream {
	key := streamKey{method, kind}
	if l.last != nil && l.last.key == key {
		return l.last
	}
	s := l.streams[key]
	if s == nil {
		s = newStream(seed, l.from, l.to, key)
		if l.streams == nil {
			l.streams = map[streamKey]*stream{}
		}
		l.streams[key] = s
	}
	l.last = s
	return s
}

// A delivery is one copy of a message that is due.
type delivery struct {
	m    *message
	copy int
}

// deliver brings a copy to its receiver. The caller holds net.mu.
//
//go:norace
func (net *Network) deliver(d delivery) {
	m := d.m
	l, h := net.links[m.from][m.to], net.hosts[m.to]
	switch {
	case l.isCut:
		net.lose(d, "cut on the way")
	case net.isElsewhere(m.to):
		net.carry(m)
	case h.node == nil || h.node.isDown():
		net.lose(d, "receiver down")
	case h.pausedUntil > 0 && net.now() < h.pausedUntil:
		h.backlog = append(h.backlog, d)
	case m.kind == Reply:
		net.deliverReply(d)
	default:
		net.deliverTo(h.node, d)
	}
}

//go:norace
func (net *Network) deliverReply(d delivery) {
	c := d.m.call
	if c.node.isDown() {
		net.lose(d, "caller crashed")
		return
	}
	d.m.renew(net)
	if c.answer(outcome{m: d.m}) {
		net.arrived(d)
	} else {
		net.lose(d, "answered already")
	}
}

//go:norace
func (net *Network) deliverTo(n *Node, d delivery) {
	m := d.m
	h := n.handler(m.method)
	if err := h.accepts(n, m); err != nil {
		net.lose(d, err.Error())
		if m.call != nil {
			raceRelease(unsafe.Pointer(m.call))
			m.call.answer(outcome{err: err})
		} else {
			net.problem("%v", err)
		}
		return
	}
	net.arrived(d)
	m.renew(net)
	net.startHandler(n, h, m)
}

// accepts returns why the handler cannot take the message, or nil.
//
//go:norace
func (h *handler) accepts(n *Node, m *message) error {
	if h != nil && h.arg == m.plan.typ && (h.reply == nil) == (m.kind != Request) {
		return nil
	}
	return h.refuses(n, m)
}

func (h *handler) refuses(n *Node, m *message) error {
	fail := func(is, why error) error {
		return &callError{from: m.from, to: m.to, method: m.method, is: is, why: why}
	}
	switch {
	case h == nil:
		return fail(ErrNoMethod, fmt.Errorf("%v has %v", n.ID(), n.methods()))
	case h.reply == nil && m.kind == Request:
		return fail(ErrNoMethod, fmt.Errorf("%v was registered with Receive: use Send", m.method))
	case h.reply != nil && m.kind == OneWay:
		return fail(ErrNoMethod, fmt.Errorf("%v was registered with Handle: use Call", m.method))
	}
	return fail(ErrType, fmt.Errorf("the handler takes %v, got %v", h.arg, m.plan.typ))
}

//go:norace
func (net *Network) arrived(d delivery) {
	d.m.stream.stats.Delivered++
	net.observe(EventDelivered, d.m, d.copy, "")
}

// lose records that a copy comes to nothing. The caller holds net.mu.
func (net *Network) lose(d delivery, reason string) {
	d.m.stream.stats.Lost++
	if net.opts.Observe != nil {
		net.tellObserver(EventLost, d.m, d.copy, reason)
	}
}

// observe records that something happened to a copy of the message, which makes a step. The caller holds net.mu.
//
//go:norace
func (net *Network) observe(kind EventKind, m *message, copy int, reason string) {
	net.moved = true
	if net.opts.Observe != nil {
		net.tellObserver(kind, m, copy, reason)
	}
}

//go:norace
//go:noinline
func (net *Network) tellObserver(kind EventKind, m *message, copy int, reason string) {
	e := Event{
		Kind: kind, Msg: m.id, Copy: copy, From: m.from, To: m.to, Method: m.method,
		Message: m.kind, Number: m.number, ReplyTo: m.replyTo, Reason: reason,
		Body: reflect.NewAt(m.plan.typ, m.body).Elem().Interface(),
	}
	switch {
	case kind == EventDelivered:
		e.Node = m.to
	case kind == EventSent && m.sender != nil:
		e.Node, e.Inc = m.from, m.sender.inc
	}
	if kind == EventSent && m.pc != 0 {
		e.Source = net.lineOf(m.pc)
	}
	net.emit(e)
}

// lineOf is the folder, file and line of a call. A program has few, and looking one up takes longer than sending a message.
func (net *Network) lineOf(pc uintptr) string {
	line, known := net.lines[pc]
	if !known {
		frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
		line = fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(frame.File)), path.Base(frame.File), frame.Line)
		if net.lines == nil {
			net.lines = map[uintptr]string{}
		}
		net.lines[pc] = line
	}
	return line
}
