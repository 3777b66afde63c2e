package transactions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// A shardStep is one step of a transaction: it reads, writes or appends to a key, or pauses.
type shardStep struct {
	Kind  string // "read", "write", "append", "pause", "fail", "once"
	Key   string
	Pause time.Duration
}

func reads(key string) shardStep          { return shardStep{Kind: "read", Key: key} }
func writes(key string) shardStep         { return shardStep{Kind: "write", Key: key} }
func appends(key string) shardStep        { return shardStep{Kind: "append", Key: key} }
func rests(pause time.Duration) shardStep { return shardStep{Kind: "pause", Pause: pause} }

// once lets the function of a transaction fail when it is called again.
func once() shardStep { return shardStep{Kind: "once"} }

// errShardUser is the error of a transaction's function that does not want to commit.
var errShardUser = errors.New("the function of the transaction returned an error")

// A shardRun is a call of Run by a client.
type shardRun struct {
	ID       int
	Client   labrpc.NodeID
	Steps    []shardStep // what its function does
	Call     time.Duration
	Limit    time.Duration // when its context ends, from Call
	Return   time.Duration
	Over     bool
	Err      string // "" for nil, "aborted", "unknown", "context", or the error's text
	Attempts []shardAttempt
}

// A shardAttempt is one call of the function that Run was given.
type shardAttempt struct {
	From time.Duration
	Ops  []shardSeen
}

// A shardSeen is an operation of a transaction and what came back.
type shardSeen struct {
	Kind   string
	Key    string
	Value  int64
	List   []int64
	Absent bool
}

// String describes the run in one line.
func (r *shardRun) String() string {
	var ops []string
	if n := len(r.Attempts); n > 0 {
		for _, op := range r.Attempts[n-1].Ops {
			ops = append(ops, op.String())
		}
	}
	if !r.Over {
		ops = nil
		for _, step := range r.Steps {
			ops = append(ops, step.String())
		}
	}
	what := fmt.Sprintf("%v's transaction T%d {%s}", r.Client, r.ID, strings.Join(ops, ", "))
	switch {
	case !r.Over:
		return fmt.Sprintf("%s, which began at %v, had not returned", what, labtest.At(r.Call))
	case r.Err == "":
		what += " returned nil"
	default:
		what += " returned " + r.Err
	}
	return fmt.Sprintf("%s, from %v to %v", what, labtest.At(r.Call), labtest.At(r.Return))
}

func (step shardStep) String() string {
	switch step.Kind {
	case "pause":
		return fmt.Sprintf("pause for %v", step.Pause)
	case "append":
		return "append to " + step.Key
	case "once":
		return "end with an error if run again"
	}
	return strings.TrimSpace(step.Kind + " " + step.Key)
}

func (op shardSeen) String() string {
	switch {
	case op.Kind == "write":
		return fmt.Sprintf("write %s=%d", op.Key, op.Value)
	case op.Kind == "append":
		return fmt.Sprintf("append %d to %s", op.Value, op.Key)
	case op.Absent:
		return fmt.Sprintf("read %s: no value", op.Key)
	case isShardList(op.Key):
		return fmt.Sprintf("read %s=%v", op.Key, op.List)
	}
	return fmt.Sprintf("read %s=%d", op.Key, op.Value)
}

// committed reports whether Run returned nil.
func (r *shardRun) committed() bool { return r.Over && r.Err == "" }

// saw returns what the last attempt read of a key. A key without a value counts as 0.
func (r *shardRun) saw(key string) int64 {
	if len(r.Attempts) > 0 {
		for _, op := range r.Attempts[len(r.Attempts)-1].Ops {
			if op.Kind == "read" && op.Key == key {
				return op.Value
			}
		}
	}
	return 0
}

// wrote returns what the last attempt wrote to a key.
func (r *shardRun) wrote(key string) int64 {
	if len(r.Attempts) > 0 {
		for _, op := range r.Attempts[len(r.Attempts)-1].Ops {
			if op.Kind == "write" && op.Key == key {
				return op.Value
			}
		}
	}
	return 0
}

// isShardList reports whether a key is one that tests append to: their names have an l.
func isShardList(key string) bool { return strings.Contains(key, "l") }

// A shardNews is what a client's goroutine tells of a run.
type shardNews struct {
	Attempt int // from 1
	Ops     []shardSeen
	Over    bool
	Err     string
}

