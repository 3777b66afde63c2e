package sandbox

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemandedIsolation(t *testing.T) {
	have := Isolation{Level: IsolationGate, Missing: []string{"namespaces: not permitted"}}
	require.NoError(t, have.Demand(0))
	require.NoError(t, have.Demand(1))
	err := have.Demand(2)
	require.ErrorIs(t, err, ErrIsolation)
	require.EqualError(t, err, "sandbox: isolation is weaker than demanded: level 2 is demanded, this machine offers 1 (namespaces: not permitted)")
	require.Equal(t, "level 1: gate and results channel; not level 2: namespaces: not permitted", have.String())

}

// A container is level 3 if its maker says so and the layer within it stands.
func TestLevelInAContainer(t *testing.T) {
	scratch, err := os.MkdirTemp("", "") // other users must be able to pass: not below t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(scratch) })
	t.Setenv(containerEnv, "")
	outside, err := Find(t.Context(), scratch)
	require.NoError(t, err)
	t.Setenv(containerEnv, "1")
	inside, err := Find(t.Context(), scratch)
	require.NoError(t, err)
	want := map[int]int{IsolationGate: IsolationGate, IsolationOS: IsolationContainer}
	require.Equal(t, want[outside.Level], inside.Level)
	t.Setenv(isolationEnv, "2")
	inside, err = Find(t.Context(), scratch)
	require.NoError(t, err)
	require.Equal(t, outside.Level, inside.Level)
	t.Setenv(isolationEnv, "1")
	inside, err = Find(t.Context(), scratch)
	require.NoError(t, err)
	require.Equal(t, IsolationGate, inside.Level)
	if runtime.GOOS == "linux" {
		require.Equal(t, []string{isolationEnv + " asks for no more"}, inside.Missing)
		require.Equal(t, Box{Isolation: inside.Isolation, launcher: true, landlock: outside.landlock, user: os.Geteuid() == 0}, inside)
	}
}
