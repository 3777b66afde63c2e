//go:build unix

package grade

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
	"golang.org/x/sync/semaphore"
)

func shell(script string) command {
	return command{path: "/bin/sh", args: []string{"-c", script}, limit: time.Minute}
}

func TestProcessKeepsOutputAndStatus(t *testing.T) {
	out, err := new(Grader).process(t.Context(), shell("echo out; echo err >&2; exit 7"))
	require.NoError(t, err)
	require.Equal(t, 7, out.exit)
	require.Equal(t, "err\n", string(out.stderr))
	require.Contains(t, string(out.output), "out\n")
	require.Empty(t, out.stopped)
}

func TestProcessStopsAFlood(t *testing.T) {
	out, err := new(Grader).process(t.Context(), shell("yes"))
	require.NoError(t, err)
	require.Equal(t, "printed more than 4 MiB", out.stopped)
	require.Len(t, out.output, maxOutput)
}

// A process that is stopped takes along what it started, and so does one that
// ends in peace.
func TestProcessLeavesNothingRunning(t *testing.T) {
	for _, tc := range []struct{ name, after, stopped string }{
		{name: "stopped", after: "wait", stopped: "not done after 300ms of real time"},
		{name: "ended by itself", after: "exit 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pidFile := filepath.Join(t.TempDir(), "pid")
			c := shell("sleep 600 & echo $! > " + pidFile + "; " + tc.after)
			if tc.stopped != "" {
				c.limit = 300 * time.Millisecond
			}
			out, err := new(Grader).process(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, tc.stopped, out.stopped)
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

func TestProcessIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	_, err := new(Grader).process(ctx, shell("sleep 600"))
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(began), 30*time.Second)
}

// A build that something else kills, as a machine short of memory does, is no fault of the submission's.
func TestKilledBuildIsNoVerdict(t *testing.T) {
	for _, script := range []string{"kill -9 $$", "echo 'distlabs/internal/harness/labtest: compile: signal: killed'; exit 1"} {
		g := fixture(t)
		g.slots, g.building = semaphore.NewWeighted(1), limits{cpu: time.Minute}
		g.tools.Root = t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(g.tools.Root, "bin"), 0o755))
		require.NoError(t, os.WriteFile(g.tools.command(), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		selected, err := g.course.Select("01")
		require.NoError(t, err)
		_, err = g.Grade(t.Context(), Source{Kind: Solution}, selected, Run{})
		require.ErrorIs(t, err, ErrKilled, script)
	}
}

// Memory is looked at before all processors together could have filled what is left of it.
func TestNextLook(t *testing.T) {
	require.Equal(t, watchEvery, nextLook(0))
	room := int64(runtime.NumCPU()) * fill
	require.Equal(t, time.Second, nextLook(room))
	require.Equal(t, 500*time.Millisecond, nextLook(room/2))
}
