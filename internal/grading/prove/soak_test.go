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

// A seed diverges if it did in the build without the race detector, or if the two builds differ; what one build found counts.
func TestCompareBuilds(t *testing.T) {
	race := result.Test{Status: report.Pass, Seeds: 4, Real: 2, Failed: []uint64{3}, Digests: map[uint64]string{1: "a", 2: "b", 3: "c", 4: "d"}}
	plain := result.Test{
		Status: report.Fail, Seeds: 3, Real: 1, Failed: []uint64{1, 3}, Diverged: []uint64{3}, Failures: []report.Failure{{What: "late"}},
		Digests: map[uint64]string{1: "a", 2: "B", 3: "c"},
	}
	want := race
	want.Status, want.Seeds, want.Real, want.Failures = report.Fail, 3, 3, plain.Failures
	want.Failed, want.Diverged = []uint64{1, 3}, []uint64{2, 3}
	add(&race, &plain)
	compare(&race, &plain)
	if diff := cmp.Diff(want, race); diff != "" {
		t.Error(diff)
	}

	silent := result.Test{Status: report.Pass, Seeds: 4}
	compare(&silent, &result.Test{Status: report.Pass, Seeds: 4})
	if silent.Status == report.Pass {
		t.Error("nothing was compared")
	}
}

// Whatever went wrong in a test, it has not shown that its seeds pass.
func TestClean(t *testing.T) {
	clean := result.Test{Status: report.Pass, Seeds: 9}
	if s := (Soak{Test: clean}); !s.Clean(9) || s.Clean(10) {
		t.Error("it passed 9 seeds")
	}
	for why, spoil := range map[string]func(*result.Test){
		"was skipped":       func(t *result.Test) { t.Status = report.Skip },
		"failed":            func(t *result.Test) { t.Failed = []uint64{3} },
		"did not replay":    func(t *result.Test) { t.Diverged = []uint64{3} },
		"had one data race": func(t *result.Test) { t.Failures = []report.Failure{{Kind: report.Race}} },
	} {
		spoilt := clean
		spoil(&spoilt)
		if (Soak{Test: spoilt}).Clean(9) {
			t.Errorf("it %s", why)
		}
	}
}