// start begins a transaction at a client, with Run; limit bounds its context.
func (c *shardCluster) start(client labrpc.NodeID, limit time.Duration, steps ...shardStep) *shardRun {
	return c.startBy(shardRunOnce, client, limit, steps)
}

// startBy begins a transaction at a client, whose goroutine calls a function for it. No two begin at one client in one instant: chance would order their requests.
func (c *shardCluster) startBy(call shardFunc, client labrpc.NodeID, limit time.Duration, steps []shardStep) *shardRun {
	now := func(r *shardRun) bool { return r.Client == client && r.Call == c.s.Net.Now() }
	if slices.ContainsFunc(c.history(), now) {
		c.s.Run(time.Microsecond)
	}
	r := &shardRun{ID: len(c.history()) + 1, Client: client, Steps: steps, Call: c.s.Net.Now(), Limit: limit}
	c.mu.Lock()
	c.runs = append(c.runs, r)
	c.mu.Unlock()
	node := c.nodes[client]
	go call(node, c.client[client], limit, steps, int64(r.ID)*100_000, func(n shardNews) { _ = labrpc.Tell(node, n, r.learn) })
	return r
}

// A shardFunc executes a transaction on a client's goroutine. Its values are base and above.
type shardFunc func(node *labrpc.Node, cl *transactions.ShardClient, limit time.Duration, steps []shardStep, base int64, news func(n shardNews))

// shardRunOnce is a call of Run.
func shardRunOnce(node *labrpc.Node, cl *transactions.ShardClient, limit time.Duration, steps []shardStep, base int64, news func(n shardNews)) {
	ctx, cancel := labtest.WithTimeout(context.Background(), limit)
	defer cancel()
	attempt := 0
	err := cl.Run(ctx, func(tx *transactions.ShardTx) error {
		attempt++
		news(shardNews{Attempt: attempt})
		if attempt > 1 && steps[0].Kind == "once" {
			return errShardUser
		}
		ops, err := shardExecute(tx, base+int64(attempt*20), steps)
		news(shardNews{Attempt: attempt, Ops: ops})
		return err
	})
	news(shardNews{Over: true, Err: shardError(err)})
}

// shardAbortsLater is the pause of shardCommitAndAbort before Abort.
const shardAbortsLater = 50 * time.Millisecond

// shardCommitAndAbort calls Begin and Commit and, when Commit has returned, Abort.
func shardCommitAndAbort(_ *labrpc.Node, cl *transactions.ShardClient, limit time.Duration, steps []shardStep, base int64, news func(n shardNews)) {
	ctx, cancel := labtest.WithTimeout(context.Background(), limit)
	defer cancel()
	news(shardNews{Attempt: 1})
	tx := cl.Begin(ctx)
	ops, err := shardExecute(tx, base, steps)
	news(shardNews{Attempt: 1, Ops: ops})
	if err == nil {
		err = tx.Commit()
	}
	news(shardNews{Over: true, Err: shardError(err)})
	time.Sleep(shardAbortsLater)
	tx.Abort()
}

// learn records what a client's goroutine told.
func (r *shardRun) learn(at time.Duration, n shardNews) {
	if n.Over {
		r.Over, r.Err, r.Return = true, n.Err, at
		return
	}
	if n.Attempt == 0 {
		return
	}
	if n.Attempt > len(r.Attempts) {
		r.Attempts = append(r.Attempts, shardAttempt{From: at})
	}
	r.Attempts[n.Attempt-1].Ops = n.Ops
}

// shardError is what a test remembers of an error.
func shardError(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, transactions.ErrOutcomeUnknown):
		return "unknown"
	case errors.Is(err, transactions.ErrAborted):
		return "aborted"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "context"
	}
	return err.Error()
}

// shardExecute executes the steps of a transaction. Its writes have values of their own, from base on.
func shardExecute(tx *transactions.ShardTx, base int64, steps []shardStep) (ops []shardSeen, err error) {
	for i, step := range steps {
		value := base + int64(i)
		switch step.Kind {
		case "once":
		case "pause":
			time.Sleep(step.Pause)
		case "fail":
			return ops, errShardUser
		case "write":
			if err := tx.Put(step.Key, strconv.FormatInt(value, 10)); err != nil {
				return ops, err
			}
			ops = append(ops, shardSeen{Kind: "write", Key: step.Key, Value: value})
		default:
			old, found, err := tx.Get(step.Key)
			if err != nil {
				return ops, err
			}
			ops = append(ops, shardRead(step.Key, old, found))
			if step.Kind == "read" {
				continue
			}
			if err := tx.Put(step.Key, strings.TrimSpace(old+" "+strconv.FormatInt(value, 10))); err != nil {
				return ops, err
			}
			ops = append(ops, shardSeen{Kind: "append", Key: step.Key, Value: value})
		}
	}
	return ops, nil
}

