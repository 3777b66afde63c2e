package labrpc

import (
	"hash/fnv"
	"time"
)

// A Fault is one thing that goes wrong: what a lossy link does to one message, or what the test does to the network.
// It means the same in every run of the seed: a message is named by its number on its link, and
// what the test does is counted, a kind at a time.
type Fault struct {
	Kind   FaultKind
	From   NodeID // of a message; or the node concerned, if it is one
	To     NodeID
	Method string
	Of     MessageKind
	Number uint64
}

// FaultKind is the sort of a fault.
type FaultKind string

// The kinds of fault. The first four befall a message by its link's [Link], the others are a test's.
const (
	FaultLoss      FaultKind = "loss"
	FaultDuplicate FaultKind = "duplicate"
	FaultReorder   FaultKind = "reorder"
	FaultLate      FaultKind = "late" // its latency is more than three times the median; suppressed, it is the median
	FaultCut       FaultKind = "cut"  // one call of Cut, CutBoth, Isolate or Partition
	FaultCrash     FaultKind = "crash"
	FaultPause     FaultKind = "pause"
	FaultClock     FaultKind = "clock"
)

// A Fate is what a link does to one message: see [Options.Override].
type Fate struct {
	Lost  bool
	Twice bool          // a copy arrives, too
	Later time.Duration // how much longer it takes than drawn; it befalls no copy
}

// spares reports whether a fault of the test's own is suppressed. The caller holds net.mu.
func (net *Network) spares(kind FaultKind, id NodeID) bool {
	if net.opts.Suppress == nil {
		return false
	}
	if net.faults == nil {
		net.faults = map[FaultKind]uint64{}
	}
	net.faults[kind]++
	return net.opts.Suppress(Fault{Kind: kind, From: id, Number: net.faults[kind]})
}

// route decides a message's fate and schedules what follows. The caller holds net.mu.
//
//go:norace
func (net *Network) route(m *message) {
	if net.links[m.from][m.to].isCut {
		net.lose(delivery{m: m}, "cut")
		return
	}
	for _, h := range net.holds {
		if h.takes(m) {
			net.observe(EventHeld, m, 0, "")
			return
		}
	}
	net.transmit(m)
}

// transmit applies the link's own faults. The caller holds net.mu.
//
//go:norace
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
	fate := Fate{Lost: net.befalls(m, FaultLoss, s.chance(m.number, drawLoss, l.link.Loss))}
	if !fate.Lost || net.opts.Override != nil {
		fate.Twice = net.befalls(m, FaultDuplicate, s.chance(m.number, drawDuplicate, l.link.Duplicate))
	}
	if net.opts.Override != nil {
		fate = net.opts.Override(m.id, fate)
	}
	if fate.Lost {
		net.lose(delivery{m: m}, "loss")
		return
	}
	net.schedule(net.delay(l, s, m, drawLatency, drawJitter, fate.Later), delivery{m: m})
	if fate.Twice {
		net.duplicate(l, s, m)
	}
}

// duplicate schedules a copy of the message.
func (net *Network) duplicate(l *linkState, s *stream, m *message) {
	copied, err := m.plan.clone(m.body)
	if err != nil {
		return
	}
	twin := m.twin(copied)
	net.observe(EventDuplicated, m, 1, "")
	s.stats.Duplicated++
	net.schedule(net.delay(l, s, m, drawDuplicateLatency, drawDuplicateJitter, 0), delivery{m: twin, copy: 1})
}

// befalls reports whether a fault that the draw has chosen happens, or is suppressed.
//
//go:norace
func (net *Network) befalls(m *message, kind FaultKind, drawn bool) bool {
	if !drawn || net.opts.Suppress == nil {
		return drawn
	}
	return !net.opts.Suppress(Fault{Kind: kind, From: m.from, To: m.to, Method: m.method, Of: m.kind, Number: m.number})
}

// delay is how long a copy of the message is under way, including its sender's pause; later is what it takes longer than drawn.
//
//go:norace
func (net *Network) delay(l *linkState, s *stream, m *message, draw, jitter uint64, later time.Duration) time.Duration {
	var now, leaves, d time.Duration
	if paused := net.hosts[m.from].pausedUntil; paused > 0 || l.link.Latency != nil || l.link.InOrder { // else the time of day does not matter
		now = net.now()
		leaves = max(now, paused)
	}
	if l.link.Latency != nil {
		d = max(0, l.link.Latency(s.draw(m.number, draw), leaves))
		if draw == drawLatency && net.opts.Suppress != nil {
			if usual := l.link.Latency(0.5, leaves); usual >= 0 && d > 3*usual && !net.befalls(m, FaultLate, true) {
				d = usual
			}
		}
	}
	if draw == drawLatency && net.befalls(m, FaultReorder, s.chance(m.number, drawReorder, l.link.Reorder)) {
		d += time.Duration(s.draw(m.number, drawReorderBy) * float64(l.link.reorderBy(leaves)))
	}
	d += net.jitter(s, m, jitter) + later
	due := leaves + d
	if l.link.InOrder {
		due = max(due, l.lastDue+1)
		l.lastDue = due
	}
	return due - now
}

// jitter gives deliveries a nanosecond part, so that in virtual time hardly two fall on one instant; see ownInstant for those that do.
//
//go:norace
func (net *Network) jitter(s *stream, m *message, question uint64) time.Duration {
	if !net.virtual {
		return 0
	}
	return 1 + time.Duration(s.draw(m.number, question)*999)
}

// The draws of a message: each fate uses one of its own, so that switching off
// a fault changes nothing else.
const (
	drawLoss = iota + 1
	drawLatency
	drawJitter
	drawDuplicate
	drawDuplicateLatency
	drawReorder
	drawReorderBy
	drawDuplicateJitter
)

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of x
// changes half of the bits of the result.
//
//go:norace
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashOf(seed uint64, parts ...uint64) uint64 {
	h := mix(seed)
	for _, p := range parts {
		h = mix(h ^ p)
	}
	return h
}

func hashString(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s)) // never fails
	return h.Sum64()
}

// A stream is all messages of one method and kind on one link. The fate of each is a pure
// function of (seed, link, method, kind, number).
type stream struct {
	key   streamKey
	base  uint64
	count uint64
	stats MethodStats
}

func newStream(seed uint64, from, to NodeID, key streamKey) *stream {
	return &stream{key: key, base: hashOf(seed, uint64(from), uint64(to), hashString(key.method), hashString(string(key.kind)))}
}

// chance reports whether something of that probability happens to a message. Nothing that is impossible is drawn.
//
//go:norace
func (s *stream) chance(number, question uint64, probability float64) bool {
	return probability > 0 && s.draw(number, question) < probability
}

// draw returns a number in [0, 1) for one question about one message.
//
//go:norace
func (s *stream) draw(number uint64, question uint64) float64 {
	return float64(mix(s.base^mix(number<<8|question))>>11) / (1 << 53)
}
