package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"distlabs/internal/grading/plain"
)

// maxOutput is how much a process may print before it is stopped.
const maxOutput = 4 << 20

// drain is how long a process's pipes are read after it has ended.
const drain = 2 * time.Second

// watchEvery is how often a process's memory is looked at, at most.
const watchEvery = 20 * time.Millisecond

// fill is how many bytes of memory a processor fills in a second, at most.
const fill = 8 << 30

// Command is a program to run: in a process group of its own, with a limit of real time
// and of output, and with no input.
type Command struct {
	Path    string
	Args    []string
	Dir     string
	Env     []string      // all of it: nothing is added from this process
	Time    time.Duration // the limit of real time
	Limits  Limits
	Confine *Confinement // nil: not confined, as a compiler that runs nobody's code
	Channel Channel      // nil: none
}

// Confinement is what a confined process sees of the file system.
type Confinement struct {
	Scratch string   // an empty folder, over which the launcher builds the process's view
	Read    []string // files and folders that it may read
	Own     string   // a folder that is the process's own
	Program string   // the program, which Read holds too
}

// Channel is a way by which a process reports, besides its output.
type Channel interface {
	Attach(cmd *exec.Cmd) // hands the process its end; cmd has not started
	Started()             // the process has started, or could not be started

	// Collect runs from the start of the process until the channel is at its end. It may call stop, once
	// or more, to end the process before its time; why is one phrase.
	Collect(stop func(why string))

	Ended() // the process has ended: Collect returns once it has read the rest
}

// Outcome is how a process ended.
type Outcome struct {
	Exit    int    // its status; -1 when a signal ended it
	Output  []byte // standard output and error, interleaved as they came
	Stderr  []byte
	Stopped string // why it was stopped, by this package or by a limit: one phrase; "" if it ended by itself
	Real    time.Duration
	CPU     time.Duration // processor time
	Queued  time.Duration // how long its threads were ready to run and got no processor; 0 where the system does not tell
}

// Run runs a command to its end and sweeps away whatever it left running. The error is about this
// machine or ctx, never about what the process did: a process that cannot be confined never runs.
func (b Box) Run(ctx context.Context, c Command) (Outcome, error) {
	timed, cancel := context.WithTimeout(ctx, c.Time)
	defer cancel()
	cmd := exec.CommandContext(timed, c.Path, c.Args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.Dir, c.Env, drain
	stop := &stopper{end: cancel}
	flood := &output{stop: func() { stop.stop(fmt.Sprintf("printed more than %d MiB", maxOutput>>20)) }}
	cmd.Stdout, cmd.Stderr = flood.stream(false), flood.stream(true)
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	if c.Channel != nil {
		c.Channel.Attach(cmd)
	}
	confined, err := b.confine(cmd, c)
	defer confined.close()
	began := time.Now()
	if err == nil {
		err = cmd.Start()
		confined.started()
	}
	if c.Channel != nil {
		c.Channel.Started()
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("sandbox: %w", err)
	}
	unwatch := stop.watch(cmd.Process.Pid, c.Limits.Memory)
	var out Outcome
	var collected sync.WaitGroup
	if c.Channel != nil {
		collected.Go(func() { c.Channel.Collect(stop.stop) })
	}
	err = cmd.Wait()
	out.Real = time.Since(began)
	unwatch()
	out.Queued = stop.queued
	killGroup(cmd.Process) // a process that it started must not outlive it
	said := confined.ended()
	if c.Channel != nil {
		c.Channel.Ended()
	}
	collected.Wait()

	out.Exit = cmd.ProcessState.ExitCode()
	out.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	flood.take(&out)
	out.Stopped = stop.reason()
	switch {
	case out.Stopped != "":
	case ctx.Err() != nil:
		return out, ctx.Err()
	case timed.Err() != nil:
		out.Stopped = fmt.Sprintf("not done after %v of real time", c.Time)
	case said != launched:
		return out, fmt.Errorf("sandbox: a process cannot be confined: %s", plain.Text(cmp.Or(said, "its launcher was killed")))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return out, fmt.Errorf("sandbox: %w", err)
		}
		out.Stopped = c.Limits.ranInto(out)
	}
	return out, nil
}

// stopper ends a process before its time, for the first reason that is found.
type stopper struct {
	mu     sync.Mutex
	why    string
	end    func()
	queued time.Duration // written by watch until it ends
}

func (s *stopper) stop(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
		s.end()
	}
}

func (s *stopper) reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// watch stops a process that, with its descendants, holds more memory than it may. The
// function that it returns ends the watch.
func (s *stopper) watch(pid int, most int64) (unwatch func()) {
	if most <= 0 {
		return func() {}
	}
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		look := time.NewTimer(watchEvery)
		defer look.Stop()
		for {
			select {
			case <-over:
				return
			case <-look.C:
				s.queued = max(s.queued, queued(pid))
				held := resident(pid)
				if held > most {
					s.stop("used more than " + size(most) + " of memory")
					return
				}
				look.Reset(nextLook(most - held))
			}
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}

// nextLook is how long a process needs, with all processors, to fill so much memory: until then it need not be looked at.
func nextLook(room int64) time.Duration {
	return max(watchEvery, time.Duration(float64(room)/fill/float64(runtime.NumCPU())*float64(time.Second)))
}

// output keeps what a process prints, up to a limit for both streams together.
type output struct {
	mu   sync.Mutex
	all  bytes.Buffer
	err  bytes.Buffer
	stop func() // ends the process
}

// stream is one of the two, as a writer.
func (o *output) stream(isErr bool) writerFunc {
	return func(p []byte) (int, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		room := maxOutput - o.all.Len()
		if len(p) > room {
			o.stop()
		}
		kept := p[:min(len(p), room)]
		o.all.Write(kept)
		if isErr {
			o.err.Write(kept)
		}
		return len(p), nil // the process must not block before it is stopped
	}
}

// take hands over what was kept. Writers that come later, from a process
// that survives its pipes, change nothing that was taken.
func (o *output) take(out *Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out.Output, out.Stderr = bytes.Clone(o.all.Bytes()), bytes.Clone(o.err.Bytes())
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
