package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"distlabs/live/control"
)

// A starter starts processes, all from one thread that lives as long as they do: on Linux, a child is killed at the end of the
// thread that started it.
type starter struct {
	work chan func()
}

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *starter) stop() { close(s.work) }

// A process is one process that was started.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ready chan struct{} // closed when it serves
	ended chan struct{} // closed when it has ended

	mu     sync.Mutex
	paused bool
	last   string // of what it wrote on its standard error, or logged
}

// start starts a program. heard is called for each of its reports, one after another, and ended after the last one.
func (s *starter) start(name, program, config, dir string, heard func(string, control.Report), ended func(string)) (*process, error) {
	p := &process{name: name, cmd: exec.Command(program, config), ready: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = environment(dir)
	p.cmd.SysProcAttr = Attributes()
	p.cmd.Stderr = (*words)(p)
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	started := make(chan error)
	s.work <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("live: %s: %w", name, err)
	}
	limit(p.cmd.Process.Pid)
	go func() {
		defer close(p.ended)
		p.read(stdout, heard)
		_ = p.cmd.Wait()
		ended(name)
	}()
	return p, nil
}

// environment is that of a process: nothing of the user's.
func environment(dir string) []string {
	return []string{"HOME=" + dir, "TMPDIR=" + dir, "GOTRACEBACK=single"}
}

func (p *process) read(stdout io.Reader, heard func(string, control.Report)) {
	lines := bufio.NewReaderSize(stdout, 64<<10)
	isReady := false
	for {
		line, err := lines.ReadBytes('\n')
		var r control.Report
		if json.Unmarshal(line, &r) == nil {
			if r.Ready && !isReady {
				isReady = true
				close(p.ready)
			}
			if r.Log != "" {
				(*words)(p).keep(r.Log)
			}
			heard(p.name, r)
		}
		if err != nil {
			return
		}
	}
}

// words keeps the last line of what a process says in clear text.
type words process

func (w *words) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		w.keep(line)
	}
	return len(b), nil
}

func (w *words) keep(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if line = strings.TrimSpace(line); line != "" {
		w.last = line
	}
}

func (p *process) lastWords() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the process and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
}

func (p *process) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

func (p *process) pause(on bool) error {
	signal := syscall.SIGCONT
	if on {
		signal = syscall.SIGSTOP
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("live: %s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	return nil
}

// tell sends a command. A process that has ended does not hear it.
func (p *process) tell(c control.Command) {
	b, err := json.Marshal(c)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.stdin.Write(append(b, '\n'))
}
