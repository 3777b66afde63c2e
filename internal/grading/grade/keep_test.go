package grade

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Of what a stranger's process left among the recorded runs, only regular files are kept.
func TestRecordedRunsAreKept(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "labs", ".labs")
	require.NoError(t, os.WriteFile(filepath.Join(from, "a.html"), []byte("<html>"), 0o666))
	require.NoError(t, os.Mkdir(filepath.Join(from, "folder"), 0o777))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(from, "link.html")))
	kept, err := keep(from, to)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a.html": filepath.Join(to, "a.html")}, kept)
	got, err := os.ReadFile(filepath.Join(to, "a.html"))
	require.NoError(t, err)
	require.Equal(t, "<html>", string(got))
	entries, err := os.ReadDir(to)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	_, err = keep(t.TempDir(), filepath.Join(to, "none"))
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(to, "none"))
}
