package claim

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// processes are ledgers that share a folder, as those of several processes do.
func processes(t *testing.T, n int) []*ledger {
	dir := t.TempDir()
	all := make([]*ledger, n)
	for i := range all {
		all[i] = &ledger{dir: dir}
	}
	return all
}

func TestATestIsTakenOnce(t *testing.T) {
	var all sync.WaitGroup
	var taken atomic.Int64
	const tests = 50
	for _, l := range processes(t, 8) {
		all.Go(func() {
			for i := range tests {
				if l.take(fmt.Sprintf("Test%d1A", i)) {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, tests, taken.Load())
}

func TestAloneAProcessRunsEachTestEachTime(t *testing.T) {
	l := &ledger{}
	require.True(t, l.take("TestA1A"))
	require.True(t, l.take("TestA1A"))
}

func TestTheFirstIsKnownToAll(t *testing.T) {
	for name, pair := range map[string][]*ledger{"alone": {{}, nil}, "several": processes(t, 2)} {
		a, b := pair[0], pair[1]
		if b == nil {
			b = a
		}
		_, known := b.claimed("race x\n/:")
		require.False(t, known, name)
		who, first := a.claim("race x\n/:", "TestA1A")
		require.True(t, first, name)
		require.Equal(t, "TestA1A", who, name)
		for _, l := range pair {
			if l == nil {
				continue
			}
			who, first = l.claim("race x\n/:", "TestB1A")
			require.False(t, first, name)
			require.Equal(t, "TestA1A", who, name)
			who, known = l.claimed("race x\n/:")
			require.True(t, known, name)
			require.Equal(t, "TestA1A", who, name)
		}
	}
}

// A test that runs twice is better than one that does not run.
func TestAFolderThatIsGone(t *testing.T) {
	l := &ledger{dir: t.TempDir() + "/none"}
	require.True(t, l.take("TestA1A"))
	_, first := l.claim("race", "TestA1A")
	require.True(t, first)
	_, first = l.claim("race", "TestB1A")
	require.False(t, first)
}
