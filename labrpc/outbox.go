package labrpc

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
	"unsafe"
)

// An item is one thing that a node's goroutine did and the network has not taken note of yet.
type item struct {
	next *item
	kind itemKind
	node *Node    // nil for a waiter
	msg  *message // the item is a part of it
	text *text
	wait *waiter
	sink any // itemTell: a func(time.Duration, T), and how to call it
	call func(sink any, at time.Duration, body unsafe.Pointer)
}

// text is what notes, logs, writes and crashes say.
type text struct{ name, value string }

type itemKind uint8

// In the order in which the items of one instant are taken.
const (
	itemNote itemKind = iota
	itemLog
	itemWrite
	itemTell
	itemSend
	itemCrash
	itemWait
)

// The outbox collects items, last first. See race.go for why pushing must be invisible to the race detector.
type outbox struct {
	mu   sync.Mutex
	head *item
}

//go:norace
func (b *outbox) push(it *item) {
	raceDisable()
	b.mu.Lock()
	it.next = b.head
	b.head = it
	b.mu.Unlock()
	raceEnable()
}

// take empties the outbox, first item first.
//
//go:norace
func (b *outbox) take(into []*item) []*item {
	raceDisable()
	b.mu.Lock()
	it := b.head
	b.head = nil
	b.mu.Unlock()
	raceEnable()
	for it != nil {
		if it.msg != nil {
			it.msg.acquire()
		}
		into = append(into, it)
		next := it.next
		it.next = nil // a message that lives on keeps no other alive
		it = next
	}
	slices.Reverse(into)
	return into
}

// push hands a text item to the network, unless the node is down.
//
//go:norace
func (n *Node) push(kind itemKind, name, text string) {
	if n.isDown() {
		return
	}
	n.net.submit(newText(kind, n, name, text))
}

//go:norace
func newText(kind itemKind, n *Node, name, value string) *item {
	both := new(struct {
		item item
		text text
	})
	both.item.kind = kind
	both.item.node = n
	both.item.text = &both.text
	both.text.name = name
	both.text.value = value
	return &both.item
}

// submit hands an item to the network: to the dispatcher in virtual time, at once in real time.
//
//go:norace
func (net *Network) submit(it *item) {
	if net.virtual {
		net.box.push(it)
		net.rouse()
		return
	}
	if it.msg != nil && net.isElsewhere(it.msg.to) {
		it.msg.encoded() // before the lock: it takes longest
	}
	net.mu.Lock()
	defer net.mu.Unlock()
	net.process(it)
}

// canonical sorts the items of one instant into an order that does not depend
// on which goroutine ran first: the rule that makes a seed replay. Notes, logs and writes stay in
// their node's order; messages are sorted by link, method and content.
func canonical(items []*item) {
	if len(items) < 2 {
		return
	}
	slices.SortStableFunc(items, func(a, b *item) int {
		if c := cmp.Compare(a.class(), b.class()); c != 0 {
			return c
		}
		if c := cmp.Compare(a.owner(), b.owner()); c != 0 || a.kind != itemSend {
			return c
		}
		return a.msg.compare(b.msg)
	})
}

// class groups the kinds that keep their node's order among each other.
func (it *item) class() int {
	switch it.kind {
	case itemSend, itemCrash, itemWait:
		return int(it.kind)
	}
	return 0
}

func (it *item) owner() NodeID {
	if it.node == nil {
		return 0
	}
	return it.node.ID()
}

// compare orders messages by link, method, kind, for replies by their request, and then by their bytes.
func (m *message) compare(o *message) int {
	c := cmp.Or(cmp.Compare(m.to, o.to), cmp.Compare(m.method, o.method), cmp.Compare(m.kind, o.kind),
		cmp.Compare(m.replyTo, o.replyTo))
	if c != 0 {
		return c
	}
	return bytes.Compare(m.encoded(), o.encoded())
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
