//go:build unix

package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shell(script string) Command {
	return Command{Path: "/bin/sh", Args: []string{"-c", script}, Time: time.Minute}
}

func TestRunKeepsOutputAndStatus(t *testing.T) {
	out, err := Box{}.Run(t.Context(), shell("echo out; echo err >&2; exit 7"))
	require.NoError(t, err)
	require.Equal(t, 7, out.Exit)
	require.Equal(t, "err\n", string(out.Stderr))
	require.Contains(t, string(out.Output), "out\n")
	require.Empty(t, out.Stopped)
}

func TestRunStopsAFlood(t *testing.T) {
	out, err := Box{}.Run(t.Context(), shell("yes"))
	require.NoError(t, err)
	require.Equal(t, "printed more than 4 MiB", out.Stopped)
	require.Len(t, out.Output, maxOutput)
}

// A process that is stopped takes along what it started, and so does one that
// ends in peace.
func TestRunLeavesNothingRunning(t *testing.T) {
	for _, tc := range []struct{ name, after, stopped string }{
		{name: "stopped", after: "wait", stopped: "not done after 1s of real time"},
		{name: "ended by itself", after: "exit 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			c := shell("sleep 600 & echo $! > " + pidFile + "; " + tc.after)
			if tc.stopped != "" {
				c.Time = time.Second
			}
			out, err := Box{}.Run(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, tc.stopped, out.Stopped)
			text, err := os.ReadFile(pidFile)
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return !running(pid) }, 5*time.Second, 10*time.Millisecond)
		})
	}
}

// running reports whether the process lives; a zombie, which waits for an
// init process to collect it, does not.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestRunIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	_, err := Box{}.Run(ctx, shell("sleep 600"))
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(began), 30*time.Second)
}

// Memory is looked at before all processors together could have filled what is left of it.
func TestNextLook(t *testing.T) {
	require.Equal(t, watchEvery, nextLook(0))
	room := int64(runtime.NumCPU()) * fill
	require.Equal(t, time.Second, nextLook(room))
	require.Equal(t, 500*time.Millisecond, nextLook(room/2))
}
