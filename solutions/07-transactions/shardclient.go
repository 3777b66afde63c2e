package transactions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"distlabs/labrpc"
)

// A ShardClient runs transactions on a sharded store. Its methods may be called by several goroutines at once.
type ShardClient struct {
	node   *labrpc.Node
	groups *shardCaller
}

// NewShardClient makes a client of a store. It returns at once.
func NewShardClient(node *labrpc.Node, layout Layout) *ShardClient {
	return &ShardClient{node: node, groups: newShardCaller(node, layout)}
}

// Run executes a transaction: it calls f and then Commit, and again after ErrAborted, until ctx ends. If f returns
// another error, Run aborts the transaction and returns that error. If f has called Commit itself and returns nil, Run does not call Commit: it goes by
// the error of that call.
//
// After nil, the transaction was committed exactly once, in the last call of f; its earlier calls have written nothing.
// After an error that wraps ErrOutcomeUnknown, it was committed once or never, or may still be. After any other error, it was not
// committed and never will be.
func (c *ShardClient) Run(ctx context.Context, f func(tx *ShardTx) error) error {
	for attempt := 1; ; attempt++ {
		began := time.Now()
		tx := c.Begin(ctx)
		err := f(tx)
		if err == nil {
			err = tx.end()
		} else {
			tx.Abort()
		}
		if !errors.Is(err, ErrAborted) || ctx.Err() != nil {
			return err
		}
		// Of two that met, one must come first: they must not meet again. The pause is about as long as an attempt, but shorter for a
		// transaction that was aborted more often: so each gets its turn.
		pause := min(max(2*time.Since(began)/time.Duration(attempt), 40*time.Millisecond), 300*time.Millisecond)
		c.groups.pause(ctx, time.Duration(c.node.Rand().Int64N(int64(pause)))+pause/2)
	}
}

// Begin begins a transaction. Its calls end when ctx ends. The caller must end it with Commit or Abort.
func (c *ShardClient) Begin(ctx context.Context) *ShardTx {
	return &ShardTx{client: c, ctx: ctx, reads: map[string]shardResult{}, writes: map[string]string{}}
}

// A ShardTx is one transaction. It is for one goroutine.
type ShardTx struct {
	client *ShardClient
	ctx    context.Context
	start  uint64                 // the timestamp at which it reads, and its name; 0 if it has none yet
	reads  map[string]shardResult // what it has read from the store
	writes map[string]string
	lost   bool // a version that it must read was dropped
	over   bool
	result *error // what Commit returned, if it has
}

// Get returns the value of a key, and whether it has one. The transaction's own writes count.
//
// An error that wraps ErrAborted says that the transaction cannot be committed any more; otherwise it is ErrOver or the
// context's. After an error, call Abort.
func (tx *ShardTx) Get(key string) (value string, found bool, err error) {
	if tx.over {
		return "", false, fmt.Errorf("get %s: %w", key, ErrOver)
	}
	if value, ok := tx.writes[key]; ok {
		return value, true, nil
	}
	if r, ok := tx.reads[key]; ok {
		return r.Value, r.Found, nil
	}
	if err := tx.begin(); err != nil {
		return "", false, fmt.Errorf("get %s: %w", key, err)
	}
	c := tx.client
	result, err := c.groups.ask(tx.ctx, c.groups.layout.Group(key), shardCommand{Op: opRead, Key: key, Txn: tx.start})
	if err == nil && result.Outcome != outcomeDone {
		tx.lost, err = true, ErrAborted
	}
	if err != nil {
		return "", false, fmt.Errorf("get %s: %w", key, err)
	}
	tx.reads[key] = result
	return result.Value, result.Found, nil
}

// begin gives the transaction its timestamp.
func (tx *ShardTx) begin() error {
	if tx.start != 0 {
		return nil
	}
	at, err := tx.client.timestamp(tx.ctx)
	tx.start = at
	return err
}

// timestamp returns a timestamp that is higher than all that were returned before the call.
func (c *ShardClient) timestamp(ctx context.Context) (uint64, error) {
	result, err := c.groups.ask(ctx, timestampGroup, shardCommand{Op: opTimestamp})
	return result.At, err
}

// Put writes a key. Other transactions see it only when the transaction has been committed. Its errors are the errors of Get.
func (tx *ShardTx) Put(key, value string) error {
	if tx.over {
		return fmt.Errorf("put %s: %w", key, ErrOver)
	}
	tx.writes[key] = value
	return nil
}

