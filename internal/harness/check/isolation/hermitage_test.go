package isolation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// txn is a transaction that overlaps all others.
func txn(id int, outcome Outcome, ops ...Op) Txn {
	return Txn{ID: id, Session: id, Call: time.Duration(id), Return: time.Hour, Outcome: outcome, Ops: ops}
}

// start is the state that the scenarios begin with.
var start = Txn{ID: 0, Session: 0, Call: -2, Return: -1, Ops: []Op{W("1", 10), W("2", 20)}}

// The scenarios of Hermitage (Kleppmann, github.com/ept/hermitage), each as its clients see it in a database that does not prevent
// it, and the strongest level that it leaves.
func TestHermitage(t *testing.T) {
	for _, row := range []struct {
		name  string
		kind  Kind
		level Level
		txns  []Txn
	}{
		// A register does not tell which write came last; a list does.
		{"G0: write cycles", G0, NoLevel, []Txn{
			txn(1, Committed, A("1", 11), A("2", 21)),
			txn(2, Committed, A("1", 12), A("2", 22)),
			txn(3, Committed, L("1", 11, 12), L("2", 22, 21)),
		}},
		{"G1a: aborted reads", G1a, ReadUncommitted, []Txn{
			txn(1, Aborted, W("1", 101)),
			txn(2, Committed, R("1", 101), R("2", 20)),
		}},
		{"G1b: intermediate reads", G1b, ReadUncommitted, []Txn{
			txn(1, Committed, W("1", 101), W("1", 11)),
			txn(2, Committed, R("1", 101), R("2", 20)),
		}},
		{"G1c: circular information flow", G1c, ReadUncommitted, []Txn{
			txn(1, Committed, W("1", 11), R("2", 22)),
			txn(2, Committed, W("2", 22), R("1", 11)),
		}},
		{"OTV: observed transaction vanishes", GSingle, ReadCommitted, []Txn{
			txn(1, Committed, R("1", 10), R("2", 20), W("1", 11), W("2", 19)),
			txn(2, Committed, R("1", 11), R("2", 19), W("1", 12), W("2", 18)),
			txn(3, Committed, R("1", 12), R("2", 19)),
		}},
		{"PMP: predicate-many-preceders, by a range read", GSingle, ReadCommitted, []Txn{
			txn(1, Committed, S("3", "9"), S("3", "9", R("3", 30))),
			txn(2, Committed, W("3", 30)),
		}},
		{"P4: lost update", LostUpdate, ReadCommitted, []Txn{
			txn(1, Committed, R("1", 10), W("1", 11)),
			txn(2, Committed, R("1", 10), W("1", 12)),
		}},
		{"G-single: read skew", GSingle, ReadCommitted, []Txn{
			txn(1, Committed, R("1", 10), R("2", 18)),
			txn(2, Committed, R("1", 10), R("2", 20), W("1", 12), W("2", 18)),
		}},
		{"G2-item: write skew", G2Item, SnapshotIsolation, []Txn{
			txn(1, Committed, R("1", 10), R("2", 20), W("1", 11)),
			txn(2, Committed, R("1", 10), R("2", 20), W("2", 21)),
		}},
		{"G2: anti-dependency cycles, by range reads", G2, SnapshotIsolation, []Txn{
			txn(1, Committed, S("3", "9"), W("3", 30)),
			txn(2, Committed, S("3", "9"), W("4", 42)),
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := &History{Txns: append([]Txn{start}, row.txns...)}
			if row.kind == G0 {
				h.Txns = row.txns
			}
			r, err := Check(h)
			require.NoError(t, err)
			require.Equal(t, row.level, r.Level, "%v", r.Anomalies)
			require.True(t, r.Exact, r.Why)
			require.Contains(t, r.Count, row.kind, "%v", r.Anomalies)
		})
	}
}

