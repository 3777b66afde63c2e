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

// reporting runs a command with a results channel. It is stopped if it has not reported within the limit begin; each is
// called with every event as it comes.
func reporting(ctx context.Context, box sandbox.Box, c sandbox.Command, begin time.Duration, each func(report.Event)) (outcome, error) {
	receiver, err := report.NewReceiver()
	if err != nil {
		return outcome{}, fmt.Errorf("grade: %w", err)
	}
	defer receiver.Close()
	results := &channel{Receiver: receiver, begin: begin, each: each}
	c.Channel = results
	out, err := box.Run(ctx, c)
	return outcome{Outcome: out, events: results.events, channel: results.err}, err
}

// channel is the results channel as the sandbox sees it.
type channel struct {
	*report.Receiver
	begin  time.Duration
	each   func(report.Event)
	events []report.Event
	err    error
}

// Collect collects the process's events, and stops a process of which none has come within the limit.
func (c *channel) Collect(stop func(why string)) {
	begun := time.AfterFunc(c.begin, func() {
		stop(fmt.Sprintf("it had not begun after %v of real time: does an init function, or what a package variable is set to, never end?", c.begin))
	})
	defer begun.Stop()
	c.events, c.err = c.Receiver.Collect(func(e report.Event) {
		begun.Stop()
		c.each(e)
	})
}
