package labtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/labrpc"
)

// The budget of minimising: how many runs, and how much real time if they are long. The
// number comes first, so that the result is the same every time except for very slow runs.
const (
	minimiseRuns = 300
	minimiseTime = 4 * time.Second
	// explainTime bounds one run that is made to explain a failure.
	explainTime = 10 * time.Second
)

// faultStep is a step of the test's own: see Sim.Step.
const faultStep labrpc.FaultKind = "step"

// A minimized is what minimising a failure found.
type minimized struct {
	faults, steps int                   // of the failing run
	all           []labrpc.Fault        // the faults of the failing run
	keep          map[labrpc.Fault]bool // those that are enough for the same rule to break
	partial       bool                  // the budget ended before no single one could be left out
}

// kept returns how many faults, and how many steps, are enough.
func (m minimized) kept() (faults, steps int) {
	for f := range m.keep {
		if f.Kind == faultStep {
			steps++
		} else {
			faults++
		}
	}
	return faults, steps
}

// minimising reports whether failures are to be minimised.
func minimising() bool { return os.Getenv("LABS_MINIMISE") != "0" }

// minimise finds few faults of a failing run, and few steps of its test, that still break the same rule, by delta debugging
// (Zeller and Hildebrandt 2002): it runs the seed with ever fewer of them. Each fault can be left out without changing any
// other message's fate. It reports false if the failure is none that faults could explain.
//
// Where the budget ends first, a later run goes on from what was reached.
func (r *runner) minimise(out *outcome) (minimized, bool) {
	if !minimising() || r.whatIf != nil || out.failure.Kind != report.Rule && out.failure.Kind != report.Limit {
		return minimized{}, false
	}
	b := &budget{runs: minimiseRuns, until: time.Now().Add(minimiseTime)}
	r.until = b.until
	faults, steps := split(r.faultsOf(out.seed))
	m := minimized{faults: len(faults), steps: len(steps), all: faults}
	faults, premise := out.removable(faults)
	fails := func(only []labrpc.Fault) bool {
		b.runs--
		keep := set(slices.Concat(only, premise))
		got := r.runWith(out.seed, nil, func(f labrpc.Fault) bool { return !keep[f] })
		return sameRule(got.failure, out.failure)
	}
	if saved := r.reached(out.seed); len(saved) > 0 && fails(saved) {
		faults, steps = split(saved)
		faults, _ = out.removable(faults)
	}
	faults = reduce(faults, func(some []labrpc.Fault) bool { return fails(slices.Concat(some, steps)) }, b.spent)
	if before := len(steps); before > 0 {
		steps = reduce(steps, func(some []labrpc.Fault) bool { return fails(slices.Concat(faults, some)) }, b.spent)
		if len(steps) < before { // fewer steps may need fewer faults
			faults, steps = split(reduce(slices.Concat(faults, steps), fails, b.spent))
		}
	}
	kept := slices.Concat(premise, faults, steps)
	m.keep, m.partial = set(kept), b.spent()
	r.reach(out.seed, kept, m.partial)
	return m, true
}

// removable parts the faults that may be left out from those that are the premise of the failure. Where the test's own script
// asked for something, such as a leader on one side of a cut, then its cuts, crashes, pauses and jumps of clocks are why it could ask: without
// them the same words would fail for no fault of the student. What is wrong at any instant of any run needs no such reason.
func (out *outcome) removable(faults []labrpc.Fault) (these, premise []labrpc.Fault) {
	if !out.scripted {
		return faults, nil
	}
	for _, f := range faults {
		if byTest(f) {
			premise = append(premise, f)
		} else {
			these = append(these, f)
		}
	}
	return these, premise
}

// split parts the faults from the test's steps.
func split(all []labrpc.Fault) (faults, steps []labrpc.Fault) {
	for _, f := range all {
		if f.Kind == faultStep {
			steps = append(steps, f)
		} else {
			faults = append(faults, f)
		}
	}
	return faults, steps
}

// reached returns what an earlier run, whose budget ended, had reached for a seed; nil if there was none.
func (r *runner) reached(seed uint64) (kept []labrpc.Fault) {
	dir, _ := traceDir()
	text, err := os.ReadFile(filepath.Join(dir, r.reachedName(seed)))
	if err != nil || json.Unmarshal(text, &kept) != nil {
		return nil
	}
	return kept
}

// reach keeps what was reached if there is more to do. Without the file, a later run begins again.
func (r *runner) reach(seed uint64, kept []labrpc.Fault, partial bool) {
	dir, _ := traceDir()
	path := filepath.Join(dir, r.reachedName(seed))
	if !partial {
		os.Remove(path)
		return
	}
	if text, err := json.Marshal(kept); err == nil && os.MkdirAll(dir, 0o755) == nil {
		os.WriteFile(path, text, 0o644)
	}
}

func (r *runner) reachedName(seed uint64) string {
	return fmt.Sprintf("%s-%d.partial.json", r.t.Name(), seed)
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
