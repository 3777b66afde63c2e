package replication

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
)

// A testimony is a command as its customer saw it.
type testimony struct {
	Customer labrpc.NodeID
	Errand   errand
	Yield    yield
	Err      string
	Call     time.Duration
	Return   time.Duration
	Returned bool
}

// String tells who asked for what, and when.
func (r testimony) String() string {
	called := r.Call.Round(time.Millisecond)
	if !r.Returned {
		return fmt.Sprintf("%v of %v (from %v, no answer)", r.Errand, r.Customer, called)
	}
	return fmt.Sprintf("%v of %v (from %v to %v)", r.Errand, r.Customer, called, r.Return.Round(time.Millisecond))
}

// note keeps a testimony: a second one of the same call replaces the first.
func (v *market) note(_ time.Duration, r testimony) {
	if id := r.Call.String(); !r.Returned {
		v.s.Called(r.Customer, id, r.Errand)
	} else if r.Err != "" {
		v.s.Returned(r.Customer, id, r.Err)
	} else {
		v.s.Returned(r.Customer, id, fmt.Sprintf("%q, revision %d", r.Yield.Data, r.Yield.Revision))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.history {
		if v.history[i].Customer == r.Customer && v.history[i].Call == r.Call {
			v.history[i] = r
			return
		}
	}
	v.history = append(v.history, r)
}

// shop runs random commands on the given keys until stop is set. Every value
// that it writes is written once.
func (c *customer) shop(seed uint64, keys []string, stop *atomic.Bool) *later[bool] {
	rnd := rand.New(rand.NewPCG(seed, uint64(c.id)))
	return setOut(c, "its last command", func(ctx context.Context, client *Client) (bool, error) {
		last := map[string]int{} // the revision that we have seen last
		for n := 1; !stop.Load(); n++ {
			e := errand{Key: keys[rnd.IntN(len(keys))], Data: fmt.Sprintf("%v-%d", c.id, n)}
			switch e.Op = []string{"get", "get", "put", "put", "set", "set", "create", "delete"}[rnd.IntN(8)]; e.Op {
			case "set":
				e.At = last[e.Key]
			case "get", "delete":
				e.Data = ""
			}
			r := testimony{Customer: c.id, Errand: e, Call: time.Since(c.v.epoch)}
			tellTest(c, r, c.v.note)
			y, err := e.run(ctx, client)
			r.Yield, r.Err, r.Return, r.Returned = y, errorName(err), time.Since(c.v.epoch), true
			tellTest(c, r, c.v.note)
			if err == nil {
				last[e.Key] = y.Revision
			}
			if !doze(ctx, time.Duration(rnd.Int64N(int64(400*time.Millisecond)))) {
				return true, ctx.Err()
			}
		}
		return true, nil
	})
}

// doze waits, and reports whether ctx is still on.
func doze(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// records returns what was noted so far.
func (v *market) testimonies() []testimony {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.history)
}

// A keyState is what a key is in the model: a register with a revision.
type keyState struct {
	Data     string
	Exists   bool
	Revision int  // of the value; the last one known, if Loose
	Loose    bool // the value's own revision is not known: its writer got no answer
}

// with returns the state after a write; y is nil if its revision is not known.
func (p keyState) with(data string, y *yield) (keyState, bool) {
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

// keyModel says what one key does, one command after another (rules 20 and 24).
var keyModel = linear.Model[keyState, errand, souvenir[yield]]{Step: stepKey}

func stepKey(p keyState, e errand, out *souvenir[yield]) (keyState, bool) {
	var y *yield
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

// checkHistory checks that all that the customers saw is linearizable (rule 20).
func (v *market) checkHistory() {
	var ops []linear.Op[errand, souvenir[yield]]
	for _, r := range v.testimonies() {
		ops = append(ops, linear.Op[errand, souvenir[yield]]{
			Client: int(r.Customer), Key: r.Errand.Key, In: r.Errand, Out: souvenir[yield]{Value: r.Yield, Err: r.Err},
			Call: r.Call, Return: r.Return,
			Pending: !r.Returned || r.Err != "" && r.Err != "ErrExists" && r.Err != "ErrConflict",
		})
	}
	err := linear.Check(keyModel, ops, linear.Options{})
	var wrong *linear.Violation[errand, souvenir[yield]]
	switch {
	case errors.As(err, &wrong):
		v.s.Fail(labtest.Violation{
			What:  fmt.Sprintf("no order of the commands explains this answer: %s", tale(wrong.Op)),
			Rule:  ruleMoment,
			Seen:  evidence(wrong),
			Nodes: append([]labrpc.NodeID{labrpc.NodeID(wrong.Op.Client)}, v.servers...), At: wrong.Op.Return,
			Page: func(w io.Writer) error { return linear.Page(w, keyModel, wrong, tale, linear.Options{}) },
		})
	case err != nil:
		v.s.Failf("none: this is a mistake in the test, not in your code", "the history could not be checked: %v", err)
	}
}

// evidence lists the commands that have to do with a wrong answer: those under
// way with it, and the last few before.
func evidence(wrong *linear.Violation[errand, souvenir[yield]]) []string {
	var lines []string
	for _, op := range slices.Backward(wrong.Before) {
		if op != wrong.Op && len(lines) < 8 {
			lines = append(lines, tale(op))
		}
	}
	slices.Reverse(lines)
	return lines
}

func tale(op linear.Op[errand, souvenir[yield]]) string {
	who, called := labrpc.NodeID(op.Client), op.Call.Round(time.Millisecond)
	switch {
	case op.Pending:
		return fmt.Sprintf("%v: %v from %v, no answer by then", who, op.In, called)
	case op.Out.Err != "":
		return fmt.Sprintf("%v: %v = %s, from %v to %v", who, op.In, op.Out.Err, called, op.Return.Round(time.Millisecond))
	case op.In.Op == "get" && op.Out.Value.Revision == 0:
		return fmt.Sprintf("%v: %v = no such key, from %v to %v", who, op.In, called, op.Return.Round(time.Millisecond))
	case op.In.Op == "get":
		return fmt.Sprintf("%v: %v = %q at revision %d, from %v to %v", who, op.In, op.Out.Value.Data, op.Out.Value.Revision, called, op.Return.Round(time.Millisecond))
	}
	return fmt.Sprintf("%v: %v = revision %d, from %v to %v", who, op.In, op.Out.Value.Revision, called, op.Return.Round(time.Millisecond))
}

// checkEvents holds all changes that there were, from revision 1, against the
// commands that made them (rules 21 and 23).
func (v *market) checkEvents(events []Event) {
	byData, deletions := map[string]testimony{}, map[string]int{}
	byRevision := map[int]testimony{}
	for _, r := range v.testimonies() {
		switch {
		case r.Errand.Op == "delete":
			deletions[r.Errand.Key]++
		case r.Errand.Op != "get":
			byData[r.Errand.Data] = r
			if r.Returned && r.Err == "" {
				byRevision[r.Yield.Revision] = r
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
				v.s.Failf(ruleOnce, "%s was deleted more often than anybody asked", e.Key)
			}
			continue
		}
		r, known := byData[e.Data]
		switch {
		case !known || r.Errand.Key != e.Key:
			v.s.Failf(ruleMoment, "revision %d is %s, which nobody asked for", e.Revision, eventText(e))
		case first[e.Data] != 0:
			v.failOn(r, ruleOnce, "%v was carried out twice, as revisions %d and %d", r, first[e.Data], e.Revision)
		case r.Err == "ErrExists" || r.Err == "ErrConflict":
			v.failOn(r, ruleChecked, "%v returned %s, and was carried out as revision %d", r, r.Err, e.Revision)
		case r.Returned && r.Err == "" && r.Yield.Revision != e.Revision:
			v.failOn(r, ruleRevisions, "%v returned revision %d, and was carried out as revision %d", r, r.Yield.Revision, e.Revision)
		}
		first[e.Data] = e.Revision
		delete(byRevision, e.Revision)
	}
	for _, revision := range slices.Sorted(maps.Keys(byRevision)) {
		r := byRevision[revision]
		v.failOn(r, ruleMoment, "%v returned revision %d, and no such change was made", r, revision)
	}
}

// failOn is about a command that may have returned long ago.
func (v *market) failOn(r testimony, rule, format string, args ...any) {
	v.s.Fail(labtest.Violation{
		What: fmt.Sprintf(format, args...), Rule: rule, At: r.Return, Nodes: append([]labrpc.NodeID{r.Customer}, v.servers...),
	})
}
