package consistency

import (
	"errors"
	"maps"
	"slices"
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

// A Basket is one node's part of a set of items. Members talk in one-way
// messages. Now and then each tells all others its whole set; under CP, an
// attempt tells them at once, and they tell it theirs.
type Basket struct {
	node *labrpc.Node
	opts BasketOptions

	mu       sync.Mutex
	items    map[string]bool
	attempts map[uint64]*basketTry
	last     uint64
}

// A basketTry is to learn which majority has exactly a set.
type basketTry struct {
	set     map[string]bool
	answers map[labrpc.NodeID]map[string]bool
	over    chan struct{} // closed when a majority has answered
}

// offer has a member's set, for an attempt if Attempt is not 0.
type offer struct {
	Items   []string
	Attempt uint64
}

const lives = "lives"

// NewBasket makes the node a member, with what an earlier incarnation left on
// the disk.
func NewBasket(node *labrpc.Node, opts BasketOptions) *Basket {
	b := &Basket{node: node, opts: opts, items: map[string]bool{}, attempts: map[uint64]*basketTry{}}
	var items []string
	_, _ = node.Disk().Load("items", &items)
	for _, item := range items {
		b.items[item] = true
	}
	// Answers to an earlier incarnation must not count: attempts are numbered on from it.
	_, _ = node.Disk().Load(lives, &b.last)
	b.last += 1 << 32
	_ = node.Disk().Save(lives, b.last)
	labrpc.Receive(node, "Offer", b.offered)
	labrpc.Receive(node, "Answer", b.answered)
	go b.spread()
	return b
}

// Add puts an item into the basket.
func (b *Basket) Add(item string) error {
	if err := b.take([]string{item}); err != nil || b.opts.Policy == AP {
		return err
	}
	// One round suffices: a member that answers has the item on its disk. To wait until a majority agrees, as Items does, might never end while others add.
	if _, ok := b.try(b.sorted(), time.After(b.opts.Timeout)); !ok {
		return ErrRefused
	}
	return nil
}

// Items returns what is in the basket, sorted.
func (b *Basket) Items() ([]string, error) {
	if b.opts.Policy == AP {
		return b.sorted(), nil
	}
	deadline := time.After(b.opts.Timeout)
	for {
		items := b.sorted()
		same, ok := b.try(items, deadline)
		if !ok {
			return nil, ErrRefused
		}
		if same {
			return items, nil
		}
	}
}

func (b *Basket) sorted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.items))
}

// take adds items to what this node has.
func (b *Basket) take(items []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := maps.Clone(b.items)
	for _, item := range items {
		all[item] = true
	}
	if len(all) == len(b.items) {
		return nil
	}
	if err := b.node.Disk().Save("items", slices.Sorted(maps.Keys(all))); err != nil {
		return err
	}
	b.items = all
	return nil
}

// try offers a set to all until a majority has answered. It reports whether all of
// those had that set.
func (b *Basket) try(items []string, deadline <-chan time.Time) (same, ok bool) {
	a := &basketTry{set: map[string]bool{}, answers: map[labrpc.NodeID]map[string]bool{}, over: make(chan struct{})}
	for _, item := range items {
		a.set[item] = true
	}
	b.mu.Lock()
	b.last++
	number := b.last
	b.attempts[number] = a
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.attempts, number)
	}()
	for {
		for _, id := range b.opts.Members {
			_ = labrpc.Send(b.node, id, "Offer", offer{Items: items, Attempt: number})
		}
		select {
		case <-a.over:
			b.mu.Lock()
			defer b.mu.Unlock()
			same = true
			for _, answer := range a.answers {
				same = same && maps.Equal(answer, a.set)
			}
			return same, true
		case <-deadline:
			return false, false
		case <-b.node.Context().Done():
			return false, false
		case <-time.After(b.opts.Gossip):
		}
	}
}

func (b *Basket) offered(from labrpc.NodeID, o offer) {
	if b.take(o.Items) == nil && o.Attempt != 0 {
		_ = labrpc.Send(b.node, from, "Answer", offer{Items: b.sorted(), Attempt: o.Attempt})
	}
}

func (b *Basket) answered(from labrpc.NodeID, o offer) {
	if b.take(o.Items) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.attempts[o.Attempt]
	if a == nil || len(a.answers) > len(b.opts.Members)/2 {
		return
	}
	set := map[string]bool{}
	for _, item := range o.Items {
		set[item] = true
	}
	a.answers[from] = set
	if len(a.answers) > len(b.opts.Members)/2 {
		close(a.over)
	}
}

// spread tells the others what this member has.
func (b *Basket) spread() {
	for {
		select {
		case <-b.node.Context().Done():
			return
		case <-time.After(b.opts.Gossip):
		}
		for _, id := range b.opts.Members {
			if id != b.node.ID() {
				_ = labrpc.Send(b.node, id, "Offer", offer{Items: b.sorted()})
			}
		}
	}
}
