package isolation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// storeHistories is how many histories of each store are checked.
const storeHistories = 120

// A store of a known level never has a history below its level, and over many histories it shows that it is not better.
func TestKnowsTheLevelOfAStore(t *testing.T) {
	for _, level := range []Level{ReadCommitted, SnapshotIsolation, StrictSerializable} {
		for _, lists := range []bool{true, false} {
			for _, scans := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v lists=%v scans=%v", level, lists, scans), func(t *testing.T) {
					worst := StrictSerializable
					for seed := range uint64(storeHistories) {
						s := &store{level: level, rand: rand.New(rand.NewPCG(seed, 5)), lists: lists, scans: scans}
						h := s.history(8+int(seed%40), 2+int(seed%6), 2+int(seed%5), 4)
						r, err := Check(h)
						require.NoError(t, err)
						require.Greater(t, r.Refuted, level, "seed %d: %v", seed, r.Anomalies)
						worst = min(worst, r.Level)
					}
					require.Equal(t, level, worst)
				})
			}
		}
	}
}

// correct returns a large strictly serializable history.
func correct(txns int, lists, scans bool) *History {
	s := &store{level: StrictSerializable, rand: rand.New(rand.NewPCG(uint64(txns), 9)), lists: lists, scans: scans}
	return s.history(txns, 8, 30, 5)
}

// Each kind of anomaly, put into a large correct history, is found, named, and shrunk to the transactions that it is about.
func TestFindsWhatIsInjected(t *testing.T) {
	a := func(id int, outcome Outcome, ops ...Op) Txn { return Txn{ID: 10_000 + id, Outcome: outcome, Ops: ops} }
	for _, row := range []struct {
		kind   Kind
		level  Level
		txns   []Txn
		serial bool // the transactions are called one after another, by one session if session is set
		at     []int
	}{
		{kind: G0, txns: []Txn{a(1, Committed, A("x", 1), A("y", 1)), a(2, Committed, A("x", 2), A("y", 2)), a(3, Committed, L("x", 1, 2), L("y", 2, 1))}},
		{kind: G1a, txns: []Txn{a(1, Aborted, A("x", 1)), a(2, Committed, L("x", 1))}},
		{kind: G1a, txns: []Txn{a(1, Aborted, W("x", 1)), a(2, Committed, R("x", 1))}},
		{kind: G1b, txns: []Txn{a(1, Committed, A("x", 1), A("x", 2)), a(2, Committed, L("x", 1))}},
		{kind: G1b, txns: []Txn{a(1, Committed, W("x", 1), W("x", 2)), a(2, Committed, R("x", 1))}},
		{kind: G1c, txns: []Txn{a(1, Committed, A("x", 1), L("y", 1)), a(2, Committed, A("y", 1), L("x", 1))}},
		{kind: LostUpdate, txns: []Txn{a(1, Committed, L("x"), A("x", 1)), a(2, Committed, L("x"), A("x", 2)), a(3, Committed, L("x", 1, 2))}},
		{kind: LostUpdate, txns: []Txn{a(1, Committed, Missing("x"), W("x", 1)), a(2, Committed, Missing("x"), W("x", 2))}},
		{kind: GSingle, txns: []Txn{a(1, Committed, A("x", 1), A("y", 1)), a(2, Committed, L("x"), L("y", 1)), a(3, Committed, L("x", 1))}},
		{kind: GSingle, txns: []Txn{a(1, Committed, W("x", 1), W("y", 1)), a(2, Committed, Missing("x"), R("y", 1))}},
		{kind: GNonadjacent, txns: []Txn{a(1, Committed, L("x"), A("y", 1)), a(2, Committed, A("x", 1), A("v", 1)), a(3, Committed, L("v", 1), L("w")),
			a(4, Committed, A("w", 1), A("z", 1)), a(5, Committed, L("z", 1), A("y", 2)), a(6, Committed, A("u", 1))}, at: nil},
		{kind: G2Item, txns: []Txn{a(1, Committed, L("x"), A("y", 1)), a(2, Committed, L("y"), A("x", 1))}},
		{kind: G2, txns: []Txn{a(1, Committed, S("xa", "xz"), A("yb", 1)), a(2, Committed, S("ya", "yz"), A("xb", 1))}},
		{kind: Internal, txns: []Txn{a(1, Committed, A("x", 1), L("x"))}},
		{kind: Internal, txns: []Txn{a(1, Committed, W("x", 1), Missing("x"))}},
		{kind: Incompatible, txns: []Txn{a(1, Committed, A("x", 1)), a(2, Committed, A("x", 2)), a(3, Committed, L("x", 1, 2)), a(4, Committed, L("x", 2))}},
		{kind: Duplicate, txns: []Txn{a(1, Committed, A("x", 1)), a(2, Committed, L("x", 1, 1))}},
		{kind: Unwritten, txns: []Txn{a(1, Committed, L("x", 7))}},
	} {
		if row.kind == GNonadjacent {
			// T1 -rw-> T2 -wr-> T3 -rw-> T4 -wr-> T5, and T5 -ww-> T1: T5 appended to y before T1 did.
			row.txns[5] = a(6, Committed, L("y", 2, 1))
		}
		t.Run(string(row.kind), func(t *testing.T) {
			h := correct(2000, true, true)
			middle := h.Txns[1000].Return
			for i, txn := range row.txns {
				txn.Session, txn.Call, txn.Return = 900+i, middle, h.Txns[1999].Return
				h.Txns = append(h.Txns, txn)
			}
			r, err := Check(h)
			require.NoError(t, err)
			require.Contains(t, r.Count, row.kind, "%v", r.Anomalies)
			for _, a := range r.Anomalies {
				if a.Kind != row.kind {
					continue
				}
				require.True(t, r.Refuted <= a.Forbids)
				for _, txn := range a.Txns {
					require.GreaterOrEqual(t, h.Txns[txn].ID, 10_000, "%v", a.Lines())
				}
				small, again := Shrink(h, a)
				require.Equal(t, row.kind, again.Kind)
				require.LessOrEqual(t, len(small.Txns), len(row.txns))
				return
			}
		})
	}
}

