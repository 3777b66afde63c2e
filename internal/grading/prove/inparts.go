package prove

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// partSize is how many schedules one process of a search runs: so many that to start it costs little, and so few that all processors
// are busy to the end.
const partSize = 500

// parts cuts a search into those of its processes, in order. Schedule i of a strategy that draws has the seed first+i, so that the parts
// run just the schedules of the whole. Depth-first and by-state are one search, which goes on where it was.
func (s Search) parts() []Search {
	first, err := strconv.ParseUint(s.Seed, 10, 64)
	if s.Strategy == "depth-first" || s.Strategy == "by-state" || err != nil {
		return []Search{s}
	}
	var all []Search
	for done := 0; done < s.Schedules; done += partSize {
		part := s
		part.Schedules, part.Seed = min(partSize, s.Schedules-done), strconv.FormatUint(first+uint64(done), 10)
		all = append(all, part)
	}
	return all
}

// run is how the grader runs the search of one process.
func (s Search) run() grade.Run {
	run := s.Run
	run.Seed, run.Env, run.States = "", []string{s.env()}, true
	return run
}

// goOn searches what is left of a test's search when the first of its parts has found nothing, on all processors. t has the result of the
// first part; it gets that of the whole, which ends with the first part in order that fails, whichever was over first. It
// returns the search that the result's failure is of.
func goOn(ctx context.Context, r *grade.Runner, t *result.Test, whole Search, jobs int) (Search, error) {
	parts := whole.parts()
	if t.Status != report.Pass || len(parts) == 1 {
		return parts[0], nil
	}
	if slices.ContainsFunc(t.Measures, func(m report.Measure) bool { return m.Name == report.Exhausted || m.Name == report.ExhaustedByState }) {
		// The test's own strategy is one of these.
		*t = result.Test{Name: t.Name, Max: t.Max}
		return whole, r.Test(ctx, t, whole.run())
	}
	began := time.Now()
	searched, failed, err := inOrder(ctx, r, t.Name, parts[1:], jobs)
	if err != nil {
		return whole, err
	}
	took := t.Real + time.Since(began).Seconds()
	last := parts[0]
	if failed {
		// Once more, with all that a failure has: the parts after it did not leave a record.
		last = parts[len(searched)]
		again := &searched[len(searched)-1]
		*again = result.Test{Name: t.Name}
		if err := r.Test(ctx, again, last.run()); err != nil {
			return last, err
		}
	}
	addUp(t, searched, took)
	return last, nil
}

// inOrder runs parts of a search of one test, so many at a time. It returns the results up to the first part, in order, that fails.
func inOrder(ctx context.Context, r *grade.Runner, test string, parts []Search, jobs int) (searched []result.Test, failed bool, err error) {
	results := make([]result.Test, len(parts))
	end := len(parts) // the first that failed
	var mu sync.Mutex // guards end
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(jobs)
	for i, part := range parts {
		mu.Lock()
		beyond := i > end
		mu.Unlock()
		if beyond {
			break
		}
		all.Go(func() error {
			run := part.run()
			run.Silent, run.Traces = true, nil
			results[i].Name = test
			err := r.Test(ctx, &results[i], run)
			if err == nil && results[i].Status != report.Pass {
				mu.Lock()
				defer mu.Unlock()
				end = min(end, i)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, false, err
	}
	if end < len(parts) {
		return results[:end+1], true, nil
	}
	return results, false, nil
}

// addUp adds the results of further parts to that of the first.
func addUp(t *result.Test, more []result.Test, seconds float64) {
	states := map[uint64]struct{}{}
	parts := append([]result.Test{*t}, more...)
	last := more[len(more)-1]
	t.Status, t.Failures, t.Failed, t.Seeds = last.Status, last.Failures, last.Failed, 0
	t.Real = seconds
	for _, part := range parts {
		t.Seeds += part.Seeds
		for _, state := range part.States {
			states[state] = struct{}{}
		}
	}
	t.Measures = slices.Clone(t.Measures)
	for i := range t.Measures {
		m := &t.Measures[i]
		switch m.Name {
		case report.DistinctStates:
			m.Value = float64(len(states))
		case report.LongestSchedule:
			for _, part := range more {
				m.Value = max(m.Value, part.Measure(m.Name))
			}
		case report.SchedulesPerSecond:
			m.Value = float64(t.Seeds) / seconds
		case report.Schedules, report.Steps:
			for _, part := range more {
				m.Value += part.Measure(m.Name)
			}
		}
	}
}
