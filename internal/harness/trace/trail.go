package trace

import (
	"hash/crc32"
	"strings"

	"distlabs/labrpc"
)

// A Trail is a [Digest] that can also say where two runs part. It keeps some 200 bytes of each event: enough to name it, and not what a message holds. The
// zero Trail is ready. It is not for several goroutines at once.
type Trail struct {
	digest Digest
	marks  []mark
}

// mark is what a trail keeps of an event.
type mark struct {
	event labrpc.Event // without what is long
	sum   uint32       // of all that counts
}

// Observe follows one event.
func (t *Trail) Observe(e labrpc.Event) {
	from := len(t.digest.buf)
	whole := appendEvent(t.digest.buf, e)
	t.marks = append(t.marks, mark{sum: crc32.ChecksumIEEE(whole[from:]), event: labrpc.Event{
		Kind: e.Kind, At: e.At, Node: e.Node, From: e.From, To: e.To, Method: e.Method, Message: e.Message, Name: e.Name,
		Value: strings.Clone(e.Value[:min(len(e.Value), maxSentence)]),
	}})
	t.digest.fold(whole)
}

// Sum returns the sum of the events so far, as a Digest does.
func (t *Trail) Sum() Sum { return t.digest.Sum() }

// Part returns the first event at which two runs differ, and whether they do.
func (t *Trail) Part(other *Trail) (Difference, bool) {
	same := func(x, y *mark) bool { return x.sum == y.sum }
	return parting(t.marks, other.marks, same, func(m *mark) *Step { return &Step{Event: m.event} }, describeMarks)
}

// describeMarks says what two events are that differ, perhaps in what a mark does not keep.
func describeMarks(x, y *Step) (one, other string) {
	if one, other = x.sentence(), y.sentence(); one == other {
		other = "the same with another content or at another time"
	}
	return one, other
}
