package labtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// A runner runs one test over its seeds.
type runner struct {
	t     *testing.T
	cfg   Config
	body  func(*Sim)
	alone bool // without a network
	soak  bool // every seed twice, and on after a failure
	once  bool // of a soak: every seed once, as the grader compares its run with that of another build

	recorder *trace.Recorder // of the run that is recorded now
	whatIf   *whatIf         // how the run is to differ from what its seed says; nil for not at all
	current  *Sim            // in a browser: the run

	races int       // that the detector had seen in this process before the test
	told  bool      // that there is a failure
	until time.Time // when runs that explain a failure must be over; zero before

	mu       sync.Mutex
	outcomes []*outcome
	diverged []uint64
	digests  map[uint64]string           // of a soak that runs each seed once
	parted   map[uint64]trace.Difference // by diverged seed: where its two runs parted
	stop     bool
	raced    []uint64      // the seed at whose data race it stopped
	racedBy  time.Duration // when the detector had reported it by, in that run
	enough   *minimized    // of the failure that was explained
}

func newRunner(t *testing.T, cfg Config, body func(*Sim)) *runner {
	if cfg.Seeds == 0 {
		cfg.Seeds = defaultSeeds
	}
	r := &runner{t: t, cfg: cfg, body: body}
	r.chooseSoak()
	return r
}

// chooseSoak sees whether this is a soak.
func (r *runner) chooseSoak() {
	r.soak, r.once = os.Getenv("LABS_SOAK") != "", os.Getenv("LABS_SOAK") == "once"
}

func (r *runner) run() {
	r.t.Helper()
	began := time.Now()
	r.races = raceErrors()
	channel.Send(report.Event{Kind: report.Start, Test: r.t.Name()})
	seeds, enough, err := chosenSeeds(r.cfg.Seeds)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.whatIf, err = chosenWhatIf(r.alone); err != nil {
		r.t.Fatal(err)
	}
	r.runAll(seeds)
	r.sayIdle()
	result := r.result(enough)
	if len(r.raced) > 0 {
		seeds = r.raced
	}
	r.end(result, began, r.races, seeds)
}

// sayIdle names the interventions that have changed nothing.
func (r *runner) sayIdle() {
	if r.whatIf == nil {
		return
	}
	for _, token := range r.whatIf.idle() {
		fmt.Fprintf(r.t.Output(), "%s: %s has changed nothing: there was no such message under way between two nodes, the node was not down or the test does not say how to start it, or the run was over\n", whatIfEnv, token)
	}
}

// end reports the result. races is how many data races there were before the test.
func (r *runner) end(result *report.Result, began time.Time, races int, seeds []uint64) {
	r.t.Helper()
	result.Real = time.Since(began)
	result.Races = raceErrors()
	if result.Races > races {
		result.Failures = append(result.Failures, r.raceFailures(seeds)...)
	}
	if len(result.Failures) > 0 {
		result.Status = report.Fail
	}
	channel.Send(report.Event{Kind: report.End, Test: r.t.Name(), Result: result})
	for _, f := range result.Failures {
		fmt.Fprint(r.t.Output(), f.Text())
	}
	if why := r.spoils(result.Failures); why != "" {
		fmt.Fprintf(r.t.Output(), "    the other tests of this run are skipped: %s\n", why)
	}
	if result.Status == report.Fail {
		r.t.FailNow()
	}
}

// runAll runs the seeds, in order, on as many goroutines as there are processors.
func (r *runner) runAll(seeds []uint64) {
	next := make(chan uint64)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(seeds)) {
		workers.Go(func() {
			for seed := range next {
				if !r.stopped() {
					r.runOne(seed)
				}
			}
		})
	}
	for _, seed := range seeds {
		next <- seed
	}
	close(next)
	workers.Wait()
	slices.Sort(r.diverged)
	slices.SortFunc(r.outcomes, func(a, b *outcome) int { return slices.Index(seeds, a.seed) - slices.Index(seeds, b.seed) })
}

// stopped reports whether a failure has made further seeds pointless.
func (r *runner) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}

// runOne runs one seed, twice in a soak.
func (r *runner) runOne(seed uint64) {
	if r.once {
		r.runOnce(seed)
		return
	}
	var first trace.Trail
	out := r.runSeed(seed, r.compared(first.Observe))
	if recording() {
		r.keep(out)
	}
	same := true
	var where trace.Difference
	var parted bool
	if r.soak && !out.abandoned {
		second := first.Retrace()
		again := r.runSeed(seed, r.compared(second.Observe))
		where, parted = second.Parted()
		same = !parted && sameFailure(out.failure, again.failure)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, out)
	if r.soak {
		r.keepDigest(first.Sum(), out)
	}
	if !same {
		r.diverged = append(r.diverged, seed)
	}
	if parted {
		if r.parted == nil {
			r.parted = map[uint64]trace.Difference{}
		}
		r.parted[seed] = where
	}
	if out.failure != nil && !r.soak || out.abandoned {
		r.stop = true
		r.tell(out)
	}
	// Package testing writes a line of its own for each seed that raced. Where the detector's report is at hand, one seed says it all.
	if !r.soak && len(r.raced) == 0 && raceErrors() > r.races && len(report.RaceLog()) > 0 {
		r.stop, r.raced, r.racedBy = true, []uint64{seed}, out.racedBy
	}
}

