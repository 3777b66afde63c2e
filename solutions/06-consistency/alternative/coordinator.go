package consistency

import (
	"context"
	"sync"
	"time"

	"distlabs/labrpc"
)

// CoordinatorOptions configure a Coordinator.
type CoordinatorOptions struct {
	Replicas []labrpc.NodeID // the N nodes that run a Replica; the coordinator's own node need not be one of them
	Timeout  time.Duration   // after which a request fails, counted from its call
	Retry    time.Duration   // after which a replica that has not replied is asked again; much shorter
}

// A Coordinator serves the requests of clients, by asking the replicas.
type Coordinator struct {
	node *labrpc.Node
	opts CoordinatorOptions

	mu       sync.Mutex
	next     uint64 // counter of the next timestamp at least
	reserved uint64 // what may be given without a write to the disk, exclusive
	views    map[string]view
}

// A view is what is known of a key as of some instant.
type view struct {
	cell  Cell
	since time.Time
}

// NewCoordinator makes the node a coordinator.
func NewCoordinator(node *labrpc.Node, opts CoordinatorOptions) *Coordinator {
	c := &Coordinator{node: node, opts: opts, views: map[string]view{}}
	_, _ = node.Disk().Load("reserved", &c.reserved)
	c.next = c.reserved
	return c
}

// Put writes a key.
func (c *Coordinator) Put(key, value string, level Level) (Timestamp, error) {
	began := time.Now()
	need := level.Required(len(c.opts.Replicas))
	p := c.poll(key, began)
	defer p.stop()
	if !p.wait(func() bool { return len(p.cells) >= need }) {
		return Timestamp{}, ErrUnavailable
	}
	timestamp, ok := c.give(p.top().Timestamp.Counter)
	if !ok {
		return Timestamp{}, ErrUnavailable
	}
	cell := Cell{Value: value, Timestamp: timestamp}
	if !c.spread(key, cell, need, began) {
		return timestamp, ErrUnavailable
	}
	if level != One {
		c.learn(key, view{cell: cell, since: began})
	}
	return timestamp, nil
}

// give returns a timestamp above a counter. The disk has an upper bound of what was
// given, moved on a hundred at a time.
func (c *Coordinator) give(above uint64) (Timestamp, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = max(c.next, above+1)
	if c.next >= c.reserved {
		if c.node.Disk().Save("reserved", c.next+100) != nil {
			return Timestamp{}, false
		}
		c.reserved = c.next + 100
	}
	c.next++
	return Timestamp{Counter: c.next - 1, Node: c.node.ID()}, true
}

// ReadOptions say what a Get must return. The zero value is a read at ONE.
type ReadOptions struct {
	Level    Level
	AtLeast  Timestamp
	MaxStale time.Duration
}

// Get reads a key.
func (c *Coordinator) Get(key string, opts ReadOptions) (Cell, error) {
	began := time.Now()
	if opts.MaxStale > 0 {
		c.mu.Lock()
		v, ok := c.views[key]
		c.mu.Unlock()
		if ok && began.Sub(v.since) <= opts.MaxStale && v.cell.Timestamp.Compare(opts.AtLeast) >= 0 {
			return v.cell, nil
		}
		if opts.Level == One {
			opts.Level = Quorum
		}
	}
	need := opts.Level.Required(len(c.opts.Replicas))
	p := c.poll(key, began)
	defer p.stop()
	if !p.wait(func() bool { return len(p.cells) >= need && p.top().Timestamp.Compare(opts.AtLeast) >= 0 }) {
		return Cell{}, ErrUnavailable
	}
	cell := p.top()
	if opts.Level == One {
		return cell, nil
	}
	if !p.unanimous() && !c.spread(key, cell, need, began) {
		return Cell{}, ErrUnavailable
	}
	c.learn(key, view{cell: cell, since: began})
	return cell, nil
}

func (c *Coordinator) learn(key string, v view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.views[key]
	if ok && old.cell.Timestamp.Compare(v.cell.Timestamp) > 0 {
		v.cell = old.cell
	}
	if ok && v.since.Before(old.since) {
		v.since = old.since
	}
	c.views[key] = v
}

// A poll collects the cells of all replicas, one each.
type poll struct {
	ctx   context.Context
	stop  context.CancelFunc
	came  chan Cell
	cells []Cell
}

func (c *Coordinator) poll(key string, began time.Time) *poll {
	p := &poll{came: make(chan Cell, len(c.opts.Replicas))}
	p.ctx, p.stop = context.WithDeadline(c.node.Context(), began.Add(c.opts.Timeout))
	for _, id := range c.opts.Replicas {
		go repeat(p.ctx, c.opts.Retry, p.came, func(ctx context.Context) (Cell, error) {
			return labrpc.Call[Cell](ctx, c.node, id, "Fetch", FetchRequest{Key: key})
		})
	}
	return p
}

// wait takes cells in until cond holds.
func (p *poll) wait(cond func() bool) bool {
	for !cond() {
		select {
		case cell := <-p.came:
			p.cells = append(p.cells, cell)
		case <-p.ctx.Done():
			return false
		}
	}
	return true
}

func (p *poll) top() Cell {
	var top Cell
	for _, cell := range p.cells {
		if cell.Timestamp.Compare(top.Timestamp) > 0 {
			top = cell
		}
	}
	return top
}

func (p *poll) unanimous() bool {
	for _, cell := range p.cells {
		if cell != p.cells[0] {
			return false
		}
	}
	return true
}

// spread brings a cell to the replicas. It reports whether enough have it in time.
func (c *Coordinator) spread(key string, cell Cell, need int, began time.Time) bool {
	ctx, stop := context.WithDeadline(c.node.Context(), began.Add(c.opts.Timeout))
	context.AfterFunc(ctx, stop)
	stored := make(chan StoreReply, len(c.opts.Replicas))
	for _, id := range c.opts.Replicas {
		go repeat(ctx, c.opts.Retry, stored, func(ctx context.Context) (StoreReply, error) {
			return labrpc.Call[StoreReply](ctx, c.node, id, "Store", StoreRequest{Key: key, Cell: cell})
		})
	}
	for range need {
		select {
		case <-stored:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// repeat calls f at intervals until one of the calls succeeds, and hands on what
// that one returned and no other.
func repeat[R any](ctx context.Context, every time.Duration, to chan<- R, f func(context.Context) (R, error)) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	var first sync.Once
	for ctx.Err() == nil {
		go func() {
			if r, err := f(ctx); err == nil {
				first.Do(func() { to <- r })
				done()
			}
		}()
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}
