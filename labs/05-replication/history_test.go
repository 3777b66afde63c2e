package replication_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// An operation is a command as its client saw it.
type operation struct {
	Client   labrpc.NodeID
	Command  command
	Response response
	Err      string
	Call     time.Duration
	Return   time.Duration
	Returned bool
}

// String says which client called what, and when.
func (r operation) String() string {
	called := labtest.At(r.Call)
	if !r.Returned {
		return fmt.Sprintf("%v of %v (from %v, no reply)", r.Command, r.Client, called)
	}
	return fmt.Sprintf("%v of %v (from %v to %v)", r.Command, r.Client, called, labtest.At(r.Return))
}

// record keeps an operation: a second record of the same call replaces the first.
func (v *storeCluster) record(_ time.Duration, r operation) {
	switch id := r.Call.String(); {
	case !v.s.Recording():
	case !r.Returned:
		v.s.Called(r.Client, id, r.Command)
	default:
		v.s.Returned(r.Client, id, resultText(r.Response, r.Err))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.history {
		if v.history[i].Client == r.Client && v.history[i].Call == r.Call {
			v.history[i] = r
			return
		}
	}
	v.history = append(v.history, r)
}

// runRandomCommands runs random commands on the given keys until stop is set. Every value
// that it writes is written once.
func (c *testClient) runRandomCommands(seed uint64, keys []string, stop *atomic.Bool) *pendingCall[bool] {
	rnd := rand.New(rand.NewPCG(seed, uint64(c.id)))
	return launch(c, "its last command", "", func(ctx context.Context, client *Client) (bool, error) {
		last := map[string]int{} // the revision that was seen last
		for n := 1; !stop.Load(); n++ {
			e := command{Key: keys[rnd.IntN(len(keys))], Data: fmt.Sprintf("%v-%d", c.id, n)}
			switch e.Op = []string{"get", "get", "put", "put", "set", "set", "create", "delete"}[rnd.IntN(8)]; e.Op {
			case "set":
				e.At = last[e.Key]
			case "get", "delete":
				e.Data = ""
			}
			r := operation{Client: c.id, Command: e, Call: time.Since(c.v.epoch)}
			tellTest(c, r, c.v.record)
			y, err := e.run(ctx, client)
			r.Response, r.Err, r.Return, r.Returned = y, errorName(err), time.Since(c.v.epoch), true
			tellTest(c, r, c.v.record)
			if err == nil {
				last[e.Key] = y.Revision
			}
			if !sleep(ctx, time.Duration(rnd.Int64N(int64(400*time.Millisecond)))) {
				return true, ctx.Err()
			}
		}
		return true, nil
	})
}

// sleep waits, and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// operations returns what was recorded so far.
func (v *storeCluster) operations() []operation {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.history)
}

// A keyState is what a key is in the model: a register with a revision.
type keyState struct {
	Data     string
	Exists   bool
	Revision int  // of the value; the last one known, if Loose
	Loose    bool // the value's own revision is not known: its writer got no reply
}

// with returns the state after a write; y is nil if its revision is not known.
func (p keyState) with(data string, y *response) (keyState, bool) {
	if y == nil {
		return keyState{Data: data, Exists: true, Revision: p.Revision, Loose: true}, true
	}
	return keyState{Data: data, Exists: true, Revision: y.Revision}, y.Revision > p.Revision
}

// at reports whether the key may be at that revision, and whether it may not.
func (p keyState) at(revision int) (may, mayNot bool) {
	switch {
	case !p.Exists:
		return revision == 0, revision != 0
	case p.Loose:
		return revision > p.Revision, true
	}
	return revision == p.Revision, revision != p.Revision
}

// keyModel is the sequential specification of one key (rules 20 and 24).
var keyModel = linear.Model[keyState, command, outcome[response]]{Step: stepKey}

func stepKey(p keyState, e command, out *outcome[response]) (keyState, bool) {
	var y *response
	err := ""
	if out != nil {
		y, err = &out.Value, out.Err
	}
	switch e.Op {
	case "get":
		if y == nil {
			return p, true
		}
		may, _ := p.at(y.Revision)
		if !may || err != "" || y.Data != p.Data {
			return p, false
		}
		return keyState{Data: p.Data, Exists: p.Exists, Revision: max(p.Revision, y.Revision)}, true
	case "put":
		next, ok := p.with(e.Data, y)
		return next, ok && err == ""
	case "create":
		if p.Exists {
			return p, out == nil || err == "ErrExists"
		}
		next, ok := p.with(e.Data, y)
		return next, ok && err == ""
	case "set":
		may, mayNot := p.at(e.At)
		if err == "ErrConflict" || !may {
			return p, out == nil || mayNot && err == "ErrConflict"
		}
		p.Revision = max(p.Revision, e.At)
		next, ok := p.with(e.Data, y)
		return next, ok && err == ""
	}
	// A delete. The revision stays, as the least that the next one must exceed.
	return keyState{Revision: p.Revision}, err == ""
}

