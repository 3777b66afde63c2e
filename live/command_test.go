package live

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A run is the command, as grade live starts it, without a terminal.
type run struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	dir   string
}

func startCommand(t *testing.T, args ...string) *run {
	t.Helper()
	server := program(t)
	binary := filepath.Join(filepath.Dir(server), "command")
	if _, err := os.Stat(binary); err != nil {
		out, err := exec.Command("go", "build", "-o", binary, "./command").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	r := &run{dir: t.TempDir(), lines: make(chan string, 10_000)}
	r.cmd = exec.Command(binary, append([]string{"--dir", filepath.Join(r.dir, "live"), "--program", server}, args...)...)
	var err error
	r.in, err = r.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := r.cmd.StdoutPipe()
	require.NoError(t, err)
	r.cmd.Stderr = os.Stderr
	require.NoError(t, r.cmd.Start())
	go func() {
		defer close(r.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			r.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	})
	return r
}

// row waits for a row of the table of which ok holds, and returns its words.
func (r *run) row(t *testing.T, server string, ok func(words []string) bool) []string {
	t.Helper()
	for end := time.After(wait); ; {
		select {
		case line, open := <-r.lines:
			require.True(t, open, "the command ended")
			if words := strings.Fields(line); len(words) > 1 && words[0] == server && ok(words) {
				return words
			}
		case <-end:
			t.Fatalf("no such row for %s within %v", server, wait)
		}
	}
}

// line waits for a line that begins so, and returns the rest of it.
func (r *run) line(t *testing.T, begin string) string {
	t.Helper()
	for end := time.After(wait); ; {
		select {
		case line, open := <-r.lines:
			require.True(t, open, "the command ended")
			if rest, ok := strings.CutPrefix(line, begin); ok {
				return rest
			}
		case <-end:
			t.Fatalf("no line begins with %q within %v", begin, wait)
		}
	}
}

// pids waits until all servers are known, and returns their processes.
func (r *run) pids(t *testing.T) []int {
	t.Helper()
	var all []int
	for _, server := range []string{"n1", "n2", "n3"} {
		words := r.row(t, server, func(w []string) bool { return len(w) >= 10 && w[1] == "up" })
		pid, err := strconv.Atoi(words[9])
		require.NoError(t, err, words)
		all = append(all, pid)
	}
	return all
}

func (r *run) do(t *testing.T, line string) {
	_, err := io.WriteString(r.in, line+"\n")
	require.NoError(t, err)
}

func requireGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH || zombie(pid) }, wait, 10*time.Millisecond, "process %d is left", pid)
	}
}

// zombie reports whether a process has ended and nobody has asked for its status: its parent was killed, and this machine may have no
// init that does.
func zombie(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(text), ") Z ")
}

// The words do what they say.
func TestCommands(t *testing.T) {
	r := startCommand(t)
	url := r.line(t, "page: ")
	r.pids(t)
	t.Run("page", func(t *testing.T) { watchPage(t, url) })
	r.do(t, "kill 1")
	r.row(t, "n1", func(w []string) bool { return w[1] == "down" })
	r.do(t, "wipe 1")
	r.do(t, "restart 1")
	r.row(t, "n1", func(w []string) bool { return w[1] == "up" && len(w) > 3 && (w[3] == "follower" || w[3] == "leader") })
	r.do(t, "pause n2")
	r.row(t, "n2", func(w []string) bool { return w[1] == "paused" })
	r.do(t, "continue 2")
	r.row(t, "n2", func(w []string) bool { return w[1] == "up" })
	r.do(t, "cut 1 3")
	r.row(t, "n3", func(w []string) bool { return strings.HasSuffix(strings.Join(w, " "), "cut off from [1]") })
	r.do(t, "heal")
	r.row(t, "n3", func(w []string) bool { return !strings.Contains(strings.Join(w, " "), "cut") })
	r.do(t, "kill 4")
	r.do(t, "dance 1")
	r.do(t, "cut 1")
	for _, want := range []string{`no server "4"`, `no command "dance"`, "cut needs 2 servers"} {
		for line := range r.lines {
			if strings.Contains(line, want) {
				break
			}
		}
	}
	r.do(t, "quit")
	require.NoError(t, r.cmd.Wait())
}

// Nothing is left behind, however the command ends; also not a process that is paused.
func TestNothingIsLeftBehind(t *testing.T) {
	for name, end := range map[string]func(r *run) error{
		"interrupted": func(r *run) error { return r.cmd.Process.Signal(os.Interrupt) },
		"terminated":  func(r *run) error { return r.cmd.Process.Signal(syscall.SIGTERM) },
		"killed":      func(r *run) error { return r.cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			r := startCommand(t)
			pids := r.pids(t)
			r.do(t, "pause 2")
			r.row(t, "n2", func(w []string) bool { return w[1] == "paused" })
			require.NoError(t, end(r))
			_ = r.cmd.Wait()
			requireGone(t, pids)
			entries, err := os.ReadDir(r.dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "everything is in one folder")
		})
	}
}
