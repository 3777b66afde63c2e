package grade

import (
	"context"
	"fmt"
	"time"

	"distlabs/internal/grading/sandbox"
	"distlabs/internal/harness/report"
)

// outcome is how a test's process ended, and what it reported before.
type outcome struct {
	sandbox.Outcome
	events  []report.Event
	channel error // what is wrong with the results channel
	again   bool  // it is the second try
}

// clocks are the limits of real time within a process; one that is 0 is none.
type clocks struct {
	begin time.Duration // until it reports for the first time
	test  time.Duration // of each of its tests
}

// reporting runs a command with a results channel. It is stopped when it is over a limit of the clocks; each is
// called with every event as it comes.
func reporting(ctx context.Context, box sandbox.Box, c sandbox.Command, limit clocks, each func(report.Event)) (outcome, error) {
	receiver, err := report.NewReceiver()
	if err != nil {
		return outcome{}, fmt.Errorf("grade: %w", err)
	}
	defer receiver.Close()
	results := &channel{Receiver: receiver, limit: limit, each: each}
	c.Channel = results
	out, err := box.Run(ctx, c)
	return outcome{Outcome: out, events: results.events, channel: results.err}, err
}

// channel is the results channel as the sandbox sees it.
type channel struct {
	*report.Receiver
	limit  clocks
	each   func(report.Event)
	events []report.Event
	err    error
}

// Collect collects the process's events, and stops it when it is over a limit.
func (c *channel) Collect(stop func(why string)) {
	begun := after(c.limit.begin, func() {
		stop(fmt.Sprintf("it had not begun after %v of real time: does an init function, or what a package variable is set to, never end?", c.limit.begin))
	})
	defer begun.Stop()
	late := func() { stop(fmt.Sprintf("a test was not done after %v of real time", c.limit.test)) }
	test := after(0, late)
	c.events, c.err = c.Receiver.Collect(func(e report.Event) {
		begun.Stop()
		if e.Kind == report.Start || e.Kind == report.End {
			test.Stop()
			test = after(c.limit.test, late)
		}
		c.each(e)
	})
	test.Stop()
}

// after calls f after a limit of real time; never if there is none.
func after(limit time.Duration, f func()) *time.Timer {
	if limit <= 0 {
		limit = 1<<63 - 1
	}
	return time.AfterFunc(limit, f)
}
