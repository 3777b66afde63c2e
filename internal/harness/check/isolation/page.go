package isolation

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"distlabs/internal/harness/check/histpage"
)

// shownTxns is how many transactions beside those of the anomaly a page shows: the ones next to it in time.
const shownTxns = 40

// Page writes a page that shows an anomaly of a history in a browser: the transactions in lanes by session, the
// dependencies of the cycle as arrows, each with its kind, and the other transactions faded. Where w is a
// *histpage.Writer, the page also shows what that knows of the run.
func Page(w io.Writer, h *History, a Anomaly) error {
	t := newPageTimes(h)
	shown := t.near(a.Txns)
	p := &histpage.Page{Title: "An anomaly in a history of transactions", What: fmt.Sprintf("%s: %s", a.Kind, a.Text), Time: t.print}
	if says := a.Kind.Meaning(); says != "" {
		p.What = fmt.Sprintf("%s (%s): %s", a.Kind, says, a.Text)
	}
	run := histpage.RunOf(w)
	sessions := map[int]bool{}
	for _, i := range shown {
		sessions[h.Txns[i].Session] = true
	}
	lanes := map[int]int{}
	for _, s := range slices.Sorted(maps.Keys(sessions)) {
		lanes[s] = len(p.Lanes)
		p.Lanes = append(p.Lanes, "session "+strconv.Itoa(s))
	}
	bars := map[int]int{}
	for _, i := range shown {
		txn := &h.Txns[i]
		b := histpage.Bar{Lane: lanes[txn.Session], From: t.call(i), To: t.ret(i), Open: t.open(i), Text: h.brief(txn), Look: histpage.Faded}
		b.Detail = []string{h.Describe(txn)}
		if slices.Contains(a.Txns, i) {
			b.Look = histpage.Involved
			if a.Cycle == nil {
				b.Look = histpage.Wrong
			}
		}
		bars[i] = len(p.Bars)
		p.Bars = append(p.Bars, b)
	}
	var lines []string
	for _, e := range a.Cycle {
		p.Edges = append(p.Edges, histpage.Edge{From: bars[e.From], To: bars[e.To], Label: e.Kind.String(), Text: e.Text})
		lines = append(lines, e.Text)
	}
	if len(lines) > 0 {
		p.Lists = append(p.Lists, histpage.List{Head: "The cycle", Lines: lines})
	}
	var txns []string
	for _, i := range a.Txns {
		txns = append(txns, h.Describe(&h.Txns[i]))
	}
	p.Lists = append(p.Lists, histpage.List{Head: "The transactions", Lines: txns})
	if left := len(h.Txns) - len(shown); left > 0 {
		p.Lists = append(p.Lists, histpage.List{Head: "Left out", Lines: []string{fmt.Sprintf("%d of %d transactions, which are further away in time", left, len(h.Txns))}})
	}
	p.Adorn(run)
	if run.What != "" { // the anomaly has the details
		p.What = run.What
		p.Lists = slices.Insert(p.Lists, 0, histpage.List{Head: "The anomaly: " + string(a.Kind), Lines: []string{a.Text}})
	}
	return p.Write(w)
}

// brief tells of a transaction in very few words: T7: r x 3, w y 4.
func (h *History) brief(t *Txn) string {
	var ops []string
	for _, op := range t.Ops {
		switch {
		case op.Kind == Write:
			ops = append(ops, "w "+op.Key+"="+h.value(op.Value))
		case op.Kind == Append:
			ops = append(ops, "a "+op.Key+"+="+h.value(op.Value))
		case op.Kind == Scan:
			ops = append(ops, fmt.Sprintf("scan %s…%s: %d", op.From, op.To, len(op.Found)))
		case op.Absent && op.List == nil:
			ops = append(ops, "r "+op.Key+": none")
		default:
			ops = append(ops, "r "+op.Key+"="+h.seen(op))
		}
	}
	text := t.Name() + ": " + strings.Join(ops, " · ")
	if t.Outcome != Committed {
		text += " (" + t.Outcome.String() + ")"
	}
	return text
}

// pageTimes are the times of a history as a page draws them: where it has none, the order of its transactions.
type pageTimes struct {
	h     *History
	timed bool
	last  time.Duration
}

func newPageTimes(h *History) *pageTimes {
	t := &pageTimes{h: h}
	for i := range h.Txns {
		t.timed = t.timed || h.Txns[i].Call != 0 || h.Txns[i].Return != 0
		t.last = max(t.last, h.Txns[i].Call, h.Txns[i].Return)
	}
	return t
}

func (t *pageTimes) call(i int) time.Duration {
	if !t.timed {
		return time.Duration(2 * i)
	}
	return t.h.Txns[i].Call
}

func (t *pageTimes) ret(i int) time.Duration {
	if !t.timed {
		return time.Duration(2*i + 1)
	}
	return t.h.Txns[i].Return
}

// open reports whether the transaction has no end.
func (t *pageTimes) open(i int) bool {
	txn := &t.h.Txns[i]
	return t.timed && txn.Outcome == Unknown || t.ret(i) < t.call(i)
}

// print writes a time, and nothing where the history has none.
func (t *pageTimes) print(d time.Duration) string {
	switch {
	case !t.timed:
		return fmt.Sprintf("#%d", d/2+1)
	case t.h.When != nil:
		return t.h.When(d)
	}
	return fmt.Sprintf("%d.%03ds", d/time.Second, d%time.Second/time.Millisecond)
}

// near returns the transactions of an anomaly and those next to them in time, as indexes in the order of the history.
func (t *pageTimes) near(involved []int) []int {
	if len(involved) == 0 {
		return nil
	}
	from, to := t.call(involved[0]), t.call(involved[0])
	for _, i := range involved {
		from, to = min(from, t.call(i)), max(to, t.call(i))
	}
	away := func(i int) time.Duration {
		switch c := t.call(i); {
		case c < from:
			return from - c
		case c > to:
			return c - to
		}
		return 0
	}
	var others []int
	for i := range t.h.Txns {
		if !slices.Contains(involved, i) {
			others = append(others, i)
		}
	}
	slices.SortStableFunc(others, func(a, b int) int { return cmp.Compare(away(a), away(b)) })
	out := append(slices.Clone(involved), others[:min(len(others), shownTxns)]...)
	slices.Sort(out)
	return slices.Compact(out)
}
