package rotation

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Over as many days as there are parts, each item is done once; GATE_DAY=all does all of them on one day.
func TestToday(t *testing.T) {
	const items, parts = 103, 4
	done := make([]int, items)
	for day := 20_000; day < 20_000+parts; day++ {
		t.Setenv(DayEnv, strconv.Itoa(day))
		for i := range items {
			if Today(i, parts) {
				done[i]++
			}
		}
	}
	for i, n := range done {
		require.Equal(t, 1, n, "item %d", i)
	}
	t.Setenv(DayEnv, "all")
	for i := range items {
		require.True(t, Today(i, parts))
	}
	t.Setenv(DayEnv, "")
	day, all := Day()
	require.Greater(t, day, 20_000)
	require.False(t, all)
}

// A group has at least one of its items on every second day, and eight days have all of them.
func TestOfGroup(t *testing.T) {
	for size := 1; size < 10; size++ {
		group, done := size%3, make([]bool, size)
		for day := 20_000; day < 20_000+2*Days; day++ {
			t.Setenv(DayEnv, strconv.Itoa(day))
			today := 0
			for i := range size {
				if OfGroup(group, i, size) {
					done[i] = true
					today++
				}
			}
			if day%2 != group%2 {
				require.Zero(t, today)
				continue
			}
			require.Positive(t, today)
			require.LessOrEqual(t, today, (size+Days-1)/Days)
		}
		require.NotContains(t, done, false)
	}
}

// A test has its turn every few days, and whenever its folder has changed.
func TestTurn(t *testing.T) {
	for _, tc := range []struct {
		day, changed string
		skipped      bool
	}{
		{"20000", "", false},
		{"20001", "", true},
		{"all", "", false},
		{"20001", "cmd/grade internal/harness/view/assets", false},
		{"20001", "cmd/grade/run.go cmd/grade/soak.go", false},
		{"20001", "internal/harness/views internal/harness cmd/grade/soak.go.txt", true},
	} {
		t.Setenv(DayEnv, tc.day)
		t.Setenv("GATE_CHANGED", tc.changed)
		s := &skips{}
		Turn(s, 0, 2, "internal/harness/view", "cmd/grade/soak.go")
		require.Equal(t, tc.skipped, s.skipped, "%v", tc)
	}
}

type skips struct{ skipped bool }

func (s *skips) Helper() {}

func (s *skips) Skipf(string, ...any) { s.skipped = true }
