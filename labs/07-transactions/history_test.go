package transactions_test

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// strict is the level of 7A, and of 7B at Serializable.
const strict = isolation.StrictSerializable

// number reads a value that a test has put.
func number(value string) (int64, error) { return strconv.ParseInt(value, 10, 64) }

// isList reports whether a key of a random workload is a list: numbers are appended to it. The others are registers.
func isList(key string) bool { return strings.HasPrefix(key, "l") }

// history returns what the clients saw. Rule is broken if a value is none that was ever written.
func (d *db) history(rule string) *isolation.History {
	h := &isolation.History{}
	for i, t := range d.txns {
		txn := isolation.Txn{ID: i + 1, Session: t.session, Call: t.began, Return: t.ret, Outcome: isolation.Aborted}
		switch t.outcome {
		case committed:
			txn.Outcome = isolation.Committed
		case unknown:
			txn.Outcome = isolation.Unknown
		}
		for _, op := range t.ops {
			c := op.call
			ended := c.over() && c.err == nil
			switch {
			case op.kind == "put":
				txn.Ops = append(txn.Ops, isolation.W(op.key, op.value))
			case op.kind == "append":
				txn.Ops = append(txn.Ops, isolation.A(op.key, op.value))
			case op.kind == "get" && ended:
				txn.Ops = append(txn.Ops, d.readOp(rule, t, c, op.key, c.value, c.found))
			case op.kind == "scan" && ended:
				scan := isolation.S(op.key, op.to)
				for _, p := range c.pairs {
					scan.Found = append(scan.Found, d.readOp(rule, t, c, p.Key, p.Value, true))
				}
				txn.Ops = append(txn.Ops, scan)
			}
		}
		h.Txns = append(h.Txns, txn)
	}
	return h
}

// readOp is a read of one key.
func (d *db) readOp(rule string, t *txn, c *call, key, value string, found bool) isolation.Op {
	if !found {
		return isolation.Missing(key)
	}
	var list []int64
	for part := range strings.SplitSeq(strings.TrimSuffix(value, ","), ",") {
		n, err := number(part)
		if err != nil {
			d.s.Failf(rule, "%s of %s returned %s=%q at %v, a value that no client has written", c.what, t.name, key, value, labtest.At(c.ended))
		}
		list = append(list, n)
	}
	if isList(key) {
		return isolation.L(key, list...)
	}
	return isolation.R(key, list[0])
}

// check fails if the history has an anomaly that the level forbids, and otherwise returns the report.
func (d *db) check(rule string, level isolation.Level) *isolation.Report {
	h := d.history(rule)
	report, err := isolation.Check(h)
	if err != nil {
		panic(err) // the test recorded nonsense
	}
	a, wrong := report.Violation(level)
	if !wrong {
		return report
	}
	small, shrunk := isolation.Shrink(h, a)
	var end time.Duration
	for _, i := range shrunk.Txns {
		end = max(end, small.Txns[i].Return)
	}
	d.s.Fail(labtest.Violation{
		What: notOfLevel(levelName(level), shrunk.Text, shrunk.Kind),
		Rule: rule,
		Seen: anomalyLines(small, shrunk),
		At:   end,
		Page: func(w io.Writer) error { return isolation.Page(w, h, a) },
	})
	return report
}

// notOfLevel says that the transactions lack a property, and why: the kind of an anomaly, and its sentence.
func notOfLevel(level, sentence string, kind isolation.Kind) string {
	if name, rest, ok := strings.Cut(sentence, ": "); ok {
		return fmt.Sprintf("the transactions are not %s (%s, %s): %s", level, name, kind, rest)
	}
	return fmt.Sprintf("the transactions are not %s (%s): %s", level, kind, sentence)
}

// levelName says which property a history lacks.
func levelName(level isolation.Level) string {
	switch level {
	case isolation.StrictSerializable:
		return "strictly serializable"
	case isolation.Serializable:
		return "serializable"
	}
	return "isolated by snapshots"
}

// anomalyLines has a line for each dependency of the anomaly's cycle and each of its transactions.
func anomalyLines(h *isolation.History, a isolation.Anomaly) []string {
	var lines []string
	for _, e := range a.Cycle {
		lines = append(lines, e.Text)
	}
	for _, i := range a.Txns {
		lines = append(lines, h.Describe(&h.Txns[i]))
	}
	return slices.Compact(lines)
}

// A workload is what random clients do.
type workload struct {
	sessions  int
	steps     int
	lists     int // keys l1, l2, …
	registers int // keys r1, r2, …
	ops       int // the most that a transaction has
	crash     int // every so many steps, the node crashes at a disk write: 0 for never
}

