package labtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
	"distlabs/labrpc"
)

// order is a system whose rule only one order of three messages breaks: n3 hears n2, then n1, then n2 again.
func order(crashToo bool) func(*Sim) Scenario {
	return func(s *Sim) Scenario {
		var heard []labrpc.NodeID
		crashes := -3
		s.Always(func() *Violation {
			if len(heard) >= 3 && slices.Equal(heard[:3], []labrpc.NodeID{2, 1, 2}) && (!crashToo || crashes > 0) {
				return &Violation{What: fmt.Sprintf("n3 heard %v at %v", heard[:3], s.Net.Now()), Rule: "rule 1"}
			}
			return nil
		})
		return Scenario{
			Start: func(n *labrpc.Node) {
				crashes++
				labrpc.Receive(n, "say", func(from labrpc.NodeID, _ int) {
					labrpc.Tell(n, from, func(_ time.Duration, from labrpc.NodeID) { heard = append(heard, from) })
				})
				if n.ID() < 3 {
					labrpc.Send(n, 3, "say", 1)
					labrpc.Send(n, 3, "say", 2)
				}
			},
			State: func(see func(...int)) {
				for _, id := range heard {
					see(int(id))
				}
			},
		}
	}
}

// explored is an exploration whose failure the test looks at instead of printing it.
func explored(t *testing.T, space SearchSpace, setup func(*Sim) Scenario) (*exploration, *report.Failure) {
	x := newExploration(t, space, setup)
	search, _, err := chosenSearch(x.space)
	require.NoError(t, err)
	x.search = search
	out, c := x.hunt()
	if out == nil {
		return x, nil
	}
	f := x.explain(out, c)
	return x, &f
}

// Every strategy finds the order, shows the three steps of it and no more, and the line that it prints shows it again.
func TestExploreFindsShortensReplays(t *testing.T) {
	for _, strategy := range []Strategy{Random, PCT, DepthFirst} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Setenv("LABS_TRACE_DIR", t.TempDir())
			space := SearchSpace{Nodes: 3, Depth: 12, Crashes: 1, Losses: 1, Strategy: strategy, Schedules: 20_000}
			x, f := explored(t, space, order(false))
			require.NotNil(t, f)
			require.Empty(t, f.Notes)
			require.Contains(t, f.What, "n3 heard [n2 n1 n2]")
			require.Contains(t, f.Faults, "none; 3 of the ")
			require.Regexp(t, `n2→n3 say #\d arrives; n1→n3 say #\d arrives; n2→n3 say #\d arrives$`, f.Faults)
			require.FileExists(t, f.Diagram)
			replay := regexp.MustCompile(`^LABS_SEED=(\d+) LABS_SCHEDULE=(\S+) go test `).FindStringSubmatch(f.Replay)
			require.NotNil(t, replay, f.Replay)
			require.Regexp(t, `^d[23]\.d[01]\.d[12]$`, replay[2])

			t.Setenv("LABS_SEED", replay[1])
			t.Setenv("LABS_SCHEDULE", replay[2])
			again, g := explored(t, space, order(false))
			require.NotNil(t, g)
			require.Equal(t, f.What, g.What)
			require.Equal(t, 1, again.schedules)

			t.Setenv("LABS_SCHEDULE", "d2.d0.d0")
			_, g = explored(t, space, order(false))
			require.Nil(t, g)
			require.Positive(t, x.deepest)
		})
	}
}

// A fault that the failure needs stays, and the node starts again after it.
func TestExploreKeepsTheFault(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	_, f := explored(t, SearchSpace{Nodes: 3, Depth: 12, Crashes: 1, Schedules: 20_000}, order(true))
	require.NotNil(t, f)
	require.Contains(t, f.Faults, "1 fault; 4 of the ")
	require.Contains(t, f.Faults, "crashes and starts again")
}

// Depth-first says honestly how far it came: four messages to one node have 24 orders, and their beginnings.
func TestExploreExhausts(t *testing.T) {
	x, f := explored(t, SearchSpace{Nodes: 2, Depth: 4, Strategy: DepthFirst, Schedules: 100_000}, func(s *Sim) Scenario {
		return Scenario{Start: func(n *labrpc.Node) {
			labrpc.Receive(n, "say", func(labrpc.NodeID, int) {})
			if n.ID() == 1 {
				labrpc.Send(n, 2, "say", 1)
				labrpc.Send(n, 2, "say", 2)
			}
		}}
	})
	require.Nil(t, f)
	require.Equal(t, 4, x.exhausted)
	require.Less(t, x.schedules, 100)
	var names []string
	for _, m := range x.coverage(1) {
		names = append(names, m.Name)
	}
	require.Contains(t, names, report.Exhausted)
	require.True(t, strings.HasPrefix(coverageLine(DepthFirst, x.coverage(1)), "searched (depth-first): schedules "))
}

