package labtest

import (
	"os"
	"regexp"
	"time"

	"distlabs/internal/report"
	"distlabs/labrpc"
)

// The budget of minimising: how many runs, and how much real time if they are long. The
// number comes first, so that the result is the same every time except for very slow runs.
const (
	minimiseRuns = 300
	minimiseTime = 15 * time.Second
)

// A minimal is what minimising a failure found.
type minimal struct {
	all     int                   // faults of the failing run
	keep    map[labrpc.Fault]bool // those that are enough for the same rule to break
	partial bool                  // the budget ended before no single fault could be left out
}

// minimising reports whether failures are to be minimised.
func minimising() bool { return os.Getenv("LABS_MINIMISE") != "0" }

// minimise finds few faults of a failing run that still break the same rule, by delta debugging (Zeller and
// Hildebrandt 2002): it runs the seed with ever fewer of them. Each fault can be left out without changing any other
// message's fate. It reports false if the failure is none that faults could explain.
func (r *runner) minimise(out *outcome) (minimal, bool) {
	if !minimising() || out.failure.Kind != report.Rule && out.failure.Kind != report.Limit {
		return minimal{}, false
	}
	faults := r.faultsOf(out.seed)
	b := &budget{runs: minimiseRuns, until: time.Now().Add(minimiseTime)}
	fails := func(only []labrpc.Fault) bool {
		b.runs--
		keep := set(only)
		got := r.runWith(out.seed, nil, func(f labrpc.Fault) bool { return !keep[f] })
		return sameRule(got.failure, out.failure)
	}
	kept := reduce(faults, fails, b.spent)
	return minimal{all: len(faults), keep: set(kept), partial: b.spent()}, true
}

// faultsOf lists the faults of a seed, in the order in which they happened.
func (r *runner) faultsOf(seed uint64) (faults []labrpc.Fault) {
	r.runWith(seed, nil, func(f labrpc.Fault) bool {
		faults = append(faults, f)
		return false
	})
	return faults
}

// A budget is what minimising may still cost.
type budget struct {
	runs  int
	until time.Time
}

func (b *budget) spent() bool { return b.runs <= 0 || time.Now().After(b.until) }

// sameRule reports whether two failures are the same rule, broken in the same way.
func sameRule(got, want *report.Failure) bool {
	return got != nil && got.Kind == want.Kind && got.Rule == want.Rule && shape(got.What) == shape(want.What)
}

var numbers = regexp.MustCompile(`[0-9][0-9.]*(ns|µs|ms|s|m|h)?`)

// shape is a sentence without its numbers, times and names of nodes. One rule can break in ways that have nothing to
// do with each other, and the sentence tells them apart.
func shape(what string) string { return numbers.ReplaceAllString(what, "#") }

// reduce is the algorithm ddmin, complements only: it leaves out ever smaller parts of what fails, until
// no single thing can be left out or the budget is spent.
func reduce[T any](all []T, fails func([]T) bool, spent func() bool) []T {
	if len(all) == 0 || fails(nil) {
		return nil
	}
	for parts := 2; len(all) > 1 && !spent(); {
		size := (len(all) + parts - 1) / parts
		reduced := false
		for from := 0; from < len(all) && !spent(); from += size {
			rest := without(all, from, min(from+size, len(all)))
			if fails(rest) {
				all, reduced = rest, true
				parts = max(parts-1, 2)
				break
			}
		}
		if !reduced {
			if size == 1 {
				break
			}
			parts = min(2*parts, len(all))
		}
	}
	return all
}

func without[T any](all []T, from, to int) []T {
	return append(append([]T{}, all[:from]...), all[to:]...)
}

func set(faults []labrpc.Fault) map[labrpc.Fault]bool {
	m := make(map[labrpc.Fault]bool, len(faults))
	for _, f := range faults {
		m[f] = true
	}
	return m
}