// Abort ends the transaction without effect. If it has ended already, Abort does nothing.
func (tx *ShardTx) Abort() { tx.over = true }

// Commit ends the transaction: all its writes take effect, or none. Its errors are the errors of Run, and ErrOver if the
// transaction has ended already.
func (tx *ShardTx) Commit() error {
	if tx.over {
		return fmt.Errorf("commit: %w", ErrOver)
	}
	tx.over = true
	err := tx.commit()
	tx.result = &err
	return err
}

// end is Commit for Run. If the function of the transaction has called Commit itself, end returns what that returned.
func (tx *ShardTx) end() error {
	if tx.result != nil {
		return *tx.result
	}
	return tx.Commit()
}

func (tx *ShardTx) commit() error {
	if tx.lost {
		return fmt.Errorf("commit: a read has failed: %w", ErrAborted)
	}
	// A transaction that writes nothing has read one state: the state of its timestamp.
	if len(tx.writes) == 0 {
		return nil
	}
	if err := tx.begin(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	p := tx.plan()
	at, err := tx.prepare(p)
	if err != nil {
		go tx.client.abort(p)
		return fmt.Errorf("commit: %w", err)
	}
	result, err := tx.client.groups.ask(tx.ctx, p.home, shardCommand{Op: opCommit, Txn: p.txn, At: at})
	switch result.Outcome {
	case outcomeCommitted:
		go tx.client.settle(p, result.At)
		return nil
	case outcomeAborted:
		go tx.client.abort(p)
		return fmt.Errorf("commit: the lease is over: %w", ErrAborted)
	}
	// The home group has forgotten the transaction; or, after an error, it may have decided already, or will when the lease is over.
	return fmt.Errorf("commit: %w", errors.Join(ErrOutcomeUnknown, err))
}

// A shardPlan says what a transaction wants of which group.
type shardPlan struct {
	txn    uint64
	home   int // the group of the first key that it writes: there it is decided
	groups []int
	reads  map[int][]string
	writes map[int][]shardWrite
}

func (tx *ShardTx) plan() shardPlan {
	written := slices.Sorted(maps.Keys(tx.writes))
	layout := tx.client.groups.layout
	p := shardPlan{txn: tx.start, home: layout.Group(written[0]), reads: map[int][]string{}, writes: map[int][]shardWrite{}}
	add := func(key string) int {
		group := layout.Group(key)
		if !slices.Contains(p.groups, group) {
			p.groups = append(p.groups, group)
		}
		return group
	}
	for _, key := range written {
		group := add(key)
		p.writes[group] = append(p.writes[group], shardWrite{Key: key, Value: tx.writes[key]})
	}
	for _, key := range slices.Sorted(maps.Keys(tx.reads)) {
		group := add(key)
		p.reads[group] = append(p.reads[group], key)
	}
	return p
}

// prepare locks all that the transaction has read and written. Then it takes the timestamp at which it commits: at
// that timestamp all its reads are still the newest, for it holds all locks.
func (tx *ShardTx) prepare(p shardPlan) (at uint64, err error) {
	results, err := tx.client.groups.askAll(tx.ctx, p.groups, func(group int) shardCommand {
		return shardCommand{Op: opLock, Txn: p.txn, Reads: p.reads[group], Writes: p.writes[group], Home: p.home, Groups: p.groups}
	})
	if err != nil {
		return 0, err
	}
	for _, r := range results {
		if r.Outcome != outcomeDone {
			return 0, ErrAborted
		}
	}
	return tx.client.timestamp(tx.ctx)
}

// abort aborts a transaction that was never asked to commit, or that its home group has aborted. If it
// fails, the groups do so when the lease is over.
func (c *ShardClient) abort(p shardPlan) {
	ctx, cancel := context.WithTimeout(c.node.Context(), c.groups.layout.Lease)
	defer cancel()
	_, _ = c.groups.askAll(ctx, p.groups, func(int) shardCommand { return shardCommand{Op: opAbort, Txn: p.txn} })
}

// settle tells the other groups that a transaction was committed, and then the home group that all know. If it fails, the home group does so when the lease is over.
func (c *ShardClient) settle(p shardPlan, at uint64) {
	ctx, cancel := context.WithTimeout(c.node.Context(), c.groups.layout.Lease)
	defer cancel()
	others := slices.DeleteFunc(p.groups, func(g int) bool { return g == p.home })
	if c.groups.commitAt(ctx, others, p.txn, at) == nil {
		_, _ = c.groups.ask(ctx, p.home, shardCommand{Op: opSettle, Txn: p.txn})
	}
}
