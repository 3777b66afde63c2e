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
	node *labrpc.Node
	opts BasketOptions

	mu    sync.Mutex
	items []string // sorted
}

const itemRecord = "item/"

// NewBasket makes the node a member, with what an earlier incarnation left on
// the disk. It returns at once. All that it starts ends when node.Context() does.
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

// Add puts an item into the basket; to add it again changes nothing. It returns
// nil when the item cannot be lost any more by crashes after which all members
// come back.
//
// Under CP, every Items that begins after that has the item; if Add cannot
// promise it within Timeout, the error wraps ErrRefused. Under AP it returns at once.
func (b *Basket) Add(item string) error {
	if b.opts.Policy == AP {
		_, err := b.merge([]string{item})
		return err
	}
	ctx, cancel := context.WithTimeout(b.node.Context(), b.opts.Timeout)
	defer cancel()
	_, _, err := b.propose(ctx, []string{item})
	return err
}

// Items returns what is in the basket, sorted.
//
// Under CP, Add and Items are linearizable; if that cannot be had within
// Timeout, the error wraps ErrRefused. Under AP it returns at once what this node has.
func (b *Basket) Items() ([]string, error) {
	if b.opts.Policy == AP {
		return b.merge(nil)
	}
	items, err := b.merge(nil)
	if err != nil {
		return nil, err
	}
	return b.agree(items)
}

// merge adds items to what this node has, on the disk first, and returns all
// that it has then.
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

// A mergeRequest has items for another member; it answers with all that it has
// then.
type mergeRequest struct {
	Items []string
}

type mergeReply struct {
	Items []string
}

func (b *Basket) merged(_ labrpc.NodeID, req mergeRequest) mergeReply {
	items, err := b.merge(req.Items)
	if err != nil {
		return mergeReply{} // nobody hears it: this node is down
	}
	return mergeReply{Items: items}
}

// agree sends a set to all members until a majority has that set, and nothing
// else; what others have in addition goes into the next attempt. Two sets that
// were agreed on share a member that had both, one after the other: so one
// contains the other, and what is read does not depend on who asks.
func (b *Basket) agree(items []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(b.node.Context(), b.opts.Timeout)
	defer cancel()
	for {
		same, union, err := b.propose(ctx, items)
		if err != nil {
			return nil, err
		}
		if same {
			return union, nil
		}
		items = union
	}
}

// propose sends a set to all members until a majority has answered. It returns
// the union of the answers, and whether each was the set that was sent.
func (b *Basket) propose(ctx context.Context, items []string) (same bool, union []string, err error) {
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
	same, union = true, items
	for n := range len(b.opts.Members)/2 + 1 {
		select {
		case <-ctx.Done():
			return false, nil, fmt.Errorf("%w: %d of %d members", ErrRefused, n, len(b.opts.Members))
		case answer := <-answers:
			same = same && slices.Equal(answer, items)
			union = slices.Compact(slices.Sorted(slices.Values(slices.Concat(union, answer))))
		}
	}
	return same, union, nil
}

// send gives a member items, and returns all that it has then.
func (b *Basket) send(ctx context.Context, to labrpc.NodeID, items []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.Gossip)
	defer cancel()
	reply, err := labrpc.Call[mergeReply](ctx, b.node, to, "Merge", mergeRequest{Items: items})
	return reply.Items, err
}

// gossip exchanges what it has with one member after another.
func (b *Basket) gossip() {
	ticker := time.NewTicker(b.opts.Gossip)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-b.node.Context().Done():
			return
		case <-ticker.C:
		}
		to := b.opts.Members[round%len(b.opts.Members)]
		mine, err := b.merge(nil)
		if to == b.node.ID() || err != nil {
			continue
		}
		if reply, err := b.send(b.node.Context(), to, mine); err == nil {
			_, _ = b.merge(reply) // fails only when this node is down
		}
	}
}
