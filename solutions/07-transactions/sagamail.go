package transactions

import (
	"maps"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

// A mailbox is the state of a service with its outbox and its inbox. The three are one record, so that
// a crash comes either before a message is handled, or after all that follows from it.
type mailbox[S any] struct {
	node   *labrpc.Node
	handle func(state *S, m sagaMessage) []letter

	mu     sync.Mutex
	record mailRecord[S]            // as on the disk, when mu is free
	sent   map[uint64]chan struct{} // by number; closed when the letter is acknowledged
}

type mailRecord[S any] struct {
	State S
	Last  uint64            // the number of the last letter
	Out   map[uint64]letter // the letters that are not acknowledged
	In    map[labrpc.NodeID]received
}

// received is the numbers of all letters from one sender: 1 to UpTo, and some above.
type received struct {
	UpTo  uint64
	Above map[uint64]bool
}

// A letter is a message that must be handled exactly once.
type letter struct {
	To   labrpc.NodeID
	Body sagaMessage
}

// A sagaMessage is a command to a service, or its reply.
type sagaMessage struct {
	Kind  string
	Order Order
}

type numberedLetter struct {
	Number uint64
	Body   sagaMessage
}

type letterReceipt struct{ Number uint64 }

// openMailbox continues with the record on the disk, or begins with the initial state.
func openMailbox[S any](node *labrpc.Node, initial S, handle func(*S, sagaMessage) []letter) *mailbox[S] {
	b := &mailbox[S]{node: node, handle: handle, sent: map[uint64]chan struct{}{}}
	found, err := node.Disk().Load("saga", &b.record)
	if err != nil {
		node.Logf("saga: the disk cannot be read: %v", err)
		return b // a service that cannot know its state must not act
	}
	if !found {
		b.record.State = initial
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	labrpc.Receive(node, "saga", b.receive)
	labrpc.Receive(node, "saga-receipt", b.acknowledged)
	b.sendNew()
	return b
}

// update makes the next record of this one, and sends the letters that are new in it once it is on the disk. After an error, which means that
// the node has crashed, the disk has the old or the new one.
func (b *mailbox[S]) update(change func(next *mailRecord[S])) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replace(change)
}

// replace is update for a caller that holds b.mu. Nobody reads the record before it is on the disk, as b.mu is held.
func (b *mailbox[S]) replace(change func(next *mailRecord[S])) error {
	change(&b.record)
	if err := b.node.Disk().Save("saga", b.record); err != nil {
		return err
	}
	b.sendNew()
	return nil
}

// post adds letters to an outbox.
func (r *mailRecord[S]) post(letters []letter) {
	for _, l := range letters {
		if r.Out == nil {
			r.Out = map[uint64]letter{}
		}
		r.Last++
		r.Out[r.Last] = l
	}
}

// sendNew begins to send what is in the outbox and is not being sent yet. The caller holds b.mu.
func (b *mailbox[S]) sendNew() {
	for _, n := range slices.Sorted(maps.Keys(b.record.Out)) {
		if b.sent[n] == nil {
			b.sent[n] = make(chan struct{})
			go b.send(b.record.Out[n].To, numberedLetter{n, b.record.Out[n].Body}, b.sent[n])
		}
	}
}

func (b *mailbox[S]) send(to labrpc.NodeID, l numberedLetter, done <-chan struct{}) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_ = labrpc.Send(b.node, to, "saga", l)
		select {
		case <-done:
			return
		case <-b.node.Context().Done():
			return
		case <-time.After(wait):
		}
	}
}

// receive handles a letter unless it was handled before. The receipt leaves when the disk has all that follows.
func (b *mailbox[S]) receive(from labrpc.NodeID, l numberedLetter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.record.In[from]
	if l.Number > in.UpTo && !in.Above[l.Number] {
		err := b.replace(func(next *mailRecord[S]) {
			next.note(from, l.Number)
			next.post(b.handle(&next.State, l.Body))
		})
		if err != nil {
			return
		}
	}
	_ = labrpc.Send(b.node, from, "saga-receipt", letterReceipt{l.Number})
}

// note records in an inbox that a letter is handled.
func (r *mailRecord[S]) note(from labrpc.NodeID, number uint64) {
	if r.In == nil {
		r.In = map[labrpc.NodeID]received{}
	}
	in := r.In[from]
	if in.Above == nil {
		in.Above = map[uint64]bool{}
	}
	in.Above[number] = true
	for in.Above[in.UpTo+1] {
		in.UpTo++
		delete(in.Above, in.UpTo)
	}
	r.In[from] = in
}

// acknowledged removes a letter from the outbox.
func (b *mailbox[S]) acknowledged(_ labrpc.NodeID, r letterReceipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := b.sent[r.Number]
	if done == nil || b.replace(func(next *mailRecord[S]) { delete(next.Out, r.Number) }) != nil {
		return
	}
	delete(b.sent, r.Number)
	close(done)
}

// read calls f with the state, which f must not change.
func (b *mailbox[S]) read(f func(state *S)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.record.State)
}
