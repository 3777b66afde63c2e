package result

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
)

// A vacuous test has noticed nothing. With a stub, a search of schedules can say no more, and so finds it wrong.
func TestFindsWrong(t *testing.T) {
	fail := func(kind report.Kind, measures ...report.Measure) Test {
		return Test{Status: report.Fail, Failures: []report.Failure{{Kind: kind}}, Measures: measures}
	}
	search := report.Measure{Name: report.Schedules, Value: 300}
	for _, tc := range []struct {
		name         string
		test         Test
		kills, finds bool
	}{
		{"passed", Test{Status: report.Pass, Measures: []report.Measure{search}}, false, false},
		{"a rule", fail(report.Rule), true, true},
		{"vacuous", fail(report.Vacuous), false, false},
		{"a vacuous search", fail(report.Vacuous, search), false, true},
		{"a search that fails in the harness", fail(report.Malformed, search), false, false},
		{"failed without a failure", Test{Status: report.Fail, Measures: []report.Measure{search}}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.kills, tc.test.Kills())
			require.Equal(t, tc.finds, tc.test.FindsWrong())
		})
	}
}

func TestWorth(t *testing.T) {
	require.Equal(t, "1 point", Test{Max: 1}.Worth())
	require.Equal(t, "3 points", Test{Max: 3}.Worth())
}
