package workspace

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A killed grader's scratch folder goes when the next grader comes; that of one that lives stays.
func TestScratchOfAKilledGrader(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	killed, err := NewScratch()
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(killed.dir, "work-1", "course"), 0o777))
	lives, err := NewScratch()
	require.NoError(t, err)
	require.DirExists(t, killed.dir, "it lives")

	require.NoError(t, killed.lock.Close()) // as the kernel does when the process ends
	another, err := NewScratch()
	require.NoError(t, err)
	require.NoDirExists(t, killed.dir)
	require.DirExists(t, lives.dir)
	require.NoError(t, lives.Remove())
	require.NoError(t, another.Remove())
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}
