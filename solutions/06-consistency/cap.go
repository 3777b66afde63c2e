package consistency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	node *labrpc.Node
	opts BasketOptions

	mu    sync.Mutex
	items []string // sorted
}

const itemRecord = "item/"

// NewBasket makes the node a member, with the items that an earlier incarnation left on
// the disk. It returns at once. All goroutines that it starts end when node.Context() ends.
func NewBasket(node *labrpc.Node, opts BasketOptions) *Basket {
	b := &Basket{node: node, opts: opts}
	for _, name := range node.Disk().Names() {
		if item, ok := strings.CutPrefix(name, itemRecord); ok {
			b.items = append(b.items, item)
		}
	}
	labrpc.Handle(node, "Merge", b.merged)
	go b.gossip()
	return b
}

// Add adds an item; to add it again changes nothing. It returns
// nil when the item survives every crash, if all members come back.
//
// Under CP, every later call of Items returns the item; if Add cannot
// guarantee that within Timeout, the error wraps ErrRefused. Under AP it returns at once.
func (b *Basket) Add(item string) error {
	if b.opts.Policy == AP {
		_, err := b.merge([]string{item})
		return err
	}
	ctx, cancel := context.WithTimeout(b.node.Context(), b.opts.Timeout)
	defer cancel()
	_, err := b.propose(ctx, []string{item})
	return err
}

// Items returns the items, sorted, in a slice of the caller's own.
//
// Under CP, Add and Items are linearizable; if Items cannot guarantee that within
// Timeout, the error wraps ErrRefused. Under AP it returns at once the items that this member has.
func (b *Basket) Items() ([]string, error) {
	mine, err := b.merge(nil)
	if b.opts.Policy == AP {
		return mine, err
	}
	return b.agree(mine)
}

// merge adds items to those of this member, on the disk first, and returns all
// that the member has then. It fails only when this node is down.
func (b *Basket) merge(items []string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range items {
		at, has := slices.BinarySearch(b.items, item)
		if has {
			continue
		}
		if err := b.node.Disk().Write(itemRecord+item, nil); err != nil {
			return nil, err
		}
		b.items = slices.Insert(slices.Clip(b.items), at, item)
	}
	return slices.Clone(b.items), nil
}

// A mergeRequest has items for another member, which replies with all items that it has
// then.
type mergeRequest struct {
	Items []string
}

type mergeReply struct {
	Items []string
}

func (b *Basket) merged(_ labrpc.NodeID, req mergeRequest) mergeReply {
	items, _ := b.merge(req.Items) // when this node is down, no reply leaves
	return mergeReply{Items: items}
}

// agree sends a set to all members until a majority has exactly that set; items that
// others have in addition go into the next attempt. For any two sets that
// were agreed on, some member has had both, one after the other: so one
// set contains the other, and the result does not depend on which member asks.
func (b *Basket) agree(items []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(b.node.Context(), b.opts.Timeout)
	defer cancel()
	for {
		union, err := b.propose(ctx, items)
		if err != nil {
			return nil, err
		}
		if len(union) == len(items) {
			return union, nil // no reply had more than the set that was sent
		}
		items = union
	}
}

// propose sends a set to all members until a majority has replied. It returns
// the union of the replies. Each reply contains the set that was sent.
func (b *Basket) propose(ctx context.Context, items []string) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan []string, len(b.opts.Members))
	for _, id := range b.opts.Members {
		go func() {
			for ctx.Err() == nil {
				reply, err := b.send(ctx, id, items)
				if err == nil {
					answers <- reply
				}
				if !errors.Is(err, labrpc.ErrNoReply) {
					return
				}
			}
		}()
	}
	var union []string
	for n := range len(b.opts.Members)/2 + 1 {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %d of %d members", ErrRefused, n, len(b.opts.Members))
		case answer := <-answers:
			union = append(union, answer...)
		}
	}
	slices.Sort(union)
	return slices.Compact(union), nil
}

// send sends items to a member, and returns all items that it has then.
func (b *Basket) send(ctx context.Context, to labrpc.NodeID, items []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Gossip)
	defer cancel()
	reply, err := labrpc.Call[mergeReply](ctx, b.node, to, "Merge", mergeRequest{Items: items})
	return reply.Items, err
}

// gossip exchanges items with one member after another.
func (b *Basket) gossip() {
	ticker := time.NewTicker(b.opts.Gossip)
	defer ticker.Stop()
	for {
		for _, to := range b.opts.Members {
			select {
			case <-b.node.Context().Done():
				return
			case <-ticker.C:
			}
			if to == b.node.ID() {
				continue
			}
			mine, _ := b.merge(nil)
			reply, _ := b.send(b.node.Context(), to, mine)
			_, _ = b.merge(reply) // nothing, if there was no reply
		}
	}
}
