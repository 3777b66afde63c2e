package labrpc

import "hash/fnv"

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
