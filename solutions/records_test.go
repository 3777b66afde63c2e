package solutions

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// called, delivered and logs are what the page of a run needs of the lab's tests: the clients' operations as bars, the
// deliveries to the application, and the strips of the servers' logs.
var (
	called    = []labrpc.EventKind{trace.KindCalled, trace.KindReturned}
	delivered = []labrpc.EventKind{trace.KindTold}
	logs      = []labrpc.EventKind{trace.KindTold, trace.KindSeen}
)

var records = map[string]map[string][]labrpc.EventKind{
	"01": {"TestExactlyOnce1B": delivered, "TestApplied1E": delivered},
	"03": {"TestCausalAnswerAfterQuestion3D": delivered},
	"05": {"TestAgreesInOrder5A": logs, "TestCommands5D": called, "TestLinearizable5D": called},
	"06": {
		"TestPutAndGet6A": called, "TestReadsItsWrites6B": called, "TestConverges6C": called,
		"TestAcknowledgedIsSeen6D": called, "TestCPRefuses6E": called,
	},
}

// The record of a run has what the clients called and were told, what was delivered, and what the servers' logs were.
func TestRecordsShowWhatTheTestSaw(t *testing.T) {
	for lab, tests := range records {
		t.Run(lab, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			selected, err := labs.Select(lab)
			require.NoError(t, err)
			run := grade.Run{Seed: "1", Record: true, Traces: func(course.Lab) string { return dir }}
			keepTests(&selected[0], tests)
			graded, err := grader.Grade(t.Context(), submission.Source{Kind: course.Solution}, selected, run)
			require.NoError(t, err)
			require.True(t, graded.Passed(), "%+v", graded.Labs[0].Parts)
			for name, kinds := range tests {
				f, err := os.Open(filepath.Join(dir, name+"-1.jsonl"))
				require.NoError(t, err)
				record, err := trace.Read(f)
				f.Close()
				require.NoError(t, err)
				for _, kind := range kinds {
					at := slices.IndexFunc(record.Steps, func(s trace.Step) bool { return s.Kind == kind && s.Value != "" })
					require.GreaterOrEqual(t, at, 0, "%s records nothing of the kind %q", name, kind)
				}
			}
		})
	}
}

// keepTests leaves nothing but the given tests selected.
func keepTests(s *course.Selected, tests map[string][]labrpc.EventKind) {
	s.Parts = slices.Clone(s.Parts)
	for i := range s.Parts {
		s.Parts[i].Tests = slices.DeleteFunc(slices.Clone(s.Parts[i].Tests), func(t course.Test) bool { return tests[t.Name] == nil })
	}
	s.Parts = slices.DeleteFunc(s.Parts, func(p course.Part) bool { return len(p.Tests) == 0 })
}
