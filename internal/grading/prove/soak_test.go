package prove

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// A test's chunks add up; one that fails fails all, and the worst of a measure counts.
func TestJoinChunks(t *testing.T) {
	low := func(v float64) report.Measure { return report.Measure{Name: "throughput", Value: v, Bound: "≥ 5/s"} }
	high := func(v float64) report.Measure { return report.Measure{Name: "delay", Value: v, Bound: "≤ 5ms"} }
	whole := result.Test{Name: "TestX1A", Max: 3}
	join(&whole, []*result.Test{
		{Status: report.Pass, Seeds: 200, Virtual: 1, Real: 2, Measures: []report.Measure{low(7), high(3)}, Uncovered: []string{"a crash", "a loss"}},
		{Status: report.Fail, Seeds: 200, Virtual: 1, Real: 2, Failed: []uint64{281}, Failures: []report.Failure{{What: "late"}}, Measures: []report.Measure{low(6), high(4)}, Uncovered: []string{"a loss", "a copy"}},
		{Status: report.Pass, Seeds: 100, Virtual: 1, Real: 2, Diverged: []uint64{410}, Measures: []report.Measure{low(8), high(2)}, Uncovered: []string{"a loss"}},
	})
	want := result.Test{
		Name: "TestX1A", Max: 3, Status: report.Fail, Seeds: 500, Virtual: 3, Real: 6, Failed: []uint64{281}, Diverged: []uint64{410},
		Failures: []report.Failure{{What: "late"}}, Measures: []report.Measure{low(6), high(4)}, Uncovered: []string{"a loss"},
	}
	if diff := cmp.Diff(want, whole); diff != "" {
		t.Error(diff)
	}
}
