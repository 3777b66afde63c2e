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

// minimise finds few faults of a failing run that still break the same rule, by delta debugging (Zeller and
// Hildebrandt 2002): it runs the seed with ever fewer of them. Each fault can be left out without changing any other
// message's fate. It reports false if the failure is none that faults could explain.
func (r *runner) minimise(out *outcome) (minimal, bool) {
	if os.Getenv("LABS_MINIMISE") == "0" || out.failure.Kind != report.Rule && out.failure.Kind != report.Limit {
		return minimal{}, false
	}
	faults := r.faultsOf(out.seed)
	m := &minimiser{r: r, want: out, until: time.Now().Add(minimiseTime)}
	kept := m.reduce(faults)
	res := minimal{all: len(faults), keep: set(kept), partial: m.spent()}
	return res, true
}

// faultsOf lists the faults of a seed, in the order in which they happened.
func (r *runner) faultsOf(seed uint64) (faults []labrpc.Fault) {
	r.runWith(seed, nil, func(f labrpc.Fault) bool {
		faults = append(faults, f)
		return false
	})
	return faults
}

type minimiser struct {
	r     *runner
	want  *outcome
	runs  int
	until time.Time
}

func (m *minimiser) spent() bool { return m.runs >= minimiseRuns || time.Now().After(m.until) }

// fails runs the seed with only these faults, and reports whether the same rule breaks.
func (m *minimiser) fails(only []labrpc.Fault) bool {
	m.runs++
	keep := set(only)
	out := m.r.runWith(m.want.seed, nil, func(f labrpc.Fault) bool { return !keep[f] })
	got, want := out.failure, m.want.failure
	return got != nil && got.Kind == want.Kind && got.Rule == want.Rule && shape(got.What) == shape(want.What)
}

var numbers = regexp.MustCompile(`[0-9][0-9.]*(ns|µs|ms|s|m|h)?`)

// shape is a sentence without its numbers, times and names of nodes. One rule can break in ways that have nothing to
// do with each other, and the sentence tells them apart.
func shape(what string) string { return numbers.ReplaceAllString(what, "#") }

// reduce is the algorithm ddmin, complements only: it leaves out ever smaller parts, until
// no single fault can be left out.
func (m *minimiser) reduce(faults []labrpc.Fault) []labrpc.Fault {
	if len(faults) == 0 || m.fails(nil) {
		return nil
	}
	for parts := 2; len(faults) > 1 && !m.spent(); {
		size := (len(faults) + parts - 1) / parts
		reduced := false
		for from := 0; from < len(faults) && !m.spent(); from += size {
			rest := without(faults, from, min(from+size, len(faults)))
			if m.fails(rest) {
				faults, reduced = rest, true
				parts = max(parts-1, 2)
				break
			}
		}
		if !reduced {
			if size == 1 {
				break
			}
			parts = min(2*parts, len(faults))
		}
	}
	return faults
}

func without(faults []labrpc.Fault, from, to int) []labrpc.Fault {
	return append(append([]labrpc.Fault{}, faults[:from]...), faults[to:]...)
}

func set(faults []labrpc.Fault) map[labrpc.Fault]bool {
	m := make(map[labrpc.Fault]bool, len(faults))
	for _, f := range faults {
		m[f] = true
	}
	return m
}
