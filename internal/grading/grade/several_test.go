package grade

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/sandbox"
	"distlabs/internal/harness/report"
)

// The test at fault is the one that says so, or that was running when the process ended, or else the last.
func TestFollow(t *testing.T) {
	start := func(test string) report.Event { return report.Event{Kind: report.Start, Test: test} }
	end := func(test string, status report.Status) report.Event {
		return report.Event{Kind: report.End, Test: test, Result: &report.Result{Status: status}}
	}
	done := report.Event{Kind: report.Done}
	for _, tc := range []struct {
		name    string
		events  []report.Event
		exit    int
		stopped string
		culprit string
		passed  []string
	}{
		{"all pass", []report.Event{start("A"), end("A", report.Pass), start("B"), end("B", report.Pass), done}, 0, "", "", []string{"A", "B"}},
		{"the second fails", []report.Event{start("A"), end("A", report.Pass), start("B"), end("B", report.Fail), done}, 1, "", "B", []string{"A"}},
		{"the second crashes", []report.Event{start("A"), end("A", report.Pass), start("B")}, 2, "", "B", []string{"A"}},
		{"nothing is reported", nil, 2, "", "A", nil},
		{"it does not end", []report.Event{start("A"), end("A", report.Pass)}, -1, "not done after 30s", "A", []string{"A"}},
		{"it ends without a word", []report.Event{start("A"), end("A", report.Pass)}, 0, "", "A", []string{"A"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var several Several
			out := outcome{Outcome: sandbox.Outcome{Exit: tc.exit, Stopped: tc.stopped}, events: tc.events}
			require.Equal(t, tc.culprit, several.follow(out, []string{"A", "B"}))
			require.Equal(t, tc.passed, several.Passed)
		})
	}
}
