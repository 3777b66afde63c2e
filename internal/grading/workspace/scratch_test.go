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

// A folder for temporary files that is a link, as on macOS, or has a relative path: the scratch folder has the path by which the go
// command finds itself in it.
func TestScratchHasNoLinkInItsPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("real", 0o777))
	require.NoError(t, os.Symlink("real", "link"))
	for _, tmp := range []string{"link", filepath.Join(dir, "link")} {
		t.Setenv("TMPDIR", tmp)
		s, err := NewScratch()
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, "real"), filepath.Dir(s.dir))
		require.NoError(t, s.Remove())
	}
}