// Orders within sessions and real time are needed for the strong levels alone.
func TestSessionsAndRealTime(t *testing.T) {
	h := correct(500, true, false)
	last := h.Txns[len(h.Txns)-1].Return
	stale := []Txn{
		{ID: 10_001, Session: 901, Call: last + 1, Return: last + 2, Ops: []Op{A("x", 1)}},
		{ID: 10_002, Session: 902, Call: last + 3, Return: last + 4, Ops: []Op{L("x")}},
		{ID: 10_003, Session: 903, Call: last + 5, Return: last + 6, Ops: []Op{L("x", 1)}},
	}
	h.Txns = append(h.Txns, stale...)
	r, err := Check(h)
	require.NoError(t, err)
	require.Equal(t, Serializable, r.Level)
	require.True(t, r.Exact)
	require.True(t, r.Sessions)
	require.Equal(t, GSingle+RealtimeSuffix, r.Anomalies[0].Kind, "%v", r.Anomalies[0].Lines())
	require.Len(t, r.Anomalies[0].Cycle, 2)

	h.Txns[len(h.Txns)-2].Session = 901 // the reader is of the writer's session
	r, err = Check(h)
	require.NoError(t, err)
	require.Equal(t, Serializable, r.Level)
	require.False(t, r.Sessions)
	require.Equal(t, GSingle+SessionSuffix, r.Anomalies[0].Kind)
}

// T2 writes x without reading it, and nobody ever reads this version. Real time leaves one place for it: after T1's version, which T3 reads, and before T4
// begins, which reads the version that T3 wrote. So T3 has read x before T2, and replaced T2's version.
func TestVersionThatNobodyReads(t *testing.T) {
	txns := []Txn{
		{ID: 10_001, Session: 901, Call: 1, Return: 2, Ops: []Op{W("x", 1)}},
		{ID: 10_002, Session: 902, Call: 3, Return: 5, Ops: []Op{W("x", 2)}},
		{ID: 10_003, Session: 903, Call: 4, Return: 8, Ops: []Op{R("x", 1), W("x", 3)}},
		{ID: 10_004, Session: 904, Call: 9, Return: 10, Ops: []Op{R("x", 3)}},
	}
	for _, row := range []struct {
		name   string
		wrong  bool
		change func(txns []Txn)
	}{
		{"lost", true, func([]Txn) {}},
		{"T2 overlaps T1", false, func(txns []Txn) { txns[1].Call = 2 }},
		{"T2 overlaps T4", false, func(txns []Txn) { txns[1].Return = 9 }},
		{"the outcome of T2 is unknown", false, func(txns []Txn) { txns[1].Outcome = Unknown }},
		{"the outcome of T1 is unknown", false, func(txns []Txn) { txns[0].Outcome = Unknown }},
		{"the outcome of T3 is unknown", true, func(txns []Txn) { txns[2].Outcome = Unknown }},
		{"T2 was aborted", false, func(txns []Txn) { txns[1].Outcome = Aborted }},
		{"T3 has not read x", false, func(txns []Txn) { txns[2].Ops = txns[2].Ops[1:] }},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := correct(500, false, false) // with too many orders of versions to try them
			last := h.Txns[len(h.Txns)-1].Return
			added := slices.Clone(txns)
			row.change(added)
			for _, txn := range added {
				txn.Call, txn.Return = last+txn.Call, last+txn.Return
				h.Txns = append(h.Txns, txn)
			}
			r, err := Check(h)
			require.NoError(t, err)
			if !row.wrong {
				require.Empty(t, r.Anomalies)
				return
			}
			require.Equal(t, StrictSerializable, r.Refuted)
			require.Len(t, r.Anomalies, 1)
			require.Equal(t, LostUpdate+RealtimeSuffix, r.Anomalies[0].Kind, "%v", r.Anomalies[0].Lines())
		})
	}
}

