package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What a sandbox adds to the cost of a process: compare the rows.
func BenchmarkSandbox(b *testing.B) {
	best, err := Find(b.Context(), b.TempDir())
	require.NoError(b, err)
	for name, box := range map[string]Box{"none": {}, "limits": {launcher: true}, "Landlock": {launcher: true, landlock: best.landlock}, "all": best} {
		b.Run(name, func(b *testing.B) {
			own, view := b.TempDir(), filepath.Join(b.TempDir(), "view")
			require.NoError(b, os.Mkdir(view, 0o755))
			c := Command{Path: "/bin/true", Dir: "/", Time: time.Minute, Limits: ProgramLimits(2<<30, time.Minute),
				Confine: &Confinement{Scratch: view, Own: own, Program: "/bin/true", Read: []string{"/bin/true"}}}
			began := processorTime()
			for b.Loop() {
				out, err := box.Run(b.Context(), c)
				require.NoError(b, err)
				require.Zero(b, out.Exit, "%s", out.Output)
			}
			b.ReportMetric(float64((processorTime()-began).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime is what this process and all that it started have used.
func processorTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		if unix.Getrusage(who, &used) == nil {
			sum += time.Duration(used.Utime.Nano() + used.Stime.Nano())
		}
	}
	return sum
}

// confinedShell is a shell command in the best sandbox that this machine has, and that sandbox.
func confinedShell(t *testing.T, script string) (Box, Command) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	own, view := t.TempDir(), filepath.Join(t.TempDir(), "view")
	require.NoError(t, os.Mkdir(view, 0o755))
	box, err := Find(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.True(t, box.launcher, "%v", box)
	return box, Command{Path: shell, Args: []string{"-c", script}, Dir: own, Time: time.Minute, Limits: ProgramLimits(2<<30, time.Minute),
		Confine: &Confinement{Scratch: view, Own: own, Program: shell, Read: []string{shell}}}
}

// Each limit ends what goes beyond it, and is named.
func TestLimitsAreKept(t *testing.T) {
	for _, tc := range []struct {
		name, script, stopped, says string
		set                         func(*Limits)
	}{
		{name: "processor time", script: "while :; do :; done", set: func(l *Limits) { l.CPU = time.Second }, stopped: "used more than 1s of processor time"},
		{name: "memory", script: "x=x; while :; do x=$x$x; done", set: func(l *Limits) { l.Memory = 64 << 20 }, stopped: "used more than 64 MiB of memory"},
		{name: "size of a file", script: "printf 12345 > x; printf 1234567890 >> x; echo status $?", set: func(l *Limits) { l.File = 10 }, says: "status"},
		{name: "open files", script: "exec 3< . 4< . 5< . 6< . 7< . 8< . 9< .", set: func(l *Limits) { l.Files = 8 }, says: "Too many open files"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box, c := confinedShell(t, tc.script)
			tc.set(&c.Limits)
			out, err := box.Run(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, tc.stopped, out.Stopped, "%s", out.Output)
			require.Contains(t, string(out.Output), tc.says)
		})
	}
	t.Run("all of them, within bounds", func(t *testing.T) {
		box, c := confinedShell(t, "echo $PWD > x; cat=$(read line < x; echo $line); echo done")
		out, err := box.Run(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, "done\n", string(out.Output))
		require.Zero(t, out.Exit)
	})
}

// A program that cannot be confined is not run, and that is the machine's fault.
func TestNothingRunsUnconfined(t *testing.T) {
	box, c := confinedShell(t, "echo it runs > ../it-runs")
	c.Confine.Read = append(c.Confine.Read, "/there/is/no/such/file")
	_, err := box.Run(t.Context(), c)
	require.ErrorContains(t, err, "a process cannot be confined: ")
	require.ErrorContains(t, err, "/there/is/no/such/file")
}

// What the grader was started with does not reach a test.
func TestDescriptorsAreNotInherited(t *testing.T) {
	box, c := confinedShell(t, "echo /proc/self/fd/*")
	fd, err := unix.Dup(2) // without close-on-exec, as a shell may have left one
	require.NoError(t, err)
	defer unix.Close(fd)
	out, err := box.Run(t.Context(), c)
	require.NoError(t, err)
	require.Contains(t, string(out.Output), "/proc/self/fd/2")
	require.NotContains(t, string(out.Output), fmt.Sprintf("/proc/self/fd/%d", fd))
}

// A test's process does not outlive a grader that is killed.
func TestKilledGraderLeavesNothing(t *testing.T) {
	if dir := os.Getenv("GRADE_TEST_KILLED"); dir != "" {
		box, c := confinedShell(t, "echo here > here; read never < fifo")
		c.Dir, c.Confine.Own = dir, dir
		require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666))
		require.NoError(t, os.Chmod(filepath.Join(dir, "fifo"), 0o666))
		box.Run(t.Context(), c)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledGraderLeavesNothing$")
	cmd.Env = append(os.Environ(), "GRADE_TEST_KILLED="+dir, "TMPDIR="+t.TempDir()) // who is killed removes nothing
	require.NoError(t, cmd.Start())
	defer cmd.Wait()
	alive := func() bool {
		lists, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, list := range lists {
			if cwd, _ := os.Readlink(list); cwd == dir {
				return true
			}
		}
		return false
	}
	here := func() bool { _, err := os.Stat(filepath.Join(dir, "here")); return err == nil }
	require.Eventually(t, here, 20*time.Second, 10*time.Millisecond)
	require.True(t, alive())
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !alive() }, 20*time.Second, 10*time.Millisecond)
}

