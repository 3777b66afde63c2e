package labrpc

import "hash/fnv"

// A Fault is one thing that a lossy link did to one message. It names the
// message by its number on its link, so that it means the same in every run of
// the seed in which that message is sent.
type Fault struct {
	Kind   FaultKind
	From   NodeID
	To     NodeID
	Method string
	Of     MessageKind
	Number uint64
}

// FaultKind is what a link may do to a message.
type FaultKind string

// The kinds of fault.
const (
	FaultLoss      FaultKind = "loss"
	FaultDuplicate FaultKind = "duplicate"
	FaultReorder   FaultKind = "reorder"
)

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
	base  uint64
	count uint64
	stats MethodStats
}

func newStream(seed uint64, from, to NodeID, method string, kind MessageKind) *stream {
	return &stream{base: hashOf(seed, uint64(from), uint64(to), hashString(method), hashString(string(kind)))}
}

// draw returns a number in [0, 1) for one question about one message.
func (s *stream) draw(number uint64, question uint64) float64 {
	return float64(mix(s.base^mix(number<<8|question))>>11) / (1 << 53)
}
