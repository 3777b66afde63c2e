package labtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/explore"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// An exploration is one test that searches schedules.
type exploration struct {
	runner // for the form of its failures
	space  SearchSpace
	setup  func(*Sim) Scenario
	where  string // of the test
	search search
	last   *schedule

	playing bool // a person chooses

	bites    map[string]bool
	measures map[string]report.Measure

	failed    []uint64
	seen      map[uint64]struct{}
	schedules int
	steps     int
	deepest   int
	exhausted int // depth up to which all schedules were tried
}

func newExploration(t *testing.T, space SearchSpace, setup func(*Sim) Scenario) *exploration {
	space = space.withDefaults()
	return &exploration{
		runner: runner{t: t, cfg: Config{Nodes: space.Nodes, MustCover: space.MustCover}},
		space:  space, setup: setup, where: callerInTest(),
		bites: map[string]bool{}, measures: map[string]report.Measure{}, seen: map[uint64]struct{}{},
	}
}

func (x *exploration) run() {
	x.t.Helper()
	began, races := time.Now(), raceErrors()
	channel.Send(report.Event{Kind: report.Start, Test: x.t.Name()})
	search, enough, err := chosenSearch(x.space)
	if err != nil {
		x.t.Fatal(err)
	}
	x.search = search
	x.chooseSoak()
	out, c := x.hunt()
	if out == nil && search.script != nil && recording() {
		x.keepSchedule(search)
	}
	res := &report.Result{
		Status: report.Pass, Seeds: x.schedules, Failed: x.failed, Diverged: x.diverged, Digests: x.digests, Measures: x.coverage(time.Since(began)),
	}
	if out != nil {
		res.Failures = append(res.Failures, x.explain(out, c))
	} else if len(x.diverged) > 0 {
		res.Failures = append(res.Failures, report.Failure{
			Test: x.t.Name(), Kind: report.Malformed, Rule: report.SameSeed, Seed: x.diverged[0], Replay: x.replay(x.diverged[0]),
			What: fmt.Sprintf("%d of %d schedules did not replay the same", len(x.diverged), x.schedules),
		})
	} else if missing := x.uncovered(x.bites); x.soak {
		res.Uncovered = missing
	} else if enough && len(missing) > 0 {
		res.Failures = append(res.Failures, report.Vacuity(x.t.Name(), missing, fmt.Sprintf("%d schedules", x.schedules), place().Replay(x.t.Name())))
	}
	if exploring() && search.script == nil {
		if len(x.seen) <= maxStates {
			res.States = slices.Sorted(maps.Keys(x.seen))
		}
		fmt.Fprintln(x.t.Output(), coverageLine(search.strategy, res.Measures))
	}
	x.end(res, began, races, nil)
}

// maxStates is how many states a process tells of: more than a part of a search has, and as text less than what a process may say.
// A search that is whole in one process has nobody to add its states to.
const maxStates = 1 << 18

// coverageLine says how much was searched, in a line.
func coverageLine(strategy Strategy, measures []report.Measure) string {
	words := make([]string, len(measures))
	for i, m := range measures {
		words[i] = strings.TrimRight(fmt.Sprintf("%s %.0f %s", m.Name, m.Value, m.Unit), " ")
	}
	return fmt.Sprintf("searched (%s): %s", strategy, strings.Join(words, ", "))
}

// coverage says how much was searched.
func (x *exploration) coverage(real time.Duration) []report.Measure {
	measures := []report.Measure{
		{Name: report.Schedules, Value: float64(x.schedules)},
		{Name: report.Steps, Value: float64(x.steps)},
		{Name: report.LongestSchedule, Value: float64(x.deepest), Unit: "steps"},
	}
	if len(x.seen) > 0 {
		measures = append(measures, report.Measure{Name: report.DistinctStates, Value: float64(len(x.seen))})
	}
	if all := map[Strategy]string{DepthFirst: report.Exhausted, ByState: report.ExhaustedByState}[x.search.strategy]; all != "" && x.search.script == nil {
		measures = append(measures, report.Measure{Name: all, Value: float64(x.exhausted), Unit: "steps"})
	}
	if exploring() {
		measures = append(measures, report.Measure{Name: report.SchedulesPerSecond, Value: float64(x.schedules) / real.Seconds()})
	}
	return measures
}

