package grade

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStarved(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name      string
		real, cpu time.Duration
		run       Run
		want      bool
	}{
		{name: "done in time", real: 2 * s, cpu: s},
		{name: "a busy machine", real: 60 * s, cpu: 20 * s, want: true},
		{name: "a loop without end", real: 63 * s, cpu: 60 * s},
		{name: "little time to begin with", real: 2 * s, cpu: 100 * time.Millisecond, run: Run{Timeout: 2 * s}, want: true},
		{name: "a soak takes what it takes", real: 2 * s, cpu: 0, run: Run{Timeout: 2 * s, Soak: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, starved(outcome{real: tc.real, cpu: tc.cpu}, tc.run))
		})
	}
}
