package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"time"

	"distlabs/labrpc"
)

// A Sum stands for a whole run: two runs with one Sum are the same.
type Sum [16]byte

// String returns the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// A Digest folds the events of a run into a [Sum], without keeping them. Its Observe is meant for
// labrpc.Options.Observe. The zero Digest is ready. It is not for several goroutines at once; a
// network calls its observer one event at a time.
//
// All of an event counts but its place in the run, which follows, and the source line.
type Digest struct {
	hash   hash.Hash
	buf    []byte
	events int
}

// digestBlock is how many bytes are gathered before they are hashed.
const digestBlock = 8 << 10

// Observe folds in one event.
//
//go:norace
func (d *Digest) Observe(e labrpc.Event) {
	d.buf = appendEvent(d.buf, e)
	d.events++
	if len(d.buf) >= digestBlock {
		d.flush()
	}
}

// appendEvent appends all that counts of an event.
//
//go:norace
func appendEvent(b []byte, e labrpc.Event) []byte {
	b = appendField(b, string(e.Kind))
	for _, n := range [...]uint64{
		uint64(e.At), uint64(e.Node), uint64(e.Inc), e.Msg, uint64(e.Copy),
		uint64(e.From), uint64(e.To), e.Number, e.ReplyTo,
	} {
		b = binary.AppendUvarint(b, n)
	}
	for _, s := range [...]string{e.Method, string(e.Message), e.Reason, e.Name, e.Value} {
		b = appendField(b, s)
	}
	// What a message holds is settled when it is sent or altered; to encode it
	// again for each copy would double the cost and add nothing.
	if e.Body != nil && (e.Kind == labrpc.EventSent || e.Kind == labrpc.EventAltered) {
		body, err := labrpc.Marshal(e.Body)
		if err != nil {
			body = []byte(encodeBody(e.Body))
		}
		b = binary.AppendUvarint(b, uint64(len(body)))
		b = append(b, body...)
	}
	return b
}

// eventOf reads what appendEvent has appended, except what a message holds.
func eventOf(b []byte) labrpc.Event {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return n
	}
	text := func() string {
		n := number()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	// Go evaluates the calls in the order in which they stand here, which is appendEvent's.
	return labrpc.Event{
		Kind: labrpc.EventKind(text()),
		At:   time.Duration(number()), Node: labrpc.NodeID(number()), Inc: int(number()), Msg: number(), Copy: int(number()),
		From: labrpc.NodeID(number()), To: labrpc.NodeID(number()), Number: number(), ReplyTo: number(),
		Method: text(), Message: labrpc.MessageKind(text()), Reason: text(), Name: text(), Value: text(),
	}
}

// appendField appends a string with its length, so that no two lists of strings look alike.
//
//go:norace
func appendField(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (d *Digest) flush() {
	if d.hash == nil {
		d.hash = sha256.New()
	}
	d.hash.Write(d.buf) // a hash.Hash never returns an error
	d.buf = d.buf[:0]
}

// Events returns how many events were folded in.
func (d *Digest) Events() int { return d.events }

// Sum returns the sum of the events so far. More may follow.
func (d *Digest) Sum() Sum {
	d.flush()
	return Sum(d.hash.Sum(nil)[:len(Sum{})])
}
