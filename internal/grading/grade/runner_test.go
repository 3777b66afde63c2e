package grade

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Nothing of the user's environment reaches a test, but what is named here.
func TestTestEnvironmentIsClean(t *testing.T) {
	for _, name := range []string{"GOFLAGS", "GOENV", "GOWORK", "GORACE", "LABS_SEED", "LABS_SEEDS", "LABS_SOAK", "SECRET_TOKEN"} {
		t.Setenv(name, "from the user")
	}
	env := testEnv("/s", Run{})
	for _, v := range env {
		require.NotContains(t, v, "from the user")
	}
	require.Contains(t, env, "HOME=/s/home")
	require.Contains(t, env, "TMPDIR=/s/tmp")
	names := func(v string) bool { return strings.HasPrefix(v, "LABS_SEED") || strings.HasPrefix(v, "LABS_SOAK") }
	require.False(t, slices.ContainsFunc(testEnv("", Run{}), names))
	soak := testEnv("", Run{Seeds: 7, Soak: true, Procs: 2})
	for _, want := range []string{"LABS_SEEDS=7", "LABS_SOAK=1", "GOMAXPROCS=2", "GORACE=halt_on_error=1 atexit_sleep_ms=0"} {
		require.Contains(t, soak, want)
	}
	require.Contains(t, testEnv("", Run{Seed: "81"}), "LABS_SEED=81")
}

// Whatever the clock, at the first try and at the second, it strikes before the processor time is used up: only then does the
// failure name the line of a loop that never ends.
func TestClockStrikesFirst(t *testing.T) {
	for _, procs := range []int{0, 1, 4} {
		for _, timeout := range []time.Duration{minTime, 4 * time.Second, DefaultTimeout, retryFactor * DefaultTimeout} {
			limits := new(Grader).testLimits(Run{Procs: procs}, timeout)
			require.Greater(t, limits.CPU, lifeOf(timeout)*time.Duration(max(procs, 1)), "%d processors, %v", procs, timeout)
		}
	}
}
