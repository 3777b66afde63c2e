package grade

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

	"distlabs/internal/harness/report"
)

// maxOutput is how much a process may print before it is stopped.
const maxOutput = 4 << 20

// drain is how long a process's pipes are read after it has ended.
const drain = 2 * time.Second

// watchEvery is how often a process's memory is looked at, at most.
const watchEvery = 20 * time.Millisecond

// fill is how many bytes of memory a processor fills in a second, at most.
const fill = 8 << 30

// command is a process to run: in a group of its own, with a limit of real time
// and of output, and with no input.
type command struct {
	path             string
	args             []string
	dir              string
	env              []string
	limit            time.Duration
	begin            time.Duration // limit of real time until the first event, where there is a receiver
	limits           limits
	sandboxedProcess *sandboxedProcess // nil: not confined
	receiver         *report.Receiver  // nil: no results channel
	each             func(report.Event)
}

// outcome is how a process ended.
type outcome struct {
	exit    int    // its status; -1 when a signal ended it
	output  []byte // standard output and error, interleaved as they came
	stderr  []byte
	stopped string // why the grader stopped it: one phrase; "" if it ended by itself
	real    time.Duration
	cpu     time.Duration // processor time
	events  []report.Event
	channel error // what is wrong with the results channel
}

// process runs a command to its end and sweeps away whatever it left running.
// The error is about this machine or ctx, never about what the process did.
func (g *Grader) process(ctx context.Context, c command) (outcome, error) {
	timed, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	cmd := exec.CommandContext(timed, c.path, c.args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.dir, c.env, drain
	stop := &stopper{end: cancel}
	flood := &output{stop: func() { stop.stop(fmt.Sprintf("printed more than %d MiB", maxOutput>>20)) }}
	cmd.Stdout, cmd.Stderr = flood.stream(false), flood.stream(true)
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	if c.receiver != nil {
		c.receiver.Attach(cmd)
	}
	confined, err := g.box.confine(cmd, c)
	defer confined.close()
	began := time.Now()
	if err == nil {
		err = cmd.Start()
		confined.started()
	}
	if c.receiver != nil {
		c.receiver.Started()
	}
	if err != nil {
		return outcome{}, fmt.Errorf("grade: %w", err)
	}
	unwatch := stop.watch(cmd.Process.Pid, c.limits.memory)
	var out outcome
	var collected sync.WaitGroup
	if c.receiver != nil {
		event, done := stop.untilBegun(c.begin, c.each)
		defer done()
		collected.Go(func() { out.events, out.channel = c.receiver.Collect(event) })
	}
	err = cmd.Wait()
	out.real = time.Since(began)
	unwatch()
	killGroup(cmd.Process) // a process that it started must not outlive it
	said := confined.ended()
	if c.receiver != nil {
		c.receiver.Ended()
	}
	collected.Wait()

	out.exit = cmd.ProcessState.ExitCode()
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	flood.take(&out)
	out.stopped = stop.reason()
	switch {
	case out.stopped != "":
	case ctx.Err() != nil:
		return out, ctx.Err()
	case timed.Err() != nil:
		out.stopped = fmt.Sprintf("not done after %v of real time", c.limit)
	case said != launched:
		return out, fmt.Errorf("grade: a process can not be confined: %s", plain(cmp.Or(said, "its launcher was killed")))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return out, fmt.Errorf("grade: %w", err)
		}
		out.stopped = c.limits.ranInto(out)
	}
	return out, nil
}

// stopper ends a process before its time, for the first reason that is found.
type stopper struct {
	mu  sync.Mutex
	why string
	end func()
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
func (o *output) take(out *outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out.output, out.stderr = bytes.Clone(o.all.Bytes()), bytes.Clone(o.err.Bytes())
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
