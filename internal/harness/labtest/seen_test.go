package labtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// What a test says that it saw is in the record, in its place, and nowhere while nobody records.
func TestSeenIsRecorded(t *testing.T) {
	body := func(s *Sim) {
		s.StartAll(func(n *labrpc.Node) {})
		s.Called(1, "a", "get k")
		s.Run(10 * time.Millisecond)
		s.Delivered(2, 7)
		s.SeenLog(2, Log{First: 1, Terms: make([]int, 30), Committed: 3})
		s.Returned(1, "a", "v")
	}
	r := newRunner(t, Config{Nodes: 2, Seeds: 1}, body)
	out, run := r.record(1)
	require.Nil(t, out.failure)
	var got []string
	for i := range run.Steps {
		if s := &run.Steps[i]; s.ByTest() {
			got = append(got, string(s.Kind)+" "+s.Node.String()+" "+s.Name+" "+s.Value)
		}
	}
	require.Equal(t, []string{"called n1 a get k", "told n2  7",
		`seen n2 log {"snapshot":0,"snapshotTerm":0,"first":7,"terms":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"committed":3,"applied":0}`,
		"returned n1 a v"}, got)
	_, again := r.record(1)
	_, differ := trace.Diff(run, again)
	require.False(t, differ)
	require.Nil(t, r.recorder)
	require.Nil(t, r.runSeed(1, nil).failure)
}
