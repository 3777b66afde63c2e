package labtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/report"
	"distlabs/labrpc"
)

func TestMain(m *testing.M) { Main(m) }

func TestChosenSeeds(t *testing.T) {
	for _, test := range []struct {
		name, seed, seeds, extra string
		want                     []uint64
		enough                   bool
		err                      string
	}{
		{name: "the default", want: []uint64{1, 2, 3}, enough: true},
		{name: "one seed", seed: "81", want: []uint64{81}},
		{name: "one seed beats several", seed: "81", seeds: "2", want: []uint64{81}},
		{name: "a number of seeds", seeds: "2", want: []uint64{1, 2}},
		{name: "a range", seeds: "5-7", want: []uint64{5, 6, 7}, enough: true},
		{name: "a list", seeds: "9,3", want: []uint64{9, 3}},
		{name: "a list of ranges", seeds: "9,3-4", want: []uint64{9, 3, 4}, enough: true},
		{name: "more than the test's own", extra: "18446744073709551615,2", want: []uint64{1, 2, 3, 18446744073709551615}, enough: true},
		{name: "more than a range", seeds: "5-6", extra: "9", want: []uint64{5, 6, 9}},
		{name: "one seed and no more", seed: "81", extra: "9", want: []uint64{81}},
		{name: "no numbers more", extra: "9;3", err: `LABS_EXTRA_SEEDS="9;3"`},
		{name: "no number", seed: "x", err: `LABS_SEED="x" is not a seed`},
		{name: "half a range", seeds: "3-", err: `LABS_SEEDS="3-"`},
		{name: "an empty range", seeds: "7-5", err: `the range "7-5" is empty or too long`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("LABS_SEED", test.seed)
			t.Setenv("LABS_SEEDS", test.seeds)
			t.Setenv("LABS_EXTRA_SEEDS", test.extra)
			got, enough, err := chosenSeeds(3)
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

// Of a measure over several seeds the worst counts, whichever side of its bound that is.
func TestWorstMeasure(t *testing.T) {
	all := map[string]report.Measure{}
	for _, v := range []float64{2, 5, 3} {
		worst(all, report.Measure{Name: "detection time", Value: v, Bound: "≤ 6ms"})
		worst(all, report.Measure{Name: "throughput", Value: v, Bound: "≥ 1/s"})
	}
	require.Equal(t, 5.0, all["detection time"].Value)
	require.Equal(t, 2.0, all["throughput"].Value)
}

func TestPlainText(t *testing.T) {
	require.Equal(t, "Not equal: expected: 1 actual  : 2 after a vote",
		plainText("\n\tError Trace:\tx_test.go:3\n\tError:      \tNot equal: \n\texpected: 1\n\tactual  : 2\n\tTest: TestX\n\tMessages:   \tafter a vote"))
}

// runnerOf is a runner whose failures this test looks at instead of printing them.
func runnerOf(t *testing.T, cfg Config, body func(*Sim)) *report.Result {
	r := newRunner(t, cfg, body)
	seeds, enough, err := chosenSeeds(r.cfg.Seeds)
	require.NoError(t, err)
	r.runAll(seeds)
	return r.result(enough)
}

// A fresh bubble, network and random source a seed; nothing of one seed reaches the next.
func TestSeedsAreSeparate(t *testing.T) {
	var mu sync.Mutex
	drawn := map[uint64][]int{}
	body := func(s *Sim) {
		require.Equal(s, 0, s.Net.Stats(labrpc.Match{}).Sent)
		require.Equal(s, 2, len(s.Net.Nodes()))
		require.Less(s, s.Net.Now(), time.Second)
		s.Run(time.Hour / 100)
		mu.Lock()
		defer mu.Unlock()
		drawn[s.Seed] = append(drawn[s.Seed], s.Rand().IntN(1_000_000))
	}
	for range 2 {
		res := runnerOf(t, Config{Nodes: 2, Seeds: 4}, body)
		require.Equal(t, report.Pass, res.Status)
		require.Equal(t, 4, res.Seeds)
		require.Greater(t, res.Virtual, 4*time.Hour/100)
	}
	require.Len(t, drawn, 4)
	for seed, two := range drawn {
		require.Equal(t, two[0], two[1], "seed %d draws the same every time", seed)
	}
	require.NotEqual(t, drawn[1], drawn[2])
}

// The lowest failing seed is reported, whichever finished first, and no seed after it is begun for nothing.
func TestFirstFailureFirst(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	res := runnerOf(t, Config{Nodes: 1, Seeds: 500}, func(s *Sim) {
		s.Run(time.Second)
		if s.Seed >= 3 {
			s.Failf("rule 1", "seed %d fails", s.Seed)
		}
	})
	require.Equal(t, report.Fail, res.Status)
	require.Len(t, res.Failures, 1)
	require.Equal(t, "by 1.000s, seed 3 fails", res.Failures[0].What)
	require.Equal(t, uint64(3), res.Failures[0].Seed)
	require.Less(t, res.Seeds, 50)
}

// What a test must cover is asked of as many seeds as the test has by default, or more: fewer may well miss it. A soak leaves the verdict to the
// grader, which knows what its other processes covered.
func TestMustCover(t *testing.T) {
	cfg := Config{Nodes: 1, Seeds: 3, MustCover: []string{"seed two ran"}}
	body := func(s *Sim) {
		if s.Seed == 2 {
			s.Cover("seed two ran")
		}
	}
	require.Equal(t, report.Pass, runnerOf(t, cfg, body).Status)
	cfg.Seeds = 1
	res := runnerOf(t, cfg, body)
	require.Equal(t, report.Fail, res.Status)
	require.Equal(t, report.Vacuous, res.Failures[0].Kind)
	t.Setenv("LABS_SEEDS", "3-9")
	require.Equal(t, report.Fail, runnerOf(t, cfg, body).Status)
	t.Setenv("LABS_SOAK", "1")
	res = runnerOf(t, cfg, body)
	require.Equal(t, report.Pass, res.Status)
	require.Equal(t, cfg.MustCover, res.Uncovered)
	t.Setenv("LABS_SEEDS", "1-9")
	require.Empty(t, runnerOf(t, cfg, body).Uncovered)
	t.Setenv("LABS_SOAK", "")
	t.Setenv("LABS_SEEDS", "1,4")
	cfg.Seeds = 3
	require.Equal(t, report.Pass, runnerOf(t, cfg, body).Status)
	t.Setenv("LABS_SEED", "1")
	cfg.Seeds = 1
	require.Equal(t, report.Pass, runnerOf(t, cfg, body).Status)
}

// A soak goes on after failures, and finds the seeds that do not replay.
func TestSoak(t *testing.T) {
	t.Setenv("LABS_SOAK", "1")
	t.Setenv("LABS_SEEDS", "20")
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	var mu sync.Mutex
	runs := map[uint64]int{}
	body := func(s *Sim) {
		mu.Lock()
		runs[s.Seed]++
		n := runs[s.Seed]
		mu.Unlock()
		node := s.Start(1)
		s.Run(time.Second)
		if s.Seed == 7 {
			node.Logf("run %d", n) // differs from run to run
			s.Run(time.Second)
		}
		if s.Seed == 3 || s.Seed == 9 {
			s.Failf("rule 1", "always fails")
		}
		if s.Seed == 5 && n%2 == 0 {
			s.Failf("rule 1", "fails every second time")
		}
	}
	res := runnerOf(t, Config{Nodes: 2}, body)
	require.Equal(t, 20, res.Seeds)
	require.Equal(t, []uint64{3, 9}, res.Failed)
	require.Equal(t, []uint64{5, 7}, slices.Clip(res.Diverged))
	require.Equal(t, 2, runs[1])
	digests := res.Digests
	require.Len(t, digests, 20)
	require.NotEqual(t, digests[1], digests[7])
	require.NotEqual(t, digests[1], digests[3])

	t.Setenv("LABS_SOAK", "once")
	clear(runs)
	res = runnerOf(t, Config{Nodes: 2}, body)
	require.Equal(t, []uint64{3, 9}, res.Failed)
	require.Equal(t, digests, res.Digests)
	require.Equal(t, 1, runs[1])
	t.Setenv("LABS_SOAK", "1")

	clear(runs)
	res = runnerOf(t, Config{Nodes: 2, Simultaneous: true}, body)
	require.Equal(t, []uint64{5}, slices.Clip(res.Diverged), "what each run did is not compared, what came of it is")
}

// Where the two runs of a seed part is told, although they may never do so again.
func TestSoakSaysWhereRunsPart(t *testing.T) {
	t.Setenv("LABS_SOAK", "1")
	t.Setenv("LABS_SEEDS", "3")
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	runs := 0
	res := runnerOf(t, Config{Nodes: 2}, func(s *Sim) {
		node := s.Start(1)
		s.Run(time.Second)
		if s.Seed == 2 {
			if runs++; runs == 2 {
				node = s.Start(2)
			}
		}
		node.Logf("and now?")
		s.Run(time.Second)
	})
	require.Equal(t, []uint64{2}, slices.Clip(res.Diverged))
	require.Equal(t, []string{"the two runs of seed 2 part at step 2 at 1.000s: n1 logged \"and now?\" in one run, n2 started in the other"}, res.Failures[0].Seen)
}

// Always sees every step: a state that lasts from one delivery to the next is not missed.
func TestAlwaysSeesEveryStep(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	res := runnerOf(t, Config{Nodes: 2, Seeds: 1, Link: labrpc.Link{Latency: labrpc.Fixed(time.Millisecond)}}, func(s *Sim) {
		var mu sync.Mutex
		state := 0
		a, b := s.Start(1), s.Start(2)
		labrpc.Receive(b, "set", func(_ labrpc.NodeID, v int) {
			mu.Lock()
			defer mu.Unlock()
			state = v
		})
		s.Always(func() *Violation {
			mu.Lock()
			defer mu.Unlock()
			if state == 500 {
				return &Violation{What: "the state was 500", Rule: "never 500"}
			}
			return nil
		})
		go func() {
			for i := range 1000 {
				labrpc.Send(a, 2, "set", i)
				time.Sleep(2 * time.Microsecond)
			}
		}()
		s.Run(time.Minute)
	})
	require.Equal(t, []uint64{1}, res.Failed)
	require.Equal(t, "by 0.002s, the state was 500", res.Failures[0].What)
	require.NotEmpty(t, res.Failures[0].Trace)
	require.FileExists(t, res.Failures[0].Diagram)
}

// A body without a network still has virtual time.
func TestOnce(t *testing.T) {
	began := time.Now()
	Once(t, func(s *Sim) {
		s.Run(9 * time.Minute)
		require.Nil(s, s.Net)
	})
	require.Less(t, time.Since(began), 5*time.Minute)
}

// A failure that needs two faults of many is shown with those two. If it was the script that asked, what the script
// did to the network stays.
func TestMinimise(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	for _, tc := range []struct {
		name   string
		always bool // whether the rule holds at any instant of any run
		faults string
		what   string
	}{
		{name: "a rule of every run", always: true, faults: `^[12] of the \d\d faults that this seed injects suffices?: n1→n2 .*; the test itself made 1 fault: cut n1→n2 from 1.050s to 1.150s$`,
			what: "by 2.000s, message 21 and at least 3 others were lost, 4 in all"},
		{name: "a wish of the script", faults: `^2 of the \d\d faults that this seed injects suffice: .*; the test itself made 3 faults: cut n3 \| n1 n2 from 0.550s to 1.150s, cut n1→n2 from 1.050s to 1.150s, n3 crashed at `,
			what: "by 3.000s, message 21 and at least 3 others were lost, 4 in all"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := runnerOf(t, Config{Nodes: 3, Seeds: 1, Link: labrpc.FairLoss(0.3)}, func(s *Sim) {
				heard, over := map[int]bool{}, false
				s.Always(func() *Violation {
					if lost := 40 - len(heard); tc.always && over && !heard[21] && lost > 3 {
						return &Violation{Rule: "rule 1", What: fmt.Sprintf("message 21 and at least 3 others were lost, %d in all", lost)}
					}
					return nil
				})
				loseSome(s, heard)
				over = true
				s.Logf("all is sent")
				s.Run(time.Second)
				if lost := 40 - len(heard); !heard[21] && lost > 3 {
					s.Failf("rule 1", "message 21 and at least 3 others were lost, %d in all", lost)
				}
			})
			require.Len(t, res.Failures, 1)
			f := res.Failures[0]
			require.Regexp(t, tc.faults, f.Faults)
			require.Equal(t, tc.what, f.What)
		})
	}
}

// The faults line counts the faults that it lists. It does not say that a run has no faults if a crash is in it: a crash
// that is left out still happens when the node is started again.
func TestFaultsLineCountsWhatItLists(t *testing.T) {
	t.Setenv("LABS_TRACE_DIR", t.TempDir())
	res := runnerOf(t, Config{Nodes: 2, Seeds: 1}, func(s *Sim) {
		over := false
		s.Always(func() *Violation {
			if over {
				return &Violation{Rule: "rule 1", What: "n1 did something wrong"}
			}
			return nil
		})
		s.Start(1)
		s.Start(2)
		s.Run(10 * time.Millisecond)
		s.Net.Crash(1)
		s.Net.Stop(2) // is no fault that can be left out
		s.Run(10 * time.Millisecond)
		s.Start(1)
		over = true
		s.Logf("all is done")
		s.Run(time.Second)
	})
	require.Len(t, res.Failures, 1)
	require.Equal(t, "the test itself made 2 faults: n2 crashed for good at 0.010s, n1 crashed at 0.020s", res.Failures[0].Faults)
}

// loseSome sends 40 numbered messages from n1 to n2 over links that lose some, while n3 is cut off and crashes, and so is n2 for two.
func loseSome(s *Sim, heard map[int]bool) {
	a, b := s.Start(1), s.Start(2)
	s.Start(3)
	labrpc.Receive(b, "n", func(_ labrpc.NodeID, n int) {
		labrpc.Tell(b, n, func(_ time.Duration, n int) { heard[n] = true })
	})
	for i := range 40 {
		labrpc.Send(a, 2, "n", i)
		s.Run(50 * time.Millisecond)
		switch i {
		case 10:
			s.Net.Isolate(3)
		case 20:
			s.Net.Cut(1, 2)
		case 22:
			s.Net.Heal()
			s.Net.Crash(3)
		}
	}
}
