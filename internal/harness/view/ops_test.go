package view

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

func (s *logWriter) add(kind labrpc.EventKind, node labrpc.NodeID, name, value string) {
	s.rec.Add(labrpc.Event{Kind: kind, Node: node, Name: name, Value: value, At: s.at})
}

// clients is a run with operations, one of them wrong, deliveries to applications, and logs.
func clients(t testing.TB) *trace.Run {
	t.Helper()
	s := newLogWriter(trace.Header{Test: "TestClients", Seed: 2, Nodes: 5})
	s.start(5)
	s.wait(100 * time.Millisecond)
	s.add(trace.KindSeen, 1, "log", `{"snapshot":3,"snapshotTerm":1,"first":4,"terms":[1,1,2,2],"committed":6,"applied":5}`)
	s.add(trace.KindSeen, 2, "log", `{"first":1,"terms":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"committed":4,"applied":4}`)
	s.add(labrpc.EventMarked, 0, "", "the test says in a rather long line what its clients are going to do next")
	s.add(trace.KindCalled, 4, "1", `put k "new"`)
	s.add(trace.KindCalled, 4, "2", `get k`)
	s.deliver(s.send(4, 1, "Put", vote{Term: 1}))
	s.wait(30 * time.Millisecond)
	s.add(trace.KindTold, 1, "", `put k "new"`)
	s.add(trace.KindReturned, 4, "1", "revision 5")
	s.wait(40 * time.Millisecond)
	s.add(trace.KindCalled, 5, "1", "get k")
	s.add(trace.KindReturned, 4, "2", `"new"`)
	s.wait(40 * time.Millisecond)
	s.add(trace.KindReturned, 5, "1", `"old" <b>`)
	end := s.at
	s.add(trace.KindCalled, 5, "2", "get k")
	s.wait(40 * time.Millisecond)
	s.deliver(s.send(4, 2, "Put", vote{Term: 2}))
	run := s.rec.Run()
	run.Header.Violation = &trace.Violation{At: end}
	fail(t, run, report.Failure{What: `n5: get k = "old", from 0.170s to 0.210s`, Rule: "reads are linearizable (rule 20)"})
	return run
}

// Operations are bars with argument and result, side by side where one client's overlap; the wrong one is marked and is the key time.
func TestOperationsAreBars(t *testing.T) {
	b := open(t, pageOf(t, clients(t)), "")
	b.Settle()
	require.Equal(t, []string{`n4: put k "new" = revision 5`, `n4: get k = "new"`, `n5: get k = "old" <b>`, "n5: get k, no answer"},
		browser.Eval[[]string](b, `run.ops.list().map(run.ops.text)`))
	boxes := browser.Eval[[][]float64](b, `run.ops.list().map(run.ops.box)`)
	for i, x := range boxes {
		require.GreaterOrEqual(t, x[3], 15.0)
		for _, y := range boxes[:i] {
			require.True(t, x[0] >= y[0]+y[2] || y[0] >= x[0]+x[2] || x[1] >= y[1]+y[3] || y[1] >= x[1]+x[3], "bars %v and %v overlap", x, y)
		}
	}
	require.Equal(t, []bool{false, false, true, false}, browser.Eval[[]bool](b, `run.ops.list().map(run.ops.wrong)`))
	require.Equal(t, `n5's get k returned "old" <b>`, browser.Eval[string](b, `document.querySelector("#detail .sentence").textContent`))
	require.Contains(t, browser.Eval[[]string](b, `run.app.items.map((i) => i.step ? i.step.kind : "")`), "told")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("heads").innerText`), "operations")
	pill := browser.Eval[[]float64](b, `run.app.layout.rows.flatMap((row) => row.fold ? [] : row.labels.full).find((item) => item.text.includes("rather long")).box`)
	require.Less(t, pill[0]+pill[2], boxes[0][0], "what concerns all nodes ends before the operations begin")
	place := browser.Eval[[]float64](b, `(() => { const box = run.app.canvas.getBoundingClientRect(), [x, y, w] = run.ops.box(run.ops.list()[0]); return [box.left + x + w / 2, box.top + y + 4]; })()`)
	b.Do(chromedp.MouseClickXY(place[0], place[1]))
	require.Equal(t, "called", browser.Eval[string](b, `run.app.selected.kind`))
	b.shot("ops")
	for _, width := range []int64{390, 1366} {
		b.size(width, 700)
		require.LessOrEqual(t, browser.Eval[float64](b, `Math.max(...run.ops.list().map((op) => { const [x, , w] = run.ops.box(op); return x + w; })) - run.app.width`), 1.0, "bars end within the diagram")
		b.Settle()
		require.Empty(t, browser.Eval[[]string](b, `[...document.querySelectorAll(".head b")].filter((name) => name.scrollWidth > name.parentElement.clientWidth).map((name) => name.textContent)`),
			"names of nodes that are cut off")
		b.shot(fmt.Sprint("ops-", width))
	}
}

// The table of states shows each server's log: index and term, and how far each entry is, in signs and in words.
func TestLogStrips(t *testing.T) {
	b := open(t, pageOf(t, clients(t)), "", browser.Prefers("dark"))
	require.Equal(t, []string{"n1: entries to index 7, committed 6, applied 5, snapshot to 3", "n2: entries to index 17, committed 4, applied 4"},
		browser.Eval[[]string](b, `[...document.querySelectorAll("#state .strip")].map((el) => el.getAttribute("aria-label"))`))
	require.Equal(t, []string{"▣ 3", "● 4", "● 5", "◐ 6", "○ 7"},
		browser.Eval[[]string](b, `[...document.querySelector("#state .strip").querySelectorAll(".cell")].map((el) => el.firstChild.textContent)`))
	b.shot("ops-dark")
}

// A page without notes says how to fill the table of states.
func TestEmptyStateSaysHow(t *testing.T) {
	s := newLogWriter(trace.Header{Test: "TestQuiet", Nodes: 2})
	s.start(2)
	b := open(t, pageOf(t, s.rec.Run()), "")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("state").textContent`), "node.Note(")
}