// checkHistory checks that what the clients saw is linearizable (rule 20).
func (v *storeCluster) checkHistory() {
	var ops []linear.Op[command, outcome[response]]
	for _, r := range v.operations() {
		ops = append(ops, linear.Op[command, outcome[response]]{
			Client: int(r.Client), Key: r.Command.Key, In: r.Command, Out: outcome[response]{Value: r.Response, Err: r.Err},
			Call: r.Call, Return: r.Return,
			Pending: !r.Returned || r.Err != "" && r.Err != "ErrExists" && r.Err != "ErrConflict",
		})
	}
	err := linear.Check(keyModel, ops, linear.Options{})
	var wrong *linear.Violation[command, outcome[response]]
	switch {
	case errors.As(err, &wrong):
		v.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("the history is not linearizable, because no order of the commands allows this result: %s", describe(wrong.Op)),
			Rule:  ruleLinearizable,
			Seen:  relatedOps(wrong),
			Nodes: append([]labrpc.NodeID{labrpc.NodeID(wrong.Op.Client)}, v.servers...), At: wrong.Op.Return,
			Page: func(w io.Writer) error { return linear.Page(w, keyModel, wrong, describe, linear.Options{}) },
		})
	case err != nil:
		v.s.Failf(noRule, "the history could not be checked: %v", err)
	}
}

// relatedOps lists the commands that are related to a wrong result: those that overlap
// it, and the last few before.
func relatedOps(wrong *linear.Violation[command, outcome[response]]) []string {
	var lines []string
	for _, op := range slices.Backward(wrong.Before) {
		if op != wrong.Op && len(lines) < 8 {
			lines = append(lines, describe(op))
		}
	}
	slices.Reverse(lines)
	return lines
}

func describe(op linear.Op[command, outcome[response]]) string {
	who, called := labrpc.NodeID(op.Client), labtest.At(op.Call)
	switch {
	case op.Pending:
		return fmt.Sprintf("%v: %v from %v, no reply by then", who, op.In, called)
	case op.Out.Err != "":
		return fmt.Sprintf("%v: %v = %s, from %v to %v", who, op.In, op.Out.Err, called, labtest.At(op.Return))
	case op.In.Op == "get" && op.Out.Value.Revision == 0:
		return fmt.Sprintf("%v: %v = no such key, from %v to %v", who, op.In, called, labtest.At(op.Return))
	case op.In.Op == "get":
		return fmt.Sprintf("%v: %v = %q at revision %d, from %v to %v", who, op.In, op.Out.Value.Data, op.Out.Value.Revision, called, labtest.At(op.Return))
	}
	return fmt.Sprintf("%v: %v = revision %d, from %v to %v", who, op.In, op.Out.Value.Revision, called, labtest.At(op.Return))
}

// checkEvents compares all changes, from revision 1, with the
// commands that made them (rules 21 and 23).
func (v *storeCluster) checkEvents(events []Event) {
	byData, deletions := map[string]operation{}, map[string]int{}
	byRevision := map[int]operation{}
	for _, r := range v.operations() {
		switch {
		case r.Command.Op == "delete":
			deletions[r.Command.Key]++
		case r.Command.Op != "get":
			byData[r.Command.Data] = r
			if r.Returned && r.Err == "" {
				byRevision[r.Response.Revision] = r
			}
		}
	}
	first := map[string]int{}
	for i, e := range events {
		if e.Revision != i+1 {
			v.s.Failf(ruleRevisions, "the change after revision %d has revision %d (%s)", i, e.Revision, eventText(e))
		}
		if e.Deleted {
			if deletions[e.Key]--; deletions[e.Key] < 0 {
				v.s.Failf(ruleOnce, "%s was deleted more often than the clients called Delete", e.Key)
			}
			continue
		}
		r, known := byData[e.Data]
		switch {
		case !known || r.Command.Key != e.Key:
			v.s.Failf(ruleLinearizable, "revision %d is %s, but no client wrote that", e.Revision, eventText(e))
		case first[e.Data] != 0:
			v.failOn(r, ruleOnce, "%v took effect twice, as revisions %d and %d", r, first[e.Data], e.Revision)
		case r.Err == "ErrExists" || r.Err == "ErrConflict":
			v.failOn(r, ruleChecked, "%v returned %s, but took effect as revision %d", r, r.Err, e.Revision)
		case r.Returned && r.Err == "" && r.Response.Revision != e.Revision:
			v.failOn(r, ruleRevisions, "%v returned revision %d, but took effect as revision %d", r, r.Response.Revision, e.Revision)
		}
		first[e.Data] = e.Revision
		delete(byRevision, e.Revision)
	}
	for _, revision := range slices.Sorted(maps.Keys(byRevision)) {
		r := byRevision[revision]
		v.failOn(r, ruleLinearizable, "%v returned revision %d, but there is no such change", r, revision)
	}
}

// failOn is about a command that may have returned long ago.
func (v *storeCluster) failOn(r operation, rule, format string, args ...any) {
	v.s.Fail(labtest.Violation{
		What: fmt.Sprintf(format, args...), Rule: rule, At: r.Return, Nodes: append([]labrpc.NodeID{r.Client}, v.servers...),
	})
}
