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
	Replicas []labrpc.NodeID // the N nodes that run a Replica; the coordinator's own need not be one
	Timeout  time.Duration   // after which a request has failed
	Retry    time.Duration   // after which a replica that has not answered is asked again; much shorter
}

// A Coordinator serves the requests of clients, by asking the replicas. Any node
// may be one, and several may be at work at once. All methods may be called by
// several goroutines at once.
type Coordinator struct {
	node *labrpc.Node
	opts CoordinatorOptions

	mu     sync.Mutex
	last   uint64 // counter of the last timestamp that was given
	recent map[string]recent
}

// A recent is what a majority was last asked for.
type recent struct {
	cell Cell
	asOf time.Time // when it was asked
}

const lastRecord = "last timestamp"

// NewCoordinator makes the node a coordinator. It returns at once. All that it
// starts ends when node.Context() does.
func NewCoordinator(node *labrpc.Node, opts CoordinatorOptions) *Coordinator {
	c := &Coordinator{node: node, opts: opts, recent: map[string]recent{}}
	_, _ = node.Disk().Load(lastRecord, &c.last)
	return c
}

// Put writes a key at all replicas that it can reach, and returns when as many as
// the level says have the value on their disks. If they have not in Timeout, the
// error wraps ErrUnavailable. The others go on being asked until then.
//
// Before that it asks as many replicas as the level says for the timestamp that they
// have: the write is newer than all that those have.
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

// timestamp returns a timestamp that is newer than seen and than all that this
// coordinator has given. It is on the disk first: an incarnation that gives
// one twice gives two values one timestamp.
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
	// AtLeast is for a session: nothing older than what it has written and read is returned, whatever
	// the level. Replicas are asked until one has that.
	AtLeast Timestamp
	// MaxStale, if not 0, allows to return what a majority had at some moment not longer ago than this: from memory,
	// without any message, if this coordinator has read it; or else by a read at QUORUM, or at Level if that is more.
	MaxStale time.Duration
}

// Get reads a key. If not enough replicas answer in Timeout, the error wraps
// ErrUnavailable.
//
// At QUORUM and ALL it returns the newest cell of those that it was told, and not
// before as many replicas as the level says have it: those that are behind are repaired.
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
		// A write that is half done: without the repair, a read that saw it could be followed by one that does not.
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

// spread brings a cell to all replicas, and returns when enough have it. The
// others are asked until the given time.
func (c *Coordinator) spread(end time.Time, key string, cell Cell, need int) error {
	ctx, cancel := context.WithDeadline(c.node.Context(), end)
	context.AfterFunc(ctx, cancel) // not when this returns
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

// remember keeps the newest cell, with the latest moment as of which that is known.
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

// askAll sends a request to all replicas, and returns the answers as soon as they
// suffice: one a replica, however often it answers. The asking goes on until ctx ends.
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

// insist sends a request again and again, until one of them is answered or ctx
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
				default: // another has been answered
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
