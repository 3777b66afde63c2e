package watch

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/learning/learn"
)

// Options say how Run works.
type Options struct {
	In, Out *os.File // a terminal
	Colour  bool
	// Advise returns advice on a lab's files, a paragraph each; nil for none.
	Advise func(context.Context, course.Lab) []string
}

// Run shows the screen until the student quits (nil) or the context ends (its
// error), and leaves the terminal as it was.
func Run(ctx context.Context, c *course.Course, o Options) error {
	saves := Begin(c)
	progress, err := learn.Collect(c)
	if err != nil {
		return err
	}
	if !signal.Ignored(syscall.SIGHUP) { // the window is closed
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &app{ctx: ctx, course: c, options: o, msgs: make(chan Msg)}
	if a.grader, err = grade.New(ctx, c, grade.Options{Progress: a.step}); err != nil {
		return err
	}
	// Tests that run are told to stop before the scratch folder goes.
	defer func() {
		cancel()
		a.runs.Wait()
		a.grader.Close()
	}()
	t, err := openTerminal(o)
	if err != nil {
		return err
	}
	defer t.close()
	go saves.Run(ctx, func(files []learn.File) { a.send(Saved{Files: files, At: time.Now()}) }, a.tested)
	go readKeys(o.In, func(k Key) { a.send(Pressed{Key: k, At: time.Now()}) })
	return a.loop(New(c, progress), t)
}

// app is everything around the model.
type app struct {
	ctx     context.Context
	course  *course.Course
	options Options
	grader  *grade.Grader
	msgs    chan Msg

	runs sync.WaitGroup
	stop context.CancelFunc // of the run that goes on; nil before the first
	last chan struct{}      // closed when that run is over
	id   atomic.Int64       // of the run that has the grader
}

// send hands a message to the loop, unless that is over.
func (a *app) send(msg Msg) {
	select {
	case a.msgs <- msg:
	case <-a.ctx.Done():
	}
}

func (a *app) step(p grade.Progress) { a.send(Stepped{Run: int(a.id.Load()), Step: p}) }

// tested takes in what passed under plain go test.
func (a *app) tested() {
	progress, err := learn.Collect(a.course)
	if err != nil {
		a.send(Told{Text: err.Error()})
		return
	}
	a.send(Tested{Progress: progress})
}

// loop paints, waits for something to happen, and does what follows from it.
func (a *app) loop(m Model, t *terminal) error {
	m, effects := m.Init(time.Now())
	look := time.NewTicker(250 * time.Millisecond) // at the window's size
	defer look.Stop()
	for {
		for _, e := range effects {
			if _, quit := e.(Quit); quit {
				return nil
			}
			a.do(e)
		}
		effects = nil
		t.paint(m)
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-look.C:
		case msg := <-a.msgs:
			m, effects = m.Update(msg)
		}
	}
}

// do begins what an effect says; it does not wait for it.
func (a *app) do(e Effect) {
	switch e := e.(type) {
	case Start:
		a.start(e)
	case Stop:
		if a.stop != nil {
			a.stop()
		}
	case GiveHint:
		go func() {
			h, err := learn.NextHint(a.course, e.Part)
			a.send(Hinted{Part: e.Part.ID, Hint: h, Err: err})
		}()
	case Remember:
		if _, err := learn.Update(a.course.Root, func(p *learn.Progress) { p.At = e.At }); err != nil {
			go a.send(Told{Text: err.Error()})
		}
	case Open:
		go func() { a.send(Told{Text: open(filepath.Join(a.course.Root, filepath.FromSlash(e.Path)))}) }()
	}
}

// start begins a run when the one before it, which was told to stop, is over.
func (a *app) start(e Start) {
	before := a.last
	ctx, stop := context.WithCancel(a.ctx)
	over := make(chan struct{})
	a.stop, a.last = stop, over
	a.runs.Go(func() {
		defer close(over)
		defer stop()
		if before != nil {
			<-before
		}
		if ctx.Err() != nil {
			return
		}
		a.id.Store(int64(e.Run))
		msg := a.grade(ctx, e)
		if ctx.Err() != nil {
			return // another run has taken its place
		}
		a.send(msg)
		if a.options.Advise != nil && msg.Result != nil && msg.Result.Labs[0].Refused == "" {
			if advice := a.options.Advise(ctx, e.Selected.Lab); ctx.Err() == nil {
				a.send(Advised{Run: e.Run, Advice: advice})
			}
		}
	})
}

// grade runs the tests and records what passed.
func (a *app) grade(ctx context.Context, e Start) Ended {
	msg := Ended{Run: e.Run}
	attempt, err := learn.Begin(a.course, []course.Selected{e.Selected})
	if err == nil {
		msg.Result, err = a.grader.FirstFailure(ctx, e.Selected, grade.Run{
			Traces: func(lab course.Lab) string { return filepath.Join(a.course.Root, "labs", lab.ID, ".labs") },
		})
	}
	var finished []course.Lab
	if err == nil {
		finished, err = attempt.End(msg.Result)
	}
	if err == nil {
		msg.Progress, err = learn.Load(a.course.Root)
	}
	for _, lab := range finished {
		msg.Finished = append(msg.Finished, learn.Finish(a.course, msg.Progress, lab))
	}
	msg.Err, msg.At = err, time.Now()
	return msg
}

// Summary is what there is to say without a terminal: how far the student is.
func Summary(c *course.Course, p learn.Progress) []string {
	m := New(c, p)
	done, all := 0, 0
	var lines []string
	for _, lab := range c.Labs {
		line := fmt.Sprintf("%-*s", longest(c), lab.ID)
		for _, part := range lab.Parts {
			mark := "-"
			if !lab.Base {
				all++
			}
			if p.Passed[part.ID] != "" {
				mark = "done"
				if !lab.Base {
					done++
				}
			}
			line += fmt.Sprintf("  %s %-4s", part.ID, mark)
		}
		line = strings.TrimRight(line, " ")
		if lab.Base {
			line += "  (another lab builds on it)"
		}
		lines = append(lines, line)
	}
	lines = append([]string{fmt.Sprintf("%d of %d parts have passed", done, all)}, lines...)
	return append(lines, fmt.Sprintf("you are at %s, %s: grade run %s", m.part.ID, m.part.Title, m.part.ID))
}

func longest(c *course.Course) int {
	n := 0
	for _, lab := range c.Labs {
		n = max(n, len(lab.ID))
	}
	return n
}
