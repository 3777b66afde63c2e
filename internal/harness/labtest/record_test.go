package labtest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// exchangeMessages is a body of some thousand messages, which passes.
func exchangeMessages(s *Sim) {
	s.StartAll(func(node *labrpc.Node) {
		labrpc.Receive(node, "beat", func(labrpc.NodeID, int) {})
		go func() {
			for k := 0; ; k++ {
				select {
				case <-node.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
				for _, peer := range node.Peers() {
					_ = labrpc.Send(node, peer, "beat", k)
				}
			}
		}()
	})
	s.Run(30 * time.Second)
}

// With LABS_RECORD the record and the page of a passing seed are kept; the record is that of the seed.
func TestRecordOfAPassingSeed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LABS_TRACE_DIR", dir)
	t.Setenv("LABS_SEED", "3")
	cfg := Config{Nodes: 3, Link: labrpc.FairLoss(0.2)}
	require.Equal(t, report.Pass, runnerOf(t, cfg, exchangeMessages).Status)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "without LABS_RECORD nothing is kept")

	t.Setenv("LABS_RECORD", "1")
	require.Equal(t, report.Pass, runnerOf(t, cfg, exchangeMessages).Status)
	require.FileExists(t, filepath.Join(dir, t.Name()+"-3.html"))
	file, err := os.Open(filepath.Join(dir, t.Name()+"-3.jsonl"))
	require.NoError(t, err)
	defer file.Close()
	kept, err := trace.Read(file)
	require.NoError(t, err)
	_, again := newRunner(t, cfg, exchangeMessages).record(3)
	_, differ := trace.Diff(kept, again)
	require.False(t, differ)
	require.Nil(t, kept.Header.Violation)
	require.Greater(t, len(kept.Steps), 1000)
}

// A run that passes pays nothing for the records of those that fail: it allocates what a run does that no harness
// watches. What a record costs is logged.
func TestPassingRunsPayForNoRecord(t *testing.T) {
	t.Setenv("LABS_SEED", "3")
	cfg := Config{Nodes: 3}
	allocated := func(run func()) uint64 {
		var before, after runtime.MemStats
		run() // once to warm up
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	seconds := func(run func()) time.Duration {
		began := time.Now()
		for range 5 {
			run()
		}
		return time.Since(began) / 5
	}
	plain := func() { newRunner(t, cfg, exchangeMessages).runWith(3, nil, nil) }
	passing := func() { require.Equal(t, report.Pass, runnerOf(t, cfg, exchangeMessages).Status) }
	recorded := func() { newRunner(t, cfg, exchangeMessages).record(3) }
	bare, harness, record := allocated(plain), allocated(passing), allocated(recorded)
	t.Logf("allocations: %d bare, %d as a passing run, %d with a record", bare, harness, record)
	t.Logf("time: %v bare, %v as a passing run, %v with a record", seconds(plain), seconds(passing), seconds(recorded))
	require.InEpsilon(t, bare, harness, 0.05)
	require.Greater(t, record, harness+harness/4, "the measure sees a record")
}