// Examples of the papers that define the levels.
func TestExamplesOfThePapers(t *testing.T) {
	for _, row := range []struct {
		name  string
		level Level
		kind  Kind
		txns  []Txn
	}{
		// Berenson et al., A Critique of ANSI SQL Isolation Levels, SIGMOD 1995. Bank balances x and y are 50 each.
		// The value that T2 read before T1 committed is the one that T1 committed, which Adya's read committed permits.
		{"H1, inconsistent analysis by a dirty read", ReadCommitted, GSingle, []Txn{
			txn(0, Committed, W("x", 50), W("y", 51)),
			txn(1, Committed, R("x", 50), W("x", 10), R("y", 51), W("y", 90)),
			txn(2, Committed, R("x", 10), R("y", 51)),
		}},
		{"H2, inconsistent analysis by a fuzzy read", ReadCommitted, GSingle, []Txn{
			txn(0, Committed, W("x", 50), W("y", 51)),
			txn(1, Committed, R("x", 50), R("y", 90)),
			txn(2, Committed, R("x", 50), W("x", 10), R("y", 51), W("y", 90)),
		}},
		{"H3, phantom: the list of employees and their count", ReadCommitted, GSingle, []Txn{
			txn(0, Committed, W("z", 0)),
			txn(1, Committed, S("e", "f"), R("z", 1)),
			txn(2, Committed, W("e7", 1), R("z", 0), W("z", 1)),
		}},
		{"H4, lost update", ReadCommitted, LostUpdate, []Txn{
			txn(0, Committed, W("x", 100)),
			txn(1, Committed, R("x", 100), W("x", 130)),
			txn(2, Committed, R("x", 100), W("x", 120)),
		}},
		{"H5, write skew", SnapshotIsolation, G2Item, []Txn{
			txn(0, Committed, W("x", 50), W("y", 51)),
			txn(1, Committed, R("x", 50), R("y", 51), W("y", -40)),
			txn(2, Committed, R("x", 50), R("y", 51), W("x", -41)),
		}},
		// Fekete, O'Neil, O'Neil, A Read-Only Transaction Anomaly Under Snapshot Isolation, SIGMOD Record 2004.
		{"read-only anomaly", SnapshotIsolation, G2Item, []Txn{
			txn(0, Committed, W("x", 0), W("y", 1)),
			txn(1, Committed, R("y", 1), W("y", 20)),
			txn(2, Committed, R("x", 0), R("y", 1), W("x", -11)),
			txn(3, Committed, R("x", 0), R("y", 20)),
		}},
		// Adya, Liskov, O'Neil, ICDE 2000.
		{"H1', committed values only", StrictSerializable, "", []Txn{
			txn(0, Committed, W("x", 5), W("y", 6)),
			txn(1, Committed, R("x", 5), W("x", 1), R("y", 6), W("y", 9)),
			txn(2, Committed, R("x", 1), R("y", 9)),
		}},
		{"H-wcycle, updates in opposite orders", NoLevel, G0, []Txn{
			txn(1, Committed, A("x", 2), A("y", 8)),
			txn(2, Committed, A("x", 5), A("y", 5)),
			txn(3, Committed, L("x", 2, 5)),
			txn(4, Committed, L("y", 5, 8)),
		}},
		{"H-phantom, by a range read", ReadCommitted, GSingle, []Txn{
			txn(0, Committed, W("ex", 10), W("ey", 11), W("sum", 21)),
			txn(1, Committed, S("e", "f", R("ex", 10), R("ey", 11)), R("sum", 31)),
			txn(2, Committed, R("sum", 21), W("ez", 12), W("sum", 31)),
		}},
		// Kingsbury, Alvaro, Elle, VLDB 2020: from TiDB, a lost update; from FaunaDB, an internal inconsistency.
		{"Elle, TiDB: retries that lose an append", ReadCommitted, LostUpdate, []Txn{
			txn(1, Committed, L("34", 2, 1), A("36", 5), A("34", 4)),
			txn(2, Committed, A("34", 5)),
			txn(3, Committed, L("34", 2, 1, 5, 4)),
			txn(4, Committed, A("34", 2), A("34", 1)),
		}},
		{"Elle, FaunaDB: a transaction does not see its own append", NoLevel, Internal, []Txn{
			txn(1, Committed, A("0", 6), L("0")),
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := Check(&History{Txns: row.txns})
			require.NoError(t, err)
			require.Equal(t, row.level, r.Level, "%v", r.Anomalies)
			require.True(t, r.Exact, r.Why)
			if row.kind != "" {
				require.Contains(t, r.Count, row.kind, "%v", r.Anomalies)
			}
		})
	}
}
