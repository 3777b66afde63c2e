//go:build linux || darwin

package watch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/learning/learn"
)

// tty is a terminal with a person before it.
type tty struct {
	t       *testing.T
	control *os.File
	slave   *os.File
	before  *term.State

	mu   sync.Mutex
	text strings.Builder
}

func newTTY(t *testing.T) *tty {
	control, slave, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(control, &pty.Winsize{Rows: 30, Cols: 90}))
	p := &tty{t: t, control: control, slave: slave}
	p.before, err = term.GetState(int(slave.Fd()))
	require.NoError(t, err)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := control.Read(buf)
			p.mu.Lock()
			p.text.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { slave.Close(); control.Close() })
	return p
}

// sees waits until all of the texts have come since the last time.
func (p *tty) sees(want ...string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		text, missing := p.text.String(), ""
		for _, w := range want {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			p.text.Reset()
		}
		p.mu.Unlock()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q on the screen:\n%q", missing, text)
		}
	}
}

func (p *tty) types(keys string) {
	_, err := p.control.WriteString(keys)
	require.NoError(p.t, err)
}

// requireRestored checks that the terminal is as it was.
func (p *tty) requireRestored() {
	after, err := term.GetState(int(p.slave.Fd()))
	require.NoError(p.t, err)
	require.Equal(p.t, p.before, after)
	p.sees("\x1b[?25h")
}

// newBuildable is a course whose tests can be built, with the real results channel.
func newBuildable(t *testing.T) *course.Course {
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(dir))
	c, err := course.Load(dir)
	require.NoError(t, err)
	return c
}

func copyText(t *testing.T, from, to string) {
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o666))
}

func TestWatchesInATerminal(t *testing.T) {
	t.Setenv("BROWSER", "no-such-browser")
	c, p := newBuildable(t), newTTY(t)
	t.Chdir(c.Root)
	over := make(chan error, 1)
	go func() { over <- Run(t.Context(), c, Options{In: p.slave, Out: p.slave}) }()
	p.sees("please wait: running 1A", "h hint")
	p.sees("failed: TestEchoes1A (40 points)", "LABS_SEED=1 go test")
	p.types("h")
	p.sees("hint 1 of 1: Return what you were given.")
	p.types("t")
	p.sees("labs/01-echo/.labs/TestEchoes1A-1.html in a browser")

	// A save is answered at once, and a second one while the first runs is what counts.
	lab := filepath.Join(c.Root, "labs", "01-echo")
	require.NoError(t, os.WriteFile(filepath.Join(lab, "echo.go"), []byte("package echo\n"), 0o666))
	p.sees("please wait: running 1A")
	copyText(t, filepath.Join(c.Root, "solutions", "01-echo", "echo.go"), filepath.Join(lab, "echo.go"))
	p.sees("passed: all 2 tests", "1/3")
	copyText(t, filepath.Join(c.Root, "solutions", "01-echo", "shout.go"), filepath.Join(lab, "shout.go"))
	p.sees("Lab 01, Echo, is complete", "2/3")
	p.types("l")
	p.sees("> done  1B")
	p.types("\x03")
	require.NoError(t, <-over)
	p.requireRestored()

	progress, err := learn.Load(c.Root)
	require.NoError(t, err)
	require.Equal(t, "1B", progress.At, "the next time begins here")
	require.Equal(t, map[string]int{"1A": 1}, progress.Hints)

	// A signal ends the context.
	ctx, cancel := context.WithCancel(t.Context())
	go func() { over <- Run(ctx, c, Options{In: p.slave, Out: p.slave}) }()
	p.sees("please wait: running 1B")
	cancel()
	require.ErrorIs(t, <-over, context.Canceled)
	p.requireRestored()
}
