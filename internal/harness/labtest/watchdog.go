package labtest

import (
	"fmt"
	"time"

	"distlabs/internal/harness/report"
)

// How long, in real time, virtual time may stand still before the stacks are looked at; and before the
// verdict falls on what a busy machine could also cause.
const (
	watchTime    = time.Second
	lastPatience = 10 * time.Second
	giveUp       = 90 * time.Second
)

// processBegan is when this process began.
var processBegan = time.Now()

// watch waits outside the bubble until the run is over, and reports false if
// it never will be: virtual time stands still. Such a bubble is abandoned. A run that is not over at until, if that is not
// zero, is told to end.
func (s *Sim) watch(over <-chan struct{}, until time.Time) bool {
	tick := time.NewTicker(watchTime / 4)
	defer tick.Stop()
	last, since, used := s.progress(), time.Now(), processorTime()
	for {
		select {
		case <-over:
			return true
		case <-tick.C:
		}
		if !until.IsZero() && time.Now().After(until) && s.net.Load() != nil {
			s.expired.Store(true)
			if time.Since(until) > watchTime { // virtual time is too slow for the body to notice
				s.outOfTime()
				return false
			}
		}
		if now := s.progress(); now != last {
			last, since, used = now, time.Now(), processorTime()
			continue
		}
		if still := time.Since(since); still > watchTime && s.diagnose(still, processorTime()-used) {
			return false
		}
	}
}

func (s *Sim) progress() uint64 {
	n := s.beats.Load()
	if net := s.net.Load(); net != nil {
		n += net.Steps()
	}
	return n
}

// diagnose looks for the reason why virtual time stands still. A mutex held across a wait shows at once; a loop that never waits
// looks like one that has a lot to do, and gets more time: of a processor, since the machine may be busy with something else.
func (s *Sim) diagnose(still, used time.Duration) bool {
	f, ok := report.Diagnose(allStacks(), s.bubble.Load(), source())
	switch {
	case ok && f.Kind != report.Spin, ok && min(still, used) > lastPatience:
		s.failWith(f.Kind, Violation{What: f.What, Rule: f.Rule, Seen: f.Seen}, f.Where)
		return true
	case still > giveUp:
		s.failWith(report.Spin, Violation{
			What: fmt.Sprintf("virtual time has stood still for %v of real time", still.Round(time.Second)),
			Rule: "every goroutine waits now and then: with a timer, a channel or a condition",
		}, "")
		return true
	}
	return false
}