// A soak takes each schedule twice, goes on after a failure, and tells a schedule that does not replay.
func TestExploreSoak(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	space := SearchSpace{Nodes: 3, Depth: 12, Crashes: 1, Schedules: 100}
	x := newExploration(t, space, order(false))
	x.search, x.soak = search{strategy: Random, schedules: 100, first: 1}, true
	out, c := x.hunt()
	require.NotNil(t, out)
	require.Equal(t, out.seed, x.failed[0])
	require.Greater(t, len(x.failed), 1)
	require.Equal(t, 100, x.schedules)
	require.Empty(t, x.diverged)
	require.Contains(t, x.explain(out, c).Faults, "none; 3 of the ")
	once := newExploration(t, space, order(false))
	once.search, once.soak, once.once = x.search, true, true
	once.hunt()
	require.Len(t, once.digests, 100)
	require.Equal(t, x.digests, once.digests)

	words := 0
	x = newExploration(t, space, func(*Sim) Scenario {
		return Scenario{Start: func(n *labrpc.Node) {
			words++
			n.Note("word", words)
		}}
	})
	x.search, x.soak = search{strategy: Random, schedules: 5, first: 1}, true
	out, _ = x.hunt()
	require.Nil(t, out)
	require.Len(t, x.diverged, 5)
}

// Two explorations of one test are the same, schedule by schedule.
func TestExploreIsDeterministic(t *testing.T) {
	run := func(strategy Strategy) (int, int, int) {
		x, _ := explored(t, SearchSpace{Nodes: 3, Depth: 9, Crashes: 1, Losses: 2, Strategy: strategy, Schedules: 200}, order(true))
		return x.schedules, x.steps, len(x.seen)
	}
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	for _, strategy := range []Strategy{Random, PCT, DepthFirst} {
		a, b, c := run(strategy)
		d, e, f := run(strategy)
		require.Equal(t, []int{a, b, c}, []int{d, e, f}, strategy)
		require.Greater(t, c, 3)
	}
}

func TestChosenSearch(t *testing.T) {
	space := SearchSpace{}.withDefaults()
	for _, test := range []struct {
		name, explore, schedule, seed, seeds string
		want                                 search
		enough                               bool
		err                                  string
	}{
		{name: "the default", want: search{strategy: PCT, schedules: 300, first: 1}, enough: true},
		{name: "a strategy", explore: "random:50", want: search{strategy: Random, schedules: 50, first: 1}},
		{name: "the test's own", explore: "own:50", want: search{strategy: PCT, schedules: 50, first: 1}},
		{name: "a first seed", explore: "depth-first:5:9", want: search{strategy: DepthFirst, schedules: 5, first: 9}},
		{name: "one seed", seed: "9", want: search{strategy: PCT, schedules: 1, first: 9}},
		{name: "as many as seeds", seeds: "1000", want: search{strategy: PCT, schedules: 1000, first: 1}, enough: true},
		{name: "a range of seeds", seeds: "5-7", want: search{strategy: PCT, schedules: 3, first: 5}},
		{name: "an unknown strategy", explore: "luck:5", err: `LABS_EXPLORE="luck:5": want a strategy (own, random, pct, depth-first, by-state or sampled)`},
		{name: "no number", explore: "pct", err: `LABS_EXPLORE="pct"`},
		{name: "no schedules", explore: "pct:0", err: `LABS_EXPLORE="pct:0"`},
		{name: "a schedule that is none", schedule: "d0.q", err: `explore: step 2 of the schedule is "q"`},
		{name: "no seed", seed: "x", err: `LABS_SEED="x" is not a seed`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("LABS_EXPLORE", test.explore)
			t.Setenv("LABS_SCHEDULE", test.schedule)
			t.Setenv("LABS_SEED", test.seed)
			t.Setenv("LABS_SEEDS", test.seeds)
			got, enough, err := chosenSearch(space)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.enough, enough)
		})
	}
}
