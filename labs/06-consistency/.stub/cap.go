package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrRefused: under CP, no majority has answered in time. An Add may or may not
// have happened.
var ErrRefused = errors.New("consistency: refused, for want of a majority")

// A Policy says what a store gives up while the network is divided.
type Policy int

// The policies.
const (
	CP Policy = iota // availability: without a majority it refuses
	AP               // consistency: it answers with what it has
)

// String returns the policy's name.
func (p Policy) String() string { return [...]string{"CP", "AP"}[p] }

// BasketOptions configure a Basket.
type BasketOptions struct {
	Policy  Policy
	Members []labrpc.NodeID // the nodes that keep the basket, this one among them; no other is talked to
	Timeout time.Duration   // under CP, after which a request is refused
	Gossip  time.Duration   // how often a member compares itself with another; much shorter
}

// A Basket is one node's part of a set of items, to which items are added. All
// methods may be called by several goroutines at once.
type Basket struct {
	// TODO(6E): what it remembers.
}

// NewBasket makes the node a member, with what an earlier incarnation left on
// the disk. It returns at once. All that it starts ends when node.Context() does.
func NewBasket(node *labrpc.Node, opts BasketOptions) *Basket {
	// TODO(6E): read the disk, register a handler, begin to gossip. What the messages are like is up to you.
	return &Basket{}
}

// Add puts an item into the basket; to add it again changes nothing. It returns
// nil when the item cannot be lost any more by crashes after which all members
// come back.
//
// Under CP, every Items that begins after that has the item; if Add cannot
// promise it within Timeout, the error wraps ErrRefused. Under AP it returns at once.
func (b *Basket) Add(item string) error {
	// TODO(6E): add.
	return errors.New("consistency: Add is yet to be written")
}

// Items returns what is in the basket, sorted.
//
// Under CP, Add and Items are linearizable; if that cannot be had within
// Timeout, the error wraps ErrRefused. Under AP it returns at once what this node has.
func (b *Basket) Items() ([]string, error) {
	// TODO(6E): read.
	return nil, errors.New("consistency: Items is yet to be written")
}
