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
