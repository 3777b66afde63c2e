package transactions_test

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// isolationHistory is what all clients saw.
func (c *shardCluster) isolationHistory() *isolation.History {
	h := &isolation.History{}
	free := map[labrpc.NodeID][]time.Duration{} // when each session of a client can have another transaction
	for _, r := range c.history() {
		session := slices.IndexFunc(free[r.Client], func(at time.Duration) bool { return at <= r.Call })
		if session < 0 {
			session = len(free[r.Client])
			free[r.Client] = append(free[r.Client], 0)
		}
		free[r.Client][session] = r.Return
		if !r.Over || r.Err == "unknown" {
			free[r.Client][session] = math.MaxInt64 // it may still take effect
		}
		for i, a := range r.Attempts {
			// An attempt may have begun before Run called the function: a client may ask for its timestamp then.
			t := isolation.Txn{
				ID: r.ID, Label: fmt.Sprintf("T%d", r.ID), Session: int(r.Client)*1000 + session, Call: r.Call, Return: r.Return,
				Outcome: isolation.Aborted, Ops: shardOps(a.Ops),
			}
			switch {
			case i < len(r.Attempts)-1:
				t.Label += fmt.Sprintf(" (attempt %d)", i+1)
				t.Return = r.Attempts[i+1].From
			case r.committed():
				t.Outcome = isolation.Committed
			case !r.Over || r.Err == "unknown":
				t.Outcome = isolation.Unknown
			}
			h.Txns = append(h.Txns, t)
		}
	}
	return h
}

// shardOps is what the checker knows of a transaction's operations.
func shardOps(seen []shardSeen) (ops []isolation.Op) {
	for _, op := range seen {
		switch {
		case op.Kind == "write":
			ops = append(ops, isolation.W(op.Key, op.Value))
		case op.Kind == "append":
			ops = append(ops, isolation.A(op.Key, op.Value))
		case isShardList(op.Key):
			ops = append(ops, isolation.L(op.Key, op.List...))
		case op.Absent:
			ops = append(ops, isolation.Missing(op.Key))
		default:
			ops = append(ops, isolation.R(op.Key, op.Value))
		}
	}
	return ops
}

// check checks that what the clients saw is strictly serializable (rule 33), and that what was not committed was not
// seen, nor an outcome unknown without a reason (rule 34).
func (c *shardCluster) check() {
	for _, r := range c.history() {
		c.mayBeUnknown(r)
	}
	h := c.isolationHistory()
	report, err := isolation.Check(h)
	if err != nil {
		c.s.Failf("none: this is an error in the test, not in your code", "the history could not be checked: %v", err)
		return
	}
	anomaly, wrong := report.Violation(isolation.StrictSerializable)
	if !wrong {
		return
	}
	rule := ruleShardStrict
	if anomaly.Kind == isolation.G1a {
		rule = ruleShardOutcome
	}
	var at time.Duration
	nodes := c.servers()
	for _, i := range anomaly.Txns {
		for _, r := range c.history() {
			if r.ID == h.Txns[i].ID {
				at, nodes = max(at, r.Return), append(nodes, r.Client)
			}
		}
	}
	lines := anomaly.Lines()
	for _, i := range anomaly.Txns {
		lines = append(lines, h.Describe(&h.Txns[i]))
	}
	c.s.Fail(labtest.Violation{
		What: notOfLevel("strictly serializable", shardShort(anomaly), anomaly.Kind),
		Rule: rule, Seen: lines[1:min(len(lines), 13)], Nodes: nodes, At: at,
		Page: func(w io.Writer) error { return isolation.Page(w, h, anomaly) },
	})
}

// shardShort is the sentence of an anomaly, shortened to what fits in a message. A cycle is short, and its end is what matters.
func shardShort(a isolation.Anomaly) string {
	if words := strings.Fields(a.Text); a.Cycle == nil && len(words) > 22 {
		return strings.Join(words[:22], " ") + " …"
	}
	return a.Text
}