// hunt runs schedules until one fails, and returns that one: the first, in a soak, which goes on.
func (x *exploration) hunt() (found *outcome, its *schedule) {
	if x.search.strategy == Sampled && x.search.script == nil {
		return x.sample(), nil
	}
	strategy := x.newStrategy()
	dfs, _ := strategy.(*explore.DepthFirst)
	for x.schedules < x.search.schedules {
		seed, ok := strategy.Begin()
		if dfs != nil {
			x.exhausted = dfs.Exhausted()
		}
		if !ok {
			break
		}
		c := x.newSchedule(strategy)
		var observe func(labrpc.Event)
		var digest trace.Digest
		if x.soak {
			observe = digest.Observe
		}
		out := x.runSchedule(c, seed, observe)
		x.schedules++
		x.steps += c.depth
		x.deepest = max(x.deepest, c.depth)
		if x.soak {
			x.keepDigest(digest.Sum(), out)
		}
		if x.soak && !x.once && !out.abandoned {
			var second trace.Digest
			if again, _ := x.runScript(seed, c.tokens, second.Observe); digest.Sum() != second.Sum() || !sameFailure(out.failure, again.failure) {
				x.diverged = append(x.diverged, seed)
			}
		}
		if out.failure == nil {
			continue
		}
		x.failed = append(x.failed, seed)
		if found == nil {
			found, its, x.last = out, c, nil
			x.tell(out)
		}
		if out.abandoned {
			x.last = nil // its network may still use the slices
		}
		if !x.soak || out.abandoned {
			break
		}
	}
	return found, its
}

// newSchedule is a schedule that uses the slices of the last one again.
func (x *exploration) newSchedule(strategy explore.Strategy) *schedule {
	c := &schedule{strategy: strategy, seen: x.seen, record: true}
	if x.last != nil {
		c.choices, c.message, c.taken, c.tokens = x.last.choices, x.last.message, x.last.taken[:0], x.last.tokens[:0]
	}
	x.last = c
	return c
}

func (x *exploration) newStrategy() explore.Strategy {
	b, first := x.space.bounds(), x.search.first
	switch {
	case x.search.script != nil:
		return explore.NewScript(first, x.search.script)
	case x.search.strategy == Random:
		return explore.NewRandom(b, first)
	case x.search.strategy == DepthFirst:
		return explore.NewDepthFirst(b, first)
	case x.search.strategy == ByState:
		return explore.NewByState(b, first)
	}
	return explore.NewPCT(b, first, pctChanges)
}

// explain completes the failure of a schedule: it takes it once more, looks for the few steps that suffice, and shows the run with just
// those. c is nil for a sampled run, which has no schedule.
func (x *exploration) explain(out *outcome, c *schedule) report.Failure {
	f := *out.failure
	f.Test, f.Replay = x.t.Name(), place().Replay(x.t.Name())
	if c == nil {
		f.Replay = x.replay(out.seed)
		return f
	}
	all := len(c.tokens)
	f.Replay = x.replaySchedule(out.seed, c.tokens)
	if out.abandoned || f.Kind == report.Leak {
		return f
	}
	x.until = time.Now().Add(explainTime)
	defer func() { x.until = time.Time{} }()
	again, _ := x.runScript(out.seed, c.tokens, nil)
	if !sameFailure(&f, again.failure) {
		f.Notes = append(f.Notes, "this schedule does not replay the same: see One seed, one run in labrpc's documentation")
	}
	steps, tokens, partial := x.shorten(out, c)
	rec := x.newRecorder(out.seed)
	x.recorder = rec
	less, _ := x.runScript(out.seed, tokens, rec.Observe)
	x.recorder = nil
	if less.failure != nil {
		f.What, f.Seen, f.Where = less.failure.What, less.failure.Seen, less.failure.Where
		f.Replay = x.replaySchedule(out.seed, tokens)
		f.Faults = stepLine(steps, all, partial)
		out = less
	}
	run := rec.Run()
	f.Trace = trace.Text(run, trace.Options{
		Nodes: out.nodes, Fold: true, Past: len(out.nodes) > 0, Until: out.failedAt, Keep: run.Names(out.failedAt, f.What, f.Seen...).Keep,
	})
	run.Header.Violation = &trace.Violation{At: out.failedAt}
	if path, err := x.write(run, f); err == nil {
		f.Diagram = path
	} else {
		f.Notes = append(f.Notes, err.Error())
	}
	return f
}

// stepLine says how many faults are in the schedule, and which of its steps suffice.
func stepLine(steps []explore.Choice, all int, partial bool) string {
	faults, words := 0, make([]string, 0, len(steps))
	for _, c := range steps {
		if c.IsFault() {
			faults++
		}
		words = append(words, c.String())
	}
	count := "none"
	if faults > 0 {
		count = plural(faults, "fault")
	}
	more := ""
	if partial {
		more = " (perhaps fewer: the search stopped at its limit)"
	}
	shown := strings.Join(words[:min(len(words), 12)], "; ")
	if len(words) > 12 {
		shown += fmt.Sprintf("; and %d more", len(words)-12)
	}
	return fmt.Sprintf("%s; %d of the %s of this schedule %s%s: %s", count, len(steps), plural(all, "step"), verb(len(steps), "suffices", "suffice"), more, shown)
}

