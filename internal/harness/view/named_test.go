package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// staleRead is a run in which a client's last Get returns what it returned all the time, although another client's Put
// has changed it: no message of the Get says anything new.
func staleRead(t testing.TB) *trace.Run {
	t.Helper()
	s := newLogWriter(trace.Header{Module: "./labs/05-replication", Test: "TestLinearizable5D", Seed: 4, Nodes: 4})
	s.start(4)
	call := func(from, to labrpc.NodeID, method string, args, result any) {
		request := s.send(from, to, method, args)
		s.wait(2 * time.Millisecond)
		s.deliver(request)
		s.msg++
		reply := labrpc.Event{Kind: labrpc.EventSent, Node: to, Msg: s.msg, From: to, To: from, Method: method, Message: labrpc.Reply,
			ReplyTo: request.Msg, Number: s.msg, Body: result}
		s.event(reply)
		s.wait(2 * time.Millisecond)
		s.deliver(reply)
	}
	for range 30 {
		s.wait(100*time.Millisecond + 700*time.Microsecond)
		call(4, 1, "Get", "k", "old")
	}
	s.wait(50 * time.Millisecond)
	call(3, 2, "Put", "k=new", "done")
	s.wait(20 * time.Millisecond)
	begin := s.at
	call(4, 1, "Get", "k", "old")
	end := s.at
	for range 10 {
		s.wait(100 * time.Millisecond)
		call(4, 1, "Get", "k", "old")
	}
	run := s.rec.Run()
	run.Header.Violation = &trace.Violation{At: end}
	fail(t, run, report.Failure{
		Test: "TestLinearizable5D", Rule: "reads are linearizable (rule 20)",
		What: "no order of the commands allows this result: n4: get k = \"old\", from " + begin.Round(time.Millisecond).String() + " to " + end.Round(time.Millisecond).String(),
	})
	return run
}

// The messages of a stale read repeat what was said before. They are shown all the same: on the page, in the picture and in the text.
func TestWhatIsNamedIsShown(t *testing.T) {
	run := staleRead(t)
	named := namesOf(run)
	require.Equal(t, labrpc.EventDelivered, run.Steps[named.Key].Kind)
	require.Equal(t, labrpc.NodeID(4), run.Steps[named.Key].Node)
	routine := findRoutine(run)
	kept := 0
	for i, keep := range named.Keep {
		if keep {
			kept++
			require.False(t, routine[i], "step %d", i)
		}
	}
	require.Equal(t, 4, kept, "request and reply")
	require.True(t, routine[20], "other reads are folded")

	var text, svg bytes.Buffer
	require.NoError(t, Write(&text, FormatText, run, nil, Options{}))
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	tail := strings.Join(lines[len(lines)-6:], "\n")
	require.Contains(t, tail, "Get(k)", text.String())
	require.Contains(t, tail, "(old)", text.String())
	require.NoError(t, SVG(&svg, run, Picture{Rows: 1}))
	require.GreaterOrEqual(t, strings.Count(svg.String(), ">Get(k)<"), 1, svg.String())
	require.Contains(t, svg.String(), "Get(old)")
}

// The page opens at the step that the failure names and shows it, whatever is folded.
func TestPageOpensAtWhatIsNamed(t *testing.T) {
	run := staleRead(t)
	key := namesOf(run).Key
	b := open(t, pageOf(t, run), "")
	b.Settle()
	require.Equal(t, key, browser.Eval[int](b, `run.app.selected.n`))
	require.True(t, browser.Eval[bool](b, `run.app.model.steps.every((s) => !s.named || run.app.shown[s.i] === 1)`))
	require.True(t, browser.Eval[bool](b, `(() => { const y = run.app.placeOf(run.app.selected) - run.app.top; return y > 0 && y < run.app.height; })()`), "in the window")
	b.Press("h")
	b.Press("0")
	b.Press("v")
	require.Equal(t, key, browser.Eval[int](b, `run.app.selected.n`))
	b.shot("stale")
}
