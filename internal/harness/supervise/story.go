package supervise

import (
	"slices"

	"distlabs/internal/harness/report"
)

// story is what the results channel told, in the order of its events.
type story struct {
	tests      []*test
	bubbles    map[uint64]*test // the test that last used a bubble's number
	done       bool
	channelErr error
}

// test is one test of the child's.
type test struct {
	name    string
	seeds   map[uint64]uint64 // by bubble
	last    uint64            // the last seed
	seeded  bool
	result  *report.Result  // nil while it runs
	found   *report.Failure // its failure, if it is being explained
	fromRun int             // reports of the race detector before it
}

func newStory() *story { return &story{bubbles: map[uint64]*test{}} }

// add takes the next event.
func (s *story) add(e report.Event) {
	switch e.Kind {
	case report.Start:
		t := &test{name: e.Test, seeds: map[uint64]uint64{}}
		for _, before := range s.tests {
			if before.result != nil {
				t.fromRun = max(t.fromRun, before.result.Races)
			}
		}
		s.tests = append(s.tests, t)
	case report.Seed:
		if t := s.find(e.Test); t != nil {
			t.seeds[e.Bubble], t.last, t.seeded = e.Seed, e.Seed, true
			s.bubbles[e.Bubble] = t
		}
	case report.Found:
		if t := s.find(e.Test); t != nil {
			t.found = e.Failure
		}
	case report.End:
		if t := s.find(e.Test); t != nil {
			t.result = e.Result
			if t.result == nil {
				t.result = &report.Result{}
			}
		}
	case report.Done:
		s.done = true
	}
}

// find returns the last test of that name: -count runs one several times.
func (s *story) find(name string) *test {
	for _, t := range slices.Backward(s.tests) {
		if t.name == name {
			return t
		}
	}
	return nil
}

// open returns the tests that began and did not end.
func (s *story) open() []*test {
	var all []*test
	for _, t := range s.tests {
		if t.result == nil {
			all = append(all, t)
		}
	}
	return all
}

// crashed returns the test in which the child died: by the bubble of the
// goroutine that crashed, by a test function on its stack, or else the last one
// that was not over. Nil if no test told of itself.
func (s *story) crashed(c report.Crash) *test {
	open := s.open()
	if t := s.bubbles[c.Bubble]; c.Bubble > 0 && t != nil && t.result == nil {
		return t
	}
	for _, t := range open {
		if t.name == c.TestName() {
			return t
		}
	}
	if len(open) > 0 {
		return open[len(open)-1]
	}
	return nil
}

// raced returns the test that made the race detector's report with this number,
// from 1: by the harness's count, else by a test function on its stacks, else
// the only test that there is. Nil if that does not tell.
func (s *story) raced(number int, c report.Crash) *test {
	for _, t := range s.tests {
		if t.result != nil && t.fromRun < number && number <= t.result.Races {
			return t
		}
	}
	if t := s.find(c.TestName()); t != nil {
		return t
	}
	var failed []*test
	for _, t := range s.tests {
		if t.result == nil || t.raceFailure() != nil {
			failed = append(failed, t)
		}
	}
	switch {
	case len(failed) == 1:
		return failed[0]
	case len(s.tests) == 1:
		return s.tests[0]
	}
	return nil
}

// toldRace reports whether a test has told of the race itself.
func (s *story) toldRace(what string) bool {
	for _, t := range s.tests {
		if t.result != nil && slices.ContainsFunc(t.result.Failures, func(f report.Failure) bool { return f.Kind == report.Race && f.What == what }) {
			return true
		}
	}
	return false
}

// raceFailure returns what the harness itself said about a race, or nil.
func (t *test) raceFailure() *report.Failure {
	if t.result == nil {
		return nil
	}
	for i, f := range t.result.Failures {
		if f.Kind == report.Race {
			return &t.result.Failures[i]
		}
	}
	return nil
}

// seed returns the seed that ran in the bubble, or the test's last one.
func (t *test) seed(bubble uint64) (uint64, bool) {
	if seed, ok := t.seeds[bubble]; ok && bubble > 0 {
		return seed, true
	}
	return t.last, t.seeded
}