// shardRead is a read of a key that returned a value.
func shardRead(key, value string, found bool) shardSeen {
	op := shardSeen{Kind: "read", Key: key, Absent: !found}
	for _, field := range strings.Fields(value) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			n = -1 // no transaction writes it
		}
		op.List, op.Value = append(op.List, n), n
	}
	return op
}

// history returns all runs, in the order of their calls.
func (c *shardCluster) history() []*shardRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.runs)
}

// ended waits until a run has returned, which it must within the limit.
func (c *shardCluster) ended(r *shardRun, limit time.Duration, rule string) *shardRun {
	c.s.Until(limit, func() bool { return r.Over })
	if !r.Over {
		c.s.Fail(labtest.Violation{What: fmt.Sprintf("%v by %v", r, labtest.At(c.s.Net.Now())), Rule: rule, Nodes: c.around(r)})
	}
	c.mayBeUnknown(r)
	return r
}

// over is ended, and waits on until the transaction is not unfinished either, which it may be if its outcome is unknown, or the client had lost its connection (rule 35).
func (c *shardCluster) over(r *shardRun, limit time.Duration, rule string) {
	if c.ended(r, limit, rule); !slices.Contains([]string{"", "aborted", "context", errShardUser.Error()}, r.Err) {
		c.s.Run(c.layout.Lease + shardSlack)
	}
}

// mayBeUnknown checks that a run whose outcome is unknown had a reason: its context has ended, or a Lease has passed.
func (c *shardCluster) mayBeUnknown(r *shardRun) {
	if took := r.Return - r.Call; r.Over && r.Err == "unknown" && took < min(r.Limit, c.layout.Lease) {
		c.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("%v, after %v, want an outcome: its context had not ended, and a Lease of %v had not passed", r, shardTime(took), c.layout.Lease),
			Rule:  ruleShardUnknown,
			Nodes: c.around(r),
		})
	}
}

// commits waits until a run has committed, which it must within the limit.
func (c *shardCluster) commits(r *shardRun, limit time.Duration, rule string) *shardRun {
	if c.ended(r, limit, rule); !r.committed() {
		c.s.Fail(labtest.Violation{What: r.String() + ", want nil", Rule: rule, Nodes: c.around(r)})
	}
	return r
}

// delayed waits until a run that faults have delayed has returned: committed, after a Lease with unknown outcome, or with an error of the client's own, as
// "no server answers"; then it has no effect (rule 34; the history is checked for that). Run may not give up because of ErrAborted, nor before its context has ended.
func (c *shardCluster) delayed(r *shardRun, limit time.Duration, rule string) {
	if c.ended(r, limit, rule); r.Err == "aborted" || r.Err == "context" {
		c.commits(r, 0, rule)
	}
}

// survives is delayed, for faults of servers (rule 40).
func (c *shardCluster) survives(r *shardRun) { c.delayed(r, shardHeals, ruleShardDurable) }

// does runs a transaction that nothing prevents.
func (c *shardCluster) does(client labrpc.NodeID, steps ...shardStep) *shardRun {
	return c.commits(c.start(client, shardServes, steps...), shardServes+shardContext, ruleShardDisjoint)
}

// hasRead checks that a transaction has read what an earlier one wrote to the keys. The violation says the rest.
func (c *shardCluster) hasRead(reader, wrote *shardRun, v labtest.Violation, keys ...string) {
	for _, key := range keys {
		if reader.saw(key) != wrote.wrote(key) {
			v.What, v.Nodes = reader.String()+", want what an earlier transaction wrote: "+wrote.String(), c.around(reader)
			c.s.Fail(v)
		}
	}
}

// around lists the nodes that a run concerns.
func (c *shardCluster) around(r *shardRun) []labrpc.NodeID {
	return append([]labrpc.NodeID{r.Client}, c.servers()...)
}
