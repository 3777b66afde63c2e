package consistency

import (
	"errors"
	"time"

	"distlabs/labrpc"
)

// ErrRefused says that, under CP, no majority has replied in time. An Add may have
// taken effect, may still do so, or never.
var ErrRefused = errors.New("consistency: refused: no majority replied in time")

// A Policy says what a store gives up while the network is partitioned.
type Policy int

// The policies.
const (
	CP Policy = iota // availability: a member without a majority refuses
	AP               // consistency: a member replies with the items that it has
)

// String returns the policy's name.
func (p Policy) String() string { return [...]string{"CP", "AP"}[p] }

// BasketOptions configure a Basket.
type BasketOptions struct {
	Policy  Policy
	Members []labrpc.NodeID // the nodes that store the basket, this one included
	Timeout time.Duration   // under CP, after which a request is refused, counted from its call
	Gossip  time.Duration   // how often a member exchanges items with another one; much shorter
}

// A Basket is one member's copy of a set of items, to which items are added. All
// methods may be called by several goroutines at once.
type Basket struct {
	// TODO(6E): the state of a member.
}

// NewBasket makes the node a member, with the items that an earlier incarnation left on
// the disk. It returns at once. All goroutines that it starts end when node.Context() ends.
func NewBasket(node *labrpc.Node, opts BasketOptions) *Basket {
	// TODO(6E): read the disk, register a handler, start to gossip. You decide which messages members send.
	return &Basket{}
}

// Add adds an item; to add it again changes nothing. It returns
// nil when the item survives every crash, if all members come back.
//
// Under CP, every later call of Items returns the item; if Add cannot
// guarantee that within Timeout, the error wraps ErrRefused. Under AP it returns at once.
func (b *Basket) Add(item string) error {
	// TODO(6E): add.
	return errors.New("consistency: Add is not implemented")
}

// Items returns the items, sorted, in a slice of the caller's own.
//
// Under CP, Add and Items are linearizable; if Items cannot guarantee that within
// Timeout, the error wraps ErrRefused. Under AP it returns at once the items that this member has.
func (b *Basket) Items() ([]string, error) {
	// TODO(6E): read.
	return nil, errors.New("consistency: Items is not implemented")
}