// That the version of T1 is before the version of T3 follows from T2, which has read the first and returned before T3 was called. The sentence says so.
func TestSaysWhyAVersionIsLater(t *testing.T) {
	h := &History{Txns: []Txn{
		{ID: 1, Session: 1, Call: 1, Return: 9, Ops: []Op{W("x", 1)}},
		{ID: 2, Session: 2, Call: 2, Return: 3, Ops: []Op{R("x", 1)}},
		{ID: 3, Session: 3, Call: 4, Return: 5, Ops: []Op{W("x", 3)}},
		{ID: 4, Session: 4, Call: 6, Return: 7, Ops: []Op{R("x", 1)}},
	}}
	r, err := Check(h)
	require.NoError(t, err)
	require.Len(t, r.Anomalies, 1)
	lines := strings.Join(r.Anomalies[0].Lines(), "\n")
	require.Contains(t, lines, "T4 read x = 1 before T3's write of 3, which is later than the version read (rw); it is later, because T1 wrote x = 1, which T2 read (wr), and T2 returned at")
}

// A transaction of which nobody knows whether it was committed may count as either.
func TestUnknownOutcome(t *testing.T) {
	write := Txn{ID: 1, Session: 1, Call: 1, Outcome: Unknown, Ops: []Op{A("x", 1), A("y", 1)}}
	absent := Txn{ID: 2, Session: 2, Call: 5, Return: 6, Ops: []Op{L("x"), L("y")}}
	whole := Txn{ID: 3, Session: 3, Call: 7, Return: 8, Ops: []Op{L("x", 1), L("y", 1)}}
	half := Txn{ID: 3, Session: 3, Call: 7, Return: 8, Ops: []Op{L("x", 1), L("y")}}
	for _, row := range []struct {
		txns []Txn
		want Level
	}{
		{[]Txn{write, absent}, StrictSerializable},
		{[]Txn{write, absent, whole}, StrictSerializable},
		{[]Txn{write, half}, ReadCommitted},
	} {
		r, err := Check(&History{Txns: row.txns})
		require.NoError(t, err)
		require.Equal(t, row.want, r.Level)
	}
}

// What cannot be judged is an error that names it.
func TestRefusesWhatCannotBeJudged(t *testing.T) {
	_, err := Check(&History{Txns: []Txn{{ID: 1, Ops: []Op{W("x", 1)}}, {ID: 2, Ops: []Op{W("x", 1)}}}})
	require.EqualError(t, err, "isolation: T1 and T2 both wrote 1 to x: it cannot be known which of them a read saw, so each value may be written to a key only once")
	_, err = Check(&History{Txns: []Txn{{ID: 1, Ops: []Op{W("x", 1)}}, {ID: 2, Ops: []Op{A("x", 2)}}}})
	require.EqualError(t, err, "isolation: x is both written and appended to: a key is a register or a list")
}

func BenchmarkCheck(b *testing.B) {
	for _, txns := range []int{1_000, 10_000, 100_000, 1_000_000} {
		for _, lists := range []bool{true, false} {
			b.Run(fmt.Sprintf("txns=%d/lists=%v", txns, lists), func(b *testing.B) {
				s := &store{level: StrictSerializable, rand: rand.New(rand.NewPCG(1, 9)), lists: lists}
				h := s.growing(txns)
				b.ReportAllocs()
				for b.Loop() {
					r, err := Check(h)
					require.NoError(b, err)
					require.Equal(b, StrictSerializable, r.Level, "%v", r.Why)
				}
			})
		}
	}
}

// growing runs transactions of five operations over keys that are replaced after some writes, as Jepsen's generators do, so that
// no list becomes long.
func (s *store) growing(txns int) *History {
	s.versions = map[string][]version{}
	h := &History{Txns: make([]Txn, 0, txns)}
	for i := range txns {
		r := &running{start: s.commits, writes: map[string][]int64{}, reads: map[string]bool{}}
		r.txn = Txn{ID: i, Session: i % 16, Call: ms(i), Return: ms(i) + 900}
		for range 5 {
			key := fmt.Sprintf("k%d", i/100*4+s.rand.IntN(4))
			if s.rand.IntN(2) == 0 {
				r.txn.Ops = append(r.txn.Ops, s.observed(key, s.read(r, key)))
				continue
			}
			s.next++
			if s.lists {
				r.txn.Ops = append(r.txn.Ops, A(key, s.next))
				r.writes[key] = append(r.writes[key], s.next)
			} else {
				r.txn.Ops = append(r.txn.Ops, W(key, s.next))
				r.writes[key] = []int64{s.next}
			}
		}
		s.commits++
		for key, own := range r.writes {
			value := own
			if s.lists {
				value = append(append([]int64{}, s.at(key, s.commits)...), own...)
			}
			s.versions[key] = append(s.versions[key], version{at: s.commits, value: value})
		}
		h.Txns = append(h.Txns, r.txn)
	}
	return h
}

func ms(i int) time.Duration { return time.Duration(i) * time.Millisecond }