// runOnce runs one seed of a soak that compares two builds. It does not keep a trail as runOne does: with the race detector a digest
// takes up to a third less of the run's time.
func (r *runner) runOnce(seed uint64) {
	var digest trace.Digest
	out := r.runSeed(seed, r.compared(digest.Observe))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, out)
	r.stop = r.stop || out.abandoned
	r.keepDigest(digest.Sum(), out)
}

// keepDigest keeps what the runs of a seed in two builds must have in common: their events, and what came of them. Of a search that
// takes all schedules of one seed, the digest is of all of them. The caller holds r.mu, or is alone.
func (r *runner) keepDigest(events trace.Sum, out *outcome) {
	said := r.digests[out.seed] + events.String()
	if out.failure != nil {
		said += out.failure.Rule + ": " + out.failure.What
	}
	sum := sha256.Sum256([]byte(said))
	if r.digests == nil {
		r.digests = map[uint64]string{}
	}
	r.digests[out.seed] = hex.EncodeToString(sum[:len(events)])
}

// compared is an observer of the events that the two runs of a soak must have in common; nil if there are none.
func (r *runner) compared(observe func(labrpc.Event)) func(labrpc.Event) {
	if !r.soak || r.cfg.Simultaneous {
		return nil
	}
	return observe
}

// tell says on the results channel that there is a failure, before it is explained: if the process is stopped meanwhile, its
// parent has it. The caller holds r.mu, or is alone.
func (r *runner) tell(out *outcome) {
	if out.failure == nil || r.told || r.soak {
		return
	}
	r.told = true
	f := *out.failure
	f.Test, f.Replay = r.t.Name(), r.replay(out.seed)
	channel.Send(report.Event{Kind: report.Found, Test: f.Test, Seed: out.seed, Failure: &f})
}

func sameFailure(a, b *report.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.What == b.What && a.Rule == b.Rule
}

// result sums up the seeds, and explains the first failure. With enough seeds, the test is vacuous unless all
// that it must cover occurred. A soak is in several processes, and what all of them together did not cover is for the grader to judge.
func (r *runner) result(enough bool) *report.Result {
	res := &report.Result{Status: report.Pass, Seeds: len(r.outcomes), Diverged: r.diverged, Digests: r.digests}
	bites, measures := map[string]bool{}, map[string]report.Measure{}
	var first *outcome
	for _, out := range r.outcomes {
		res.Virtual += out.virtual
		maps.Copy(bites, out.bites)
		for _, m := range out.measures {
			worst(measures, m)
		}
		if out.failure != nil {
			res.Failed = append(res.Failed, out.seed)
			if first == nil {
				first = out
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(measures)) {
		res.Measures = append(res.Measures, measures[name])
	}
	switch {
	case first != nil:
		res.Failures = append(res.Failures, r.explain(first))
		if m := r.enough; m != nil {
			faults, _ := m.kept()
			res.Measures = append(res.Measures, report.Measure{Name: report.Enough, Value: float64(faults), Unit: fmt.Sprintf("of %d", m.faults)})
		}
	case len(r.diverged) > 0:
		res.Failures = append(res.Failures, r.divergence())
	case r.soak:
		res.Uncovered = r.uncovered(bites)
	case enough && len(r.raced) == 0:
		if missing := r.uncovered(bites); len(missing) > 0 {
			res.Failures = append(res.Failures, report.Vacuity(r.t.Name(), missing, fmt.Sprintf("%d seeds", len(r.outcomes)), place().Replay(r.t.Name())))
		}
	}
	if len(res.Failures) > 0 {
		res.Status = report.Fail
	}
	return res
}

// uncovered lists the situations that the test must cover and that did not occur.
func (r *runner) uncovered(bites map[string]bool) (missing []string) {
	for _, what := range r.cfg.MustCover {
		if !bites[what] {
			missing = append(missing, what)
		}
	}
	return missing
}

// replay is the command that runs one seed of this test again.
func (r *runner) replay(seed uint64) string {
	command := place().ReplaySeed(r.t.Name(), seed)
	if r.whatIf != nil {
		seeds, test, _ := strings.Cut(command, " ")
		command = fmt.Sprintf("%s %s=%s %s", seeds, whatIfEnv, r.whatIf, test)
	}
	return command
}