// Users that are leased are leased once.
func TestLeasedUsersDiffer(t *testing.T) {
	a, err := leaseUser()
	require.NoError(t, err)
	defer a.release()
	b, err := leaseUser()
	require.NoError(t, err)
	require.NotEqual(t, a.id, b.id)
	b.release()
	c, err := leaseUser()
	require.NoError(t, err)
	defer c.release()
	require.Equal(t, b.id, c.id)
}

// Root's grader does not run a stranger's code as root: it says what to do.
func TestRootNeedsAnotherUser(t *testing.T) {
	require.NoError(t, Box{}.demandUser(false))
	require.NoError(t, Box{user: true}.demandUser(true))
	require.NoError(t, Box{namespaces: true}.demandUser(true))
	missing := []string{"namespaces and Landlock: operation not permitted", "Landlock and a user of its own: permission denied"}
	err := Box{launcher: true, landlock: true, Isolation: Isolation{Missing: missing}}.demandUser(true)
	require.ErrorIs(t, err, ErrIsolation)
	require.EqualError(t, err, "sandbox: isolation is weaker than demanded: this grader is root, and can give the tests' processes no other user: "+
		"run it as an ordinary user (Landlock and a user of its own: permission denied)")
}

// Without namespaces, the other users have to pass through the folder above the scratch folder: if they may not, root is told which.
func TestOtherUsersPassThroughScratch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives processes other users")
	}
	t.Setenv(isolationEnv, "1")
	shut, err := os.MkdirTemp("/tmp", "shut-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(shut) })
	scratch := filepath.Join(shut, "scratch")
	require.NoError(t, os.Mkdir(scratch, 0o700))
	_, err = Find(t.Context(), scratch)
	require.EqualError(t, err, "sandbox: isolation is weaker than demanded: this grader is root, and can give the tests' processes no other user: "+
		"run it as an ordinary user (Landlock and a user of its own: other users cannot pass through "+shut+
		": set TMPDIR to a folder that all may enter, such as /tmp)")
	require.NoError(t, os.Chmod(shut, 0o711))
	box, err := Find(t.Context(), scratch)
	require.NoError(t, err)
	require.True(t, box.OtherUsers())
	require.Equal(t, IsolationGate, box.Level)
}
