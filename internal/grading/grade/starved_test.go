package grade

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/sandbox"
	"distlabs/internal/harness/report"
)

func TestStarved(t *testing.T) {
	const s = time.Second
	began := []report.Event{{Kind: report.Start}}
	for _, tc := range []struct {
		name      string
		real, cpu time.Duration
		queued    time.Duration
		run       Run
		unbegun   bool
		want      bool
	}{
		{name: "done in time", real: 2 * s, cpu: s},
		{name: "a busy machine", real: 60 * s, cpu: 20 * s, queued: 39 * s, want: true},
		{name: "a program that waits for itself", real: 60 * s, cpu: s, queued: 2 * s},
		{name: "a loop without end", real: 63 * s, cpu: 60 * s},
		{name: "little time to begin with", real: 2 * s, cpu: 100 * time.Millisecond, queued: 1900 * time.Millisecond, run: Run{Timeout: 2 * s}, want: true},
		{name: "a busy machine, before it began", real: 10 * s, cpu: 2 * s, queued: 8 * s, unbegun: true, want: true},
		{name: "a loop without end, before it began", real: 10 * s, cpu: 9 * s, unbegun: true},
		{name: "stopped for another reason, once begun", real: 10 * s, cpu: 2 * s},
		{name: "a soak takes what it takes", real: 2 * s, cpu: 0, run: Run{Timeout: 2 * s, Soak: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := outcome{Outcome: sandbox.Outcome{Real: tc.real, CPU: tc.cpu, Queued: tc.queued}, events: began}
			if tc.unbegun {
				out.events = nil
			}
			require.Equal(t, tc.want, starved(out, tc.run))
		})
	}
}

// Time in which the machine was busy with something else is not the submission's, except a quarter: else a machine that is
// busy forever would never end its grading.
func TestCharged(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name                    string
		real, cpu, queued, want time.Duration
	}{
		{name: "a quiet machine", real: 10 * s, cpu: 9 * s, want: 10 * s},
		{name: "a test that sleeps", real: 60 * s, cpu: s, queued: s, want: 59 * s},
		{name: "a busy machine", real: 60 * s, cpu: 20 * s, queued: 39 * s, want: 21 * s},
		{name: "a machine that does nothing for it", real: 60 * s, queued: 60 * s, want: 15 * s},
		{name: "several threads wait at once", real: 60 * s, queued: 600 * s, want: 15 * s},
		{name: "several threads run at once", real: 60 * s, cpu: 600 * s, want: 60 * s},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, charged(sandbox.Outcome{Real: tc.real, CPU: tc.cpu, Queued: tc.queued}))
		})
	}
}

// Every test that starves is repeated, as long as the submission has time left.
func TestAllowanceBoundsStalling(t *testing.T) {
	a := newAllowance(Run{Timeout: 10 * time.Second}, 2)
	require.Equal(t, 10*time.Second, a.left(10*time.Second))
	for range 9 {
		a.spend(sandbox.Outcome{Real: 10 * time.Second})
	}
	require.Equal(t, 10*time.Second, a.left(40*time.Second), "ten limits for two labs")
	a.spend(sandbox.Outcome{Real: 40 * time.Second, Queued: 40 * time.Second})
	require.Less(t, a.left(minTime), minTime)
	var none *allowance
	none.spend(sandbox.Outcome{Real: time.Hour})
	require.Equal(t, time.Hour, none.left(time.Hour))
}
