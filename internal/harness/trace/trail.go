package trace

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"distlabs/labrpc"
)

// A Trail keeps the events of a run, so that a second run can be compared with it while it goes on (see [Trail.Retrace]). It takes some 50 bytes an event,
// and what each message holds. The zero Trail is ready. It is not for several goroutines at once.
type Trail struct {
	blocks [][]byte // each event as appendEvent writes it, after its length
	buf    []byte
}

// trailBlock is how many bytes a block has, so that nothing is copied when a trail grows.
const trailBlock = 256 << 10

// Observe follows one event.
func (t *Trail) Observe(e labrpc.Event) {
	t.buf = appendEvent(t.buf[:0], e)
	need := binary.MaxVarintLen64 + len(t.buf)
	if n := len(t.blocks); n == 0 || cap(t.blocks[n-1])-len(t.blocks[n-1]) < need {
		t.blocks = append(t.blocks, make([]byte, 0, max(trailBlock, need)))
	}
	last := &t.blocks[len(t.blocks)-1]
	*last = append(binary.AppendUvarint(*last, uint64(len(t.buf))), t.buf...)
}

// Sum is that of a [Digest] of the same events.
func (t *Trail) Sum() Sum {
	hash := sha256.New()
	all := Retrace{blocks: t.blocks}
	for event, ok := all.next(); ok; event, ok = all.next() {
		hash.Write(event) // a hash.Hash never returns an error
	}
	return Sum(hash.Sum(nil)[:len(Sum{})])
}

// Retrace returns an observer for a second run. The trail must not grow any more.
func (t *Trail) Retrace() *Retrace { return &Retrace{blocks: t.blocks} }

// A Retrace compares a second run with the trail of a first one. It is not for several goroutines at once.
type Retrace struct {
	blocks [][]byte // of the trail, from the one in which the second run is
	at     int      // where in that block it is
	buf    []byte
	step   int

	parted bool
	where  Difference
}

// Observe follows one event of the second run.
func (r *Retrace) Observe(e labrpc.Event) {
	if r.parted {
		return
	}
	r.buf = appendEvent(r.buf[:0], e)
	first, ok := r.next()
	switch {
	case !ok:
		r.part(Difference{At: e.At, Other: happened(e)})
	case !bytes.Equal(first, r.buf):
		x := eventOf(first)
		d := Difference{At: min(x.At, e.At), One: happened(x), Other: happened(e)}
		if d.One == d.Other {
			d.Other = "the same with another content or at another time"
		}
		r.part(d)
	}
	r.step++
}

// Parted returns the first event at which the two runs differ, and whether they do. The second run must be over.
func (r *Retrace) Parted() (Difference, bool) {
	if first, ok := r.next(); ok && !r.parted {
		e := eventOf(first)
		r.part(Difference{At: e.At, One: happened(e)})
	}
	return r.where, r.parted
}

// happened says what an event tells of, in a sentence that is not too long.
func happened(e labrpc.Event) string { return shorten((&Step{Event: e}).sentence(), maxSentence) }

func (r *Retrace) part(d Difference) {
	d.Step = r.step
	r.where, r.parted = d, true
}

// next takes the next event of the trail, and reports whether there is one.
func (r *Retrace) next() ([]byte, bool) {
	if len(r.blocks) > 0 && r.at == len(r.blocks[0]) {
		r.blocks, r.at = r.blocks[1:], 0
	}
	if len(r.blocks) == 0 {
		return nil, false
	}
	n, size := binary.Uvarint(r.blocks[0][r.at:])
	from := r.at + size
	r.at = from + int(n)
	return r.blocks[0][from:r.at], true
}
