package grade

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/harness/report"
)

// A test passes only on the complete story; every gap in it is a failure of the
// kind that fits.
func TestVerdict(t *testing.T) {
	start := report.Event{Kind: report.Start, Test: "TestX1A"}
	seed := report.Event{Kind: report.Seed, Test: "TestX1A", Seed: 81, Bubble: 4}
	later := report.Event{Kind: report.Seed, Test: "TestX1A", Seed: 82, Bubble: 5}
	end := func(r report.Result) report.Event {
		return report.Event{Kind: report.End, Test: "TestX1A", Result: &r}
	}
	pass := end(report.Result{Status: report.Pass, Seeds: 2})
	fail := end(report.Result{Status: report.Fail, Seeds: 1, Failures: []report.Failure{{Test: "TestX1A", Kind: report.Rule, What: "two leaders"}}})
	found := report.Event{Kind: report.Found, Test: "TestX1A", Seed: 81, Failure: &report.Failure{Test: "TestX1A", Kind: report.Rule, Seed: 81, What: "two leaders"}}
	done := report.Event{Kind: report.Done}
	panicked := []byte("panic: oh no\n\ngoroutine 35 [running, synctest bubble 4]:\ndistlabs/labs/01-echo.Echo(...)\n\tdistlabs/labs/01-echo/echo.go:12 +0x1d\n")

	for _, tc := range []struct {
		name string
		out  outcome
		want report.Status
		kind report.Kind
		what string
		seed uint64
	}{
		{name: "the whole story", out: outcome{events: []report.Event{start, seed, later, pass, done}}, want: report.Pass},
		{name: "passed, with fewer seeds than it reports", out: outcome{events: []report.Event{start, seed, pass, done}},
			want: report.Fail, kind: report.Malformed, what: "the test passed without having run its seeds: it reports 2 seeds, and began 1"},
		{name: "a failure in its own words", out: outcome{Outcome: sandbox.Outcome{Exit: 1}, events: []report.Event{start, seed, fail, done}},
			want: report.Fail, kind: report.Rule, what: "two leaders"},
		{name: "a failure, then a dirty exit", out: outcome{Outcome: sandbox.Outcome{Exit: 2}, events: []report.Event{start, seed, fail}},
			want: report.Fail, kind: report.Rule, what: "two leaders"},
		{name: "a skip", out: outcome{events: []report.Event{start, end(report.Result{Status: report.Skip, SkipReason: "needs 1B"}), done}}, want: report.Skip},
		{name: "nothing at all, status 0", out: outcome{Outcome: sandbox.Outcome{Stderr: []byte("--- PASS: TestX1A\nPASS\n")}},
			want: report.Fail, kind: report.Exit, what: "the process ended by itself, with status 0, before the test began"},
		{name: "an end in the middle, status 0", out: outcome{events: []report.Event{start, seed, later}},
			want: report.Fail, kind: report.Exit, what: "the process ended by itself, with status 0, in the middle of the test", seed: 82},
		{name: "a crash in the first of two bubbles", out: outcome{Outcome: sandbox.Outcome{Exit: 2, Stderr: panicked}, events: []report.Event{start, seed, later}},
			want: report.Fail, kind: report.Panic, what: "Echo panics: oh no", seed: 81},
		{name: "passed but not done", out: outcome{events: []report.Event{start, seed, pass}},
			want: report.Fail, kind: report.Exit, what: "the process ended by itself before the test harness was done"},
		{name: "passed but status 66", out: outcome{Outcome: sandbox.Outcome{Exit: 66}, events: []report.Event{start, seed, pass, done}},
			want: report.Fail, kind: report.Exit, what: "the test passed, but its process then ended with status 66"},
		{name: "passed, with a forged line", out: outcome{channel: errors.New("report: line 3 is not signed"), events: []report.Event{start, pass, done}},
			want: report.Fail, kind: report.Malformed, what: "report: line 3 is not signed"},
		{name: "passed without a beginning", out: outcome{events: []report.Event{pass, done}},
			want: report.Fail, kind: report.Exit, what: "the process ended by itself before the test harness was done"},
		{name: "another test passed", out: outcome{events: []report.Event{{Kind: report.Start, Test: "TestY1A"}, {Kind: report.End, Test: "TestY1A", Result: pass.Result}, done}},
			want: report.Fail, kind: report.Exit, what: "the process ended by itself, with status 0, before the test began"},
		{name: "passed, then stopped", out: outcome{Outcome: sandbox.Outcome{Exit: -1, Stopped: "not done after 1m0s of real time"}, events: []report.Event{start, pass, done}},
			want: report.Fail, kind: report.Limit, what: "the test was stopped: not done after 1m0s of real time"},
		{name: "stopped while a failure was looked into", out: outcome{Outcome: sandbox.Outcome{Exit: -1, Stopped: "not done after 1m0s of real time"}, events: []report.Event{start, seed, later, found}},
			want: report.Fail, kind: report.Rule, what: "two leaders", seed: 81},
		{name: "ended while a failure was looked into", out: outcome{Outcome: sandbox.Outcome{Exit: 1}, events: []report.Event{start, seed, found}},
			want: report.Fail, kind: report.Rule, what: "two leaders", seed: 81},
		{name: "a crash while a failure was looked into", out: outcome{Outcome: sandbox.Outcome{Exit: 2, Stderr: panicked}, events: []report.Event{start, seed, found}},
			want: report.Fail, kind: report.Panic, what: "Echo panics: oh no", seed: 81},
		{name: "a status that there is not", out: outcome{events: []report.Event{start, end(report.Result{Status: "great"}), done}},
			want: report.Fail, kind: report.Malformed, what: `the test harness reports the status "great"`},
		{name: "a failure without a word", out: outcome{Outcome: sandbox.Outcome{Exit: 1}, events: []report.Event{start, end(report.Result{Status: report.Fail}), done}},
			want: report.Fail, kind: report.Malformed, what: "the test failed without saying why"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.out.Real = time.Second
			lab := course.Lab{ID: "01-echo", Parts: []course.Part{{Files: []string{"echo.go"}}}}
			got := result.Test{Name: "TestX1A"}
			verdict{root: "/c", copy: "/s/course", lab: lab, test: "TestX1A", out: tc.out}.fill(&got)
			require.Equal(t, tc.want, got.Status)
			if tc.kind == "" {
				require.Empty(t, got.Failures)
				return
			}
			require.NotEmpty(t, got.Failures)
			f := got.Failures[0]
			require.Equal(t, tc.kind, f.Kind)
			require.Equal(t, tc.what, f.What)
			require.Equal(t, tc.seed, f.Seed)
			require.Equal(t, "TestX1A", f.Test)
			require.Contains(t, f.Replay, "go test -race -run 'TestX1A$' ./labs/01-echo")
		})
	}
}

func TestRecordedRunsThatAreGoneAreNotNamed(t *testing.T) {
	v := verdict{root: "/c", traces: "/tmp/s/own/traces",
		kept: map[string]string{"a.html": "/c/labs/01-echo/.labs/a.html", "b.html": "/elsewhere/b.html"}}
	require.Equal(t, "labs/01-echo/.labs/a.html", v.diagram("/tmp/s/own/traces/a.html"))
	require.Equal(t, "/elsewhere/b.html", v.diagram("/tmp/s/own/traces/b.html"))
	require.Equal(t, "", v.diagram("/tmp/s/own/traces/c.html"))
	require.Equal(t, "", v.diagram("/elsewhere/a.html"))
	require.Equal(t, "labs/01-echo/.labs/a.html", v.diagram("labs/01-echo/.labs/a.html"))
}
