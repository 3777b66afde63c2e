package consistency

import (
	"context"
	"fmt"
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

// A Coordinator serves the requests of clients: it asks the replicas. Any node
// may run one, and several may work at once. All methods may be called by
// several goroutines at once.
type Coordinator struct {
	node *labrpc.Node
	opts CoordinatorOptions

	mu     sync.Mutex
	last   uint64 // counter of the last timestamp that was issued
	recent map[string]recent
}

// A recent is the newest cell that a majority is known to have had.
type recent struct {
	cell Cell
	asOf time.Time // when the majority was asked
}

const lastRecord = "last timestamp"

// NewCoordinator makes the node a coordinator. It returns at once. All goroutines that it
// starts end when node.Context() ends.
func NewCoordinator(node *labrpc.Node, opts CoordinatorOptions) *Coordinator {
	c := &Coordinator{node: node, opts: opts, recent: map[string]recent{}}
	_, _ = node.Disk().Load(lastRecord, &c.last)
	return c
}

// Put writes a key. First it fetches the cells of as many replicas as the level requires: the
// timestamp of the write is newer than theirs. Then it sends the new cell to all
// replicas, and returns when as many as the level requires have it on their disks. The others are asked again
// until Timeout after the call, also after Put has returned.
//
// If too few replicas reply within Timeout, the error wraps ErrUnavailable.
func (c *Coordinator) Put(key, value string, level Level) (Timestamp, error) {
	need := level.Required(len(c.opts.Replicas))
	end := time.Now().Add(c.opts.Timeout)
	ctx, cancel := context.WithDeadline(c.node.Context(), end)
	defer cancel()
	cells, err := askAll(ctx, c, "Fetch", FetchRequest{Key: key}, enough[Cell](need))
	if err != nil {
		return Timestamp{}, fmt.Errorf("put %s at %v: %w", key, level, err)
	}
	timestamp, err := c.timestamp(newest(cells).Timestamp)
	if err != nil {
		return Timestamp{}, fmt.Errorf("put %s at %v: %w", key, level, err)
	}
	if err := c.spread(end, key, Cell{Value: value, Timestamp: timestamp}, need); err != nil {
		return Timestamp{}, fmt.Errorf("put %s at %v: %w", key, level, err)
	}
	return timestamp, nil
}

// timestamp returns a timestamp that is newer than seen and than all timestamps that this
// coordinator has issued. It is on the disk first: otherwise the next incarnation could issue
// it again, for another value.
func (c *Coordinator) timestamp(seen Timestamp) (Timestamp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := max(c.last, seen.Counter) + 1
	if err := c.node.Disk().Save(lastRecord, next); err != nil {
		return Timestamp{}, err
	}
	c.last = next
	return Timestamp{Counter: next, Node: c.node.ID()}, nil
}

// ReadOptions say what a Get must return. The zero value is a read at ONE.
type ReadOptions struct {
	Level Level
	// AtLeast is for a session: the Timestamp of the newest cell that the session has written or read. Get
	// returns nothing older, whatever the level: replicas are asked until one has such a cell.
	AtLeast Timestamp
	// MaxStale, if not 0, lets Get return a cell that a majority had at some instant at most that long before the call: from
	// memory and without a message, if this coordinator has read it; otherwise by a read at QUORUM, or at Level if that is higher.
	MaxStale time.Duration
}

// Get reads a key. If too few replicas reply within Timeout, the error wraps
// ErrUnavailable.
//
// At QUORUM and ALL it returns the newest of the cells that it has received, and only
// when as many replicas as the level requires have that cell: it repairs those that are behind.
func (c *Coordinator) Get(key string, opts ReadOptions) (Cell, error) {
	if opts.MaxStale != 0 {
		if cell, ok := c.remembered(key, opts); ok {
			return cell, nil
		}
		opts.Level = max(opts.Level, Quorum)
	}
	asOf := time.Now()
	end := asOf.Add(c.opts.Timeout)
	ctx, cancel := context.WithDeadline(c.node.Context(), end)
	defer cancel()
	need := opts.Level.Required(len(c.opts.Replicas))
	cells, err := askAll(ctx, c, "Fetch", FetchRequest{Key: key}, func(cells map[labrpc.NodeID]Cell) bool {
		return len(cells) >= need && newest(cells).Timestamp.Compare(opts.AtLeast) >= 0
	})
	if err != nil {
		return Cell{}, fmt.Errorf("get %s at %v: %w", key, opts.Level, err)
	}
	cell := newest(cells)
	if opts.Level == One {
		return cell, nil
	}
	for _, other := range cells {
		// This write is at some replicas only. Without the repair, the next read could miss it although this one returns it.
		if other.Timestamp != cell.Timestamp {
			if err := c.spread(end, key, cell, need); err != nil {
				return Cell{}, fmt.Errorf("get %s at %v: %w", key, opts.Level, err)
			}
			break
		}
	}
	c.remember(key, recent{cell: cell, asOf: asOf})
	return cell, nil
}

// spread brings a cell to all replicas, and returns when enough of them have it. The
// others are asked until the given time.
func (c *Coordinator) spread(end time.Time, key string, cell Cell, need int) error {
	ctx, cancel := context.WithDeadline(c.node.Context(), end)
	context.AfterFunc(ctx, cancel) // not when spread returns
	_, err := askAll(ctx, c, "Store", StoreRequest{Key: key, Cell: cell}, enough[StoreReply](need))
	return err
}

func (c *Coordinator) remembered(key string, opts ReadOptions) (Cell, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.recent[key]
	ok = ok && time.Since(r.asOf) <= opts.MaxStale && r.cell.Timestamp.Compare(opts.AtLeast) >= 0
	return r.cell, ok
}

// remember keeps the newest cell, with the latest time as of which that is known.
func (c *Coordinator) remember(key string, r recent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.recent[key]
	if old.cell.Timestamp.Compare(r.cell.Timestamp) > 0 {
		r.cell = old.cell
	}
	if old.asOf.After(r.asOf) {
		r.asOf = old.asOf
	}
	c.recent[key] = r
}

func newest(cells map[labrpc.NodeID]Cell) Cell {
	var best Cell
	for _, cell := range cells {
		if cell.Timestamp.Compare(best.Timestamp) > 0 {
			best = cell
		}
	}
	return best
}

func enough[R any](need int) func(map[labrpc.NodeID]R) bool {
	return func(answers map[labrpc.NodeID]R) bool { return len(answers) >= need }
}

// askAll sends a request to all replicas, and returns the replies as soon as they
// suffice: one per replica, however often it replies. Replicas are asked until ctx ends.
func askAll[R, A any](ctx context.Context, c *Coordinator, method string, args A, suffice func(map[labrpc.NodeID]R) bool) (map[labrpc.NodeID]R, error) {
	type answer struct {
		from  labrpc.NodeID
		reply R
	}
	came := make(chan answer, len(c.opts.Replicas))
	for _, id := range c.opts.Replicas {
		go func() {
			if reply, err := insist[R](ctx, c, id, method, args); err == nil {
				came <- answer{id, reply}
			}
		}()
	}
	answers := map[labrpc.NodeID]R{}
	for {
		select {
		case a := <-came:
			answers[a.from] = a.reply
			if suffice(answers) {
				return answers, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %d of %d", ErrUnavailable, len(answers), len(c.opts.Replicas))
		}
	}
}

// insist repeats a request until one of its copies gets a reply or ctx
// ends.
func insist[R, A any](ctx context.Context, c *Coordinator, to labrpc.NodeID, method string, args A) (R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make(chan R, 1)
	retry := time.NewTicker(c.opts.Retry)
	defer retry.Stop()
	for {
		go func() {
			if reply, err := labrpc.Call[R](ctx, c.node, to, method, args); err == nil {
				select {
				case came <- reply:
				default: // another copy got a reply before
				}
			}
		}()
		select {
		case reply := <-came:
			return reply, nil
		case <-ctx.Done():
			return *new(R), ctx.Err()
		case <-retry.C:
		}
	}
}