// runScript runs one written schedule.
func (x *exploration) runScript(seed uint64, tokens []explore.Token, observe func(labrpc.Event)) (*outcome, *schedule) {
	return x.runStrategy(explore.NewScript(seed, tokens), observe)
}

// runStrategy runs the one schedule of a strategy.
func (x *exploration) runStrategy(st explore.Strategy, observe func(labrpc.Event)) (*outcome, *schedule) {
	seed, _ := st.Begin()
	c := &schedule{strategy: st, record: true}
	return x.runSchedule(c, seed, observe), c
}

// shortenRuns bounds how often a schedule is run to shorten it.
const shortenRuns = 3000

// shorten finds few steps that still break the same rule, by delta debugging.
func (x *exploration) shorten(out *outcome, c *schedule) (steps []explore.Choice, tokens []explore.Token, partial bool) {
	steps, tokens = c.taken, c.tokens
	if out.failure.Kind != report.Rule || !minimising() {
		return steps, tokens, false
	}
	b := &budget{runs: shortenRuns, until: time.Now().Add(minimiseTime)}
	fails := func(some []explore.Choice) bool {
		b.runs--
		got, s := x.runStrategy(explore.NewReplay(out.seed, some), nil)
		if !sameRule(got.failure, out.failure) {
			return false
		}
		steps, tokens = s.taken, s.tokens
		return true
	}
	if !fails(slices.Clone(c.taken)) {
		return steps, tokens, false // not deterministic
	}
	// Faults first, the simplest explanation has none; then all the rest.
	faults := slices.DeleteFunc(slices.Clone(steps), func(c explore.Choice) bool { return !c.IsFault() })
	all := slices.Clone(steps)
	reduce(faults, func(some []explore.Choice) bool {
		return fails(slices.DeleteFunc(slices.Clone(all), func(c explore.Choice) bool {
			return c.IsFault() && !slices.Contains(some, c)
		}))
	}, b.spent)
	for i, s := range steps { // a copy that need not be one
		if s.Act == explore.Copy {
			simpler := slices.Clone(steps)
			simpler[i].Act = explore.Deliver
			fails(simpler)
		}
	}
	reduce(slices.Clone(steps), fails, b.spent)
	return steps, tokens, b.spent()
}

func (x *exploration) replaySchedule(seed uint64, tokens []explore.Token) string {
	return fmt.Sprintf("LABS_SEED=%d LABS_SCHEDULE=%s %s", seed, explore.Format(tokens), place().Replay(x.t.Name()))
}

// sampledTime is how long a sampled run lasts, in virtual time.
const sampledTime = 2 * time.Second

// sample runs the scenario on links that lose and delay by the seed, with crashes at random times, until a seed fails.
func (x *exploration) sample() *outcome {
	cfg := x.cfg
	cfg.Link = labrpc.Reliable()
	if x.space.Losses > 0 {
		cfg.Link = labrpc.FairLoss(0.1)
	}
	var scenario Scenario
	x.runner.cfg, x.runner.body = cfg, func(s *Sim) {
		scenario = x.setup(s)
		s.StartAll(scenario.Start)
		x.crashAtRandom(s, scenario)
	}
	arrives := func(e labrpc.Event) {
		if e.Kind == labrpc.EventDelivered && scenario.OnDelivery != nil {
			scenario.OnDelivery(Arrival{From: e.From, To: e.To, Kind: e.Message, Body: e.Body})
		}
	}
	for ; x.schedules < x.search.schedules; x.schedules++ {
		if out := x.runSeed(x.search.first+uint64(x.schedules), arrives); out.failure != nil {
			x.schedules++
			x.failed = append(x.failed, out.seed)
			return out
		}
	}
	return nil
}

// crashAtRandom lets time pass, with as many crashes as a schedule may have.
func (x *exploration) crashAtRandom(s *Sim, scenario Scenario) {
	restart := func() {
		for _, id := range s.Net.Nodes() {
			if !s.Net.Up(id) {
				scenario.Start(s.Start(id))
			}
		}
	}
	for range x.space.Crashes {
		s.Until(time.Duration(s.Rand().Int64N(int64(sampledTime)/int64(x.space.Crashes))), func() bool { return false })
		id := labrpc.NodeID(1 + s.Rand().IntN(x.space.Nodes))
		switch s.Rand().IntN(3) {
		case 0:
			s.Net.Crash(id)
		case 1:
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1})
		case 2:
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{Write: s.Net.Writes(id) + 1, After: true})
		}
		restart()
	}
	down := func() bool {
		for _, id := range s.Net.Nodes() {
			if !s.Net.Up(id) {
				return true
			}
		}
		return false
	}
	for s.Net.Now() < sampledTime {
		if s.Until(sampledTime-s.Net.Now(), down) {
			restart()
		}
	}
}