// What random clients may meet.
const (
	coverWait    = "a call waited for another transaction"
	coverAborted = "the store aborted a transaction"
	coverCommits = "twenty transactions committed"
	coverCrash   = "the node crashed in a Commit"
)

// random lets clients do what the seed says: each step begins one call of one client, and lets a little time pass.
func (d *db) random(w workload, rule string) {
	r := d.s.Rand()
	clients := make([]*txn, w.sessions)
	lengths := make([]int, w.sessions)
	for step := range w.steps {
		if w.crash > 0 && step%w.crash == w.crash-1 {
			d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{Write: d.s.Net.Writes(1) + 1 + r.IntN(12), After: r.IntN(2) == 0})
		}
		if !d.s.Net.Up(1) {
			d.noteCrash()
			clients = make([]*txn, w.sessions)
			d.start()
		}
		i := r.IntN(w.sessions)
		t := clients[i]
		switch {
		case t == nil || t.ended():
			t = d.beginTx()
			t.session = i
			clients[i], lengths[i] = t, 1+r.IntN(w.ops)
		case !t.busy.over():
			d.s.Cover(coverWait)
		case len(t.ops) >= lengths[i]:
			if r.IntN(12) == 0 {
				t.goAbort()
			} else {
				t.goCommit()
			}
		default:
			w.op(t)
		}
		d.run(time.Duration(1+r.IntN(1500)) * time.Microsecond)
		for waited := 0; waited < 200 && d.s.Net.Up(1) && allWait(clients); waited++ {
			d.run(5 * time.Millisecond) // a store may resolve a deadlock late (rule 6), and no step is lost meanwhile
		}
		if d.s.Net.Up(1) && allWait(clients) {
			break // finish waits for longer
		}
	}
	d.finish(rule, clients)
	if !d.s.Net.Up(1) {
		d.noteCrash()
		d.start()
	}
	n := 0
	for _, t := range d.txns {
		switch t.outcome {
		case byStore:
			d.s.Cover(coverAborted)
		case committed:
			n++
		}
	}
	if n >= 20 {
		d.s.Cover(coverCommits)
	}
}

// allWait reports whether every client has a call that has not returned.
func allWait(clients []*txn) bool {
	return !slices.ContainsFunc(clients, func(t *txn) bool { return t == nil || t.ended() || t.busy.over() })
}

// op begins a random operation.
func (w workload) op(t *txn) {
	r := t.db.s.Rand()
	list, register := fmt.Sprintf("l%d", 1+r.IntN(w.lists)), ""
	if w.registers > 0 {
		register = fmt.Sprintf("r%d", 1+r.IntN(w.registers))
	}
	switch n := r.IntN(20); {
	case n < 7:
		t.goGet(list)
	case n < 13:
		t.goAppendNew(list)
	case n < 15 || register == "":
		t.goScan([]string{"", "l", "l2", "r"}[r.IntN(4)], []string{"", "l3", "m"}[r.IntN(3)])
	case n < 17:
		t.goGet(register)
	default:
		t.goPutNew(register)
	}
}

// noteCrash settles the transactions after a crash at a disk write.
func (d *db) noteCrash() {
	d.crashed()
	for _, t := range d.txns {
		if t.outcome == unknown {
			d.s.Cover(coverCrash)
		}
	}
}

// finish commits the transactions that are running, until none is.
func (d *db) finish(rule string, clients []*txn) {
	d.s.Net.CrashAtWrite(1, labrpc.CrashPoint{})
	end := d.s.Net.Now() + 30*time.Second
	for {
		left := ""
		for _, t := range clients {
			switch {
			case t == nil || t.ended():
			case !t.busy.over():
				left = cmp.Or(left, fmt.Sprintf("%s of %s, called at %v", t.busy.what, t.name, labtest.At(t.busy.began)))
			default:
				left = cmp.Or(left, "Commit of "+t.name)
				t.goCommit()
				d.run(time.Microsecond) // no two calls begin in one instant: which goroutine is first does not follow from the seed
			}
		}
		d.run(5 * time.Millisecond)
		switch {
		case left == "" || !d.s.Net.Up(1):
			return
		case d.s.Net.Now() > end:
			d.s.Fail(labtest.Violation{
				What: fmt.Sprintf("%s had not returned at %v, although for 30s each transaction was committed once its call had returned", left, labtest.At(d.s.Net.Now())),
				Rule: rule, Seen: d.describe(),
			})
		}
	}
}
