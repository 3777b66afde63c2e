package labrpc

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"time"
	"unsafe"
)

// process takes note of one item. The caller holds net.mu.
func (net *Network) process(it *item) {
	switch it.kind {
	case itemNote:
		net.emit(Event{Kind: EventNoted, Node: it.node.ID(), Inc: it.node.inc, Name: it.text.name, Value: it.text.value})
	case itemLog:
		net.emit(Event{Kind: EventLogged, Node: it.node.ID(), Inc: it.node.inc, Value: it.text.value})
	case itemWrite:
		net.emit(Event{Kind: EventWrote, Node: it.node.ID(), Inc: it.node.inc, Name: it.text.name, Value: it.text.value})
	case itemTell:
		net.moved = true
		net.calls(&callingTell)
		it.call(it.sink, net.now(), it.msg.body)
		net.calls(nil)
	case itemSend:
		net.send(it.msg)
	case itemCrash:
		if h := it.node.host; h.node == it.node {
			h.crash(it.text.value)
		}
	case itemWait:
		net.admit(it.wait)
	}
}

// send numbers a message, shows it to the interceptors and routes it. The caller holds net.mu.
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
	net.sent(m)
	if !net.intercepted(m) {
		net.route(m)
	}
}

// sent records that a node has sent the message.
func (net *Network) sent(m *message) {
	net.moved = true
	if net.opts.Observe == nil {
		return
	}
	e := m.event(EventSent)
	if m.sender != nil {
		e.Node, e.Inc = m.from, m.sender.inc
	}
	net.emit(e)
}

func (l *linkState) stream(seed uint64, method string, kind MessageKind) *stream {
	key := streamKey{method, kind}
	if l.last != nil && l.last.key == key {
		return l.last
	}
	s := l.streams[key]
	if s == nil {
		s = newStream(seed, l.from, l.to, key)
		l.streams[key] = s
	}
	l.last = s
	return s
}

// route decides a message's fate and schedules what follows. The caller holds net.mu.
func (net *Network) route(m *message) {
	if net.links[m.from][m.to].isCut {
		net.lose(delivery{m: m}, "cut")
		return
	}
	for _, h := range net.holds {
		if h.takes(m) {
			net.emit(m.event(EventHeld))
			return
		}
	}
	net.transmit(m)
}

// transmit applies the link's own faults. The caller holds net.mu.
func (net *Network) transmit(m *message) {
	if net.opts.Scheduler != nil {
		net.pend(m)
		return
	}
	l, s := net.links[m.from][m.to], m.stream
	if m.from == m.to { // a node's own loopback is perfect
		net.schedule(net.jitter(s, m, drawJitter), delivery{m: m})
		return
	}
	if net.befalls(m, FaultLoss, s.draw(m.number, drawLoss) < l.link.Loss) {
		net.lose(delivery{m: m}, "loss")
		return
	}
	twice := net.befalls(m, FaultDuplicate, s.draw(m.number, drawDuplicate) < l.link.Duplicate)
	net.schedule(net.delay(l, s, m, drawLatency, drawJitter), delivery{m: m})
	if twice {
		copied, err := m.plan.clone(m.body)
		if err != nil {
			return
		}
		twin := m.twin(copied)
		e := m.event(EventDuplicated)
		e.Copy = 1
		net.emit(e)
		s.stats.Duplicated++
		net.schedule(net.delay(l, s, m, drawDuplicateLatency, drawDuplicateJitter), delivery{m: twin, copy: 1})
	}
}

// befalls reports whether a fault that the draw has chosen happens, or is suppressed.
func (net *Network) befalls(m *message, kind FaultKind, drawn bool) bool {
	if !drawn || net.opts.Suppress == nil {
		return drawn
	}
	return !net.opts.Suppress(Fault{Kind: kind, From: m.from, To: m.to, Method: m.method, Of: m.kind, Number: m.number})
}

// delay is how long a copy of the message is under way, including its sender's pause.
func (net *Network) delay(l *linkState, s *stream, m *message, draw, jitter uint64) time.Duration {
	now := net.now()
	leaves := max(now, net.hosts[m.from].pausedUntil)
	var d time.Duration
	if l.link.Latency != nil {
		d = max(0, l.link.Latency(s.draw(m.number, draw), leaves))
		if draw == drawLatency && net.opts.Suppress != nil {
			if usual := l.link.Latency(0.5, leaves); usual >= 0 && d > 3*usual && !net.befalls(m, FaultLate, true) {
				d = usual
			}
		}
	}
	if draw == drawLatency && net.befalls(m, FaultReorder, s.draw(m.number, drawReorder) < l.link.Reorder) {
		d += time.Duration(s.draw(m.number, drawReorderBy) * float64(l.link.reorderBy(leaves)))
	}
	d += net.jitter(s, m, jitter)
	due := leaves + d
	if l.link.InOrder {
		due = max(due, l.lastDue+1)
		l.lastDue = due
	}
	return due - now
}

// jitter gives deliveries a nanosecond part, so that in virtual time hardly two fall on one instant.
func (net *Network) jitter(s *stream, m *message, question uint64) time.Duration {
	if !net.virtual {
		return 0
	}
	return 1 + time.Duration(s.draw(m.number, question)*999)
}

// A delivery is one copy of a message that is due.
type delivery struct {
	m    *message
	copy int
}

// deliver brings a copy to its receiver. The caller holds net.mu.
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
	case net.now() < h.pausedUntil:
		h.backlog = append(h.backlog, d)
	case m.kind == Reply:
		net.deliverReply(d)
	default:
		net.deliverTo(h.node, d)
	}
}

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
func (h *handler) accepts(n *Node, m *message) error {
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
	case h.arg != m.plan.typ:
		return fail(ErrType, fmt.Errorf("the handler takes %v, got %v", h.arg, m.plan.typ))
	}
	return nil
}

func (net *Network) arrived(d delivery) {
	net.moved = true
	d.m.stream.stats.Delivered++
	if net.opts.Observe == nil {
		return
	}
	e := d.m.event(EventDelivered)
	e.Node, e.Copy = d.m.to, d.copy
	net.emit(e)
}

// lose records that a copy comes to nothing. The caller holds net.mu.
func (net *Network) lose(d delivery, reason string) {
	d.m.stream.stats.Lost++
	if net.opts.Observe == nil {
		return
	}
	e := d.m.event(EventLost)
	e.Copy, e.Reason = d.copy, reason
	net.emit(e)
}

// event describes the message. Only an observed network fills in what costs something.
func (m *message) event(kind EventKind) Event {
	e := Event{
		Kind: kind, Msg: m.id, From: m.from, To: m.to, Method: m.method,
		Message: m.kind, Number: m.number, ReplyTo: m.replyTo,
	}
	if m.sender != nil && m.sender.net.opts.Observe == nil {
		return e
	}
	e.Body = reflect.NewAt(m.plan.typ, m.body).Elem().Interface()
	if kind == EventSent && m.pc != 0 {
		frame, _ := runtime.CallersFrames([]uintptr{m.pc}).Next()
		e.Source = fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(frame.File)), path.Base(frame.File), frame.Line)
	}
	return e
}
