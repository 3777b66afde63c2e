package grade

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

func TestDemandedIsolation(t *testing.T) {
	have := Isolation{Level: IsolationGate, Missing: []string{"namespaces: not permitted"}}
	require.NoError(t, have.demand(0))
	require.NoError(t, have.demand(1))
	err := have.demand(2)
	require.ErrorIs(t, err, ErrIsolation)
	require.EqualError(t, err, "grade: isolation is weaker than demanded: level 2 is demanded, this machine offers 1 (namespaces: not permitted)")
	require.Equal(t, "level 1: gate and results channel; not level 2: namespaces: not permitted", have.String())

	root, err := filepath.Abs("testdata/course")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	t.Setenv("TMPDIR", t.TempDir())
	_, err = New(t.Context(), c, Options{RequireIsolation: IsolationContainer + 1})
	require.ErrorIs(t, err, ErrIsolation)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

// A container is level 3 if its maker says so and the layer within it stands.
func TestLevelInAContainer(t *testing.T) {
	t.Setenv(containerEnv, "")
	outside, err := findSandbox(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Setenv(containerEnv, "1")
	inside, err := findSandbox(t.Context(), t.TempDir())
	require.NoError(t, err)
	want := map[int]int{IsolationGate: IsolationGate, IsolationOS: IsolationContainer}
	require.Equal(t, want[outside.Level], inside.Level)
	t.Setenv(isolationEnv, "2")
	inside, err = findSandbox(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, outside.Level, inside.Level)
	t.Setenv(isolationEnv, "1")
	inside, err = findSandbox(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, sandbox{Isolation: Isolation{Level: IsolationGate, Missing: []string{isolationEnv + " asks for no more"}}}, inside)
}

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
