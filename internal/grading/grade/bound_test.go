package grade

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// What a process says is cut to a bounded size, and shows what it says.
func TestBound(t *testing.T) {
	honest := result.Test{Failures: []report.Failure{{What: "n1 led in term 3\nand n2 too", Seen: []string{"n2 voted for n1 at 1.2s"}, Trace: "1ms\tn1→n2 vote"}}}
	want := honest
	want.Failures = slices.Clone(honest.Failures)
	bound(&honest)
	require.Equal(t, want, honest)

	long := strings.Repeat("A", 3<<20)
	list := make([]string, 5000)
	for i := range list {
		list[i] = long[:5000]
	}
	hostile := result.Test{Skipped: long, Failed: make([]uint64, 1<<20), Measures: make([]report.Measure, 5000)}
	for range 3000 {
		hostile.Failures = append(hostile.Failures, report.Failure{What: long, Seen: list, Notes: list, Trace: long, Where: "\x1b[31m\u202egnp.og:1"})
	}
	bound(&hostile)
	size := 0
	for _, f := range hostile.Failures {
		require.Equal(t, "?[31m?gnp.og:1", f.Where)
		size += len(f.What) + len(f.Trace) + len(strings.Join(f.Seen, "")) + len(strings.Join(f.Notes, ""))
	}
	require.Less(t, size, 2*maxTest)
	require.Equal(t, "and 4900 more", hostile.Failures[0].Notes[maxList])
	require.Len(t, hostile.Failed, maxSeeds)
	require.Len(t, hostile.Measures, maxList)
}
