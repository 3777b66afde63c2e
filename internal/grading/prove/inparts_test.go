package prove

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// The parts of a search run just its schedules, in order; the strategies that try all stay whole.
func TestParts(t *testing.T) {
	s := Search{Strategy: "pct", Schedules: 2*partSize + 1}
	s.Seed = "10"
	var envs []string
	for _, part := range s.parts() {
		envs = append(envs, part.env())
	}
	require.Equal(t, []string{"LABS_EXPLORE=pct:500:10", "LABS_EXPLORE=pct:500:510", "LABS_EXPLORE=pct:1:1010"}, envs)
	s.Schedules = partSize
	require.Equal(t, []Search{s}, s.parts())
	for _, s.Strategy = range []string{"depth-first", "by-state"} {
		s.Schedules = 10 * partSize
		require.Equal(t, []Search{s}, s.parts())
	}
}

// A state that two processes have seen is one state; of the lengths the longest counts.
func TestAddUp(t *testing.T) {
	part := func(schedules, steps, longest float64, states ...uint64) result.Test {
		r := result.Test{Status: report.Pass, Seeds: int(schedules), Measures: []report.Measure{
			{Name: report.Schedules, Value: schedules}, {Name: report.Steps, Value: steps}, {Name: report.LongestSchedule, Value: longest, Unit: "steps"},
			{Name: report.DistinctStates, Value: float64(len(states))}, {Name: report.SchedulesPerSecond, Value: 1},
		}}
		r.States = states
		return r
	}
	whole := part(500, 9000, 30, 1, 2, 3)
	failed := part(7, 150, 29, 4)
	failed.Status, failed.Failures = report.Fail, []report.Failure{{What: "it broke"}}
	addUp(&whole, []result.Test{part(500, 8000, 40, 2, 3, 4), failed}, 2)
	require.Equal(t, 1007, whole.Seeds)
	require.Equal(t, report.Fail, whole.Status)
	require.Equal(t, failed.Failures, whole.Failures)
	require.Equal(t, []float64{1007, 17150, 40, 4, 503.5}, []float64{
		whole.Measure(report.Schedules), whole.Measure(report.Steps), whole.Measure(report.LongestSchedule),
		whole.Measure(report.DistinctStates), whole.Measure(report.SchedulesPerSecond),
	})
}
