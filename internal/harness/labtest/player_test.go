package labtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/explore"
	"distlabs/labrpc"
)

// talk is a system to play with: each node repeats a word every 100ms until its neighbour has said it back, and one can have n1 say
// another word.
func talk(s *Sim) Scenario {
	heard := map[labrpc.NodeID]int{}
	var first *labrpc.Node
	s.Always(func() *Violation {
		if heard[3] >= 3 {
			return &Violation{What: fmt.Sprintf("n3 heard %d words by %v", heard[3], s.Net.Now()), Rule: "n3 hears two words (rule 1)"}
		}
		return nil
	})
	return Scenario{
		Start: func(n *labrpc.Node) {
			if n.ID() == 1 {
				first = n
			}
			n.Note("role", "listener")
			labrpc.Receive(n, "say", func(from labrpc.NodeID, word string) {
				n.Note("word", word)
				labrpc.Tell(n, from, func(time.Duration, labrpc.NodeID) { heard[n.ID()]++ })
			})
			go func() {
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						labrpc.Send(n, n.ID()%3+1, "say", fmt.Sprint(n.ID()))
					case <-n.Context().Done():
						return
					}
				}
			}()
		},
		Actions: []Action{
			{Name: "n1 says more", Do: func() { labrpc.Send(first, 2, "say", "more") }, Can: func() bool { return s.Net.Up(1) }},
			{Name: "never", Do: func() {}, Can: func() bool { return false }},
		},
		Puzzles: []Puzzle{
			{ID: "two", Title: "Two words", Goal: "n3 hears two words.", Reached: func() bool { return heard[3] == 2 }, Solution: "w.w.w.u1.u1"},
			{ID: "four", Title: "Four words", Goal: "n3 hears four words.", Rules: []string{"rule 1", "rule 2"}},
		},
	}
}

func talkPlayer(t *testing.T) *player {
	p := newPlayer(newExploration(t, SearchSpace{Nodes: 3}, talk))
	t.Cleanup(p.end)
	return p
}

func play(t *testing.T, p *player, schedule string, known int) (last Position, all []Position) {
	t.Helper()
	var tokens []explore.Token
	if schedule != "" {
		var err error
		tokens, err = explore.Parse(schedule)
		require.NoError(t, err)
	}
	all, fits := p.goTo(1, tokens, known)
	require.Equal(t, len(tokens), fits, "steps that were possible")
	require.NotEmpty(t, all)
	return all[len(all)-1], all
}

// A run goes on step by step, and goes back by starting again: the positions are the same as on the first way.
func TestPlayGoesOnAndBack(t *testing.T) {
	p := talkPlayer(t)
	root, _ := play(t, p, "", 0)
	require.Empty(t, root.Pending)
	require.Equal(t, []int{0}, root.Actions)
	require.Positive(t, root.New.Count)

	one, all := play(t, p, "s0", 1)
	require.Len(t, all, 1)
	require.Equal(t, []Underway{{From: 1, To: 2, Method: "say", Kind: labrpc.OneWay, Number: 1}}, one.Pending)
	first := p.now
	play(t, p, "s0.w", 2)
	two, _ := play(t, p, "s0.w.u0", 3)
	require.Same(t, first, p.now, "the run goes on")
	require.Equal(t, 1, two.Pending[0].Copies)

	back, all := play(t, p, "s0", 0)
	require.NotSame(t, first, p.now)
	require.Equal(t, []Position{root, one}, all)
	require.Equal(t, one, back)
	again, all := play(t, p, "s0.w.u0", 3)
	require.Len(t, all, 1, "positions that the caller knows are left out")
	require.Equal(t, two, again)

	_, fits := p.goTo(1, []explore.Token{{Act: explore.Wait}, {Act: explore.Deliver, Arg: 7}, {Act: explore.Wait}}, 0)
	require.Equal(t, 1, fits)
}

// Every sort of step does what it says.
func TestPlayEverySortOfStep(t *testing.T) {
	p := talkPlayer(t)
	kinds := func(schedule string) (kinds []string) {
		t.Helper()
		last, _ := play(t, p, schedule, 0)
		for _, k := range last.New.Columns["kind"] {
			kinds = append(kinds, last.New.Strings[k])
		}
		return kinds
	}
	require.Equal(t, []string{"delivered", "noted"}, kinds("s0.d0"))
	require.Equal(t, []string{"duplicated", "delivered", "noted"}, kinds("s0.u0"))
	require.Equal(t, []string{"lost"}, kinds("s0.x0"))
	require.Equal(t, []string{"crashed", "started", "noted"}, kinds("c2"))
	require.Equal(t, []string{"crashed"}, kinds("k2"))
	require.Equal(t, []string{"started", "noted"}, kinds("k2.r2"))
	require.Equal(t, []string{"paused"}, kinds("p2"))
	require.Equal(t, []string{"cut"}, kinds("l1-2"))
	require.Equal(t, []string{"healed"}, kinds("l1-2.h1-2"))
	require.Equal(t, []string{"lost"}, kinds("s0.l1-2.d0"), "a cut link loses what is under way")

	last, _ := play(t, p, "k3.p2.l1-2.w", 0)
	require.Equal(t, []labrpc.NodeID{3}, last.Down)
	require.Equal(t, []labrpc.NodeID{2}, last.Paused)
	require.Equal(t, []string{"1-2"}, last.Cut)
	last, _ = play(t, p, "p2.w.w.w.w.w.w.w.w.w.w.w.w.w.w.w.w.w", 0)
	require.Empty(t, last.Paused, "a pause ends")
	last, _ = play(t, p, "k1", 0)
	require.Empty(t, last.Actions)
	_, fits := p.goTo(1, []explore.Token{{Act: explore.Down, Arg: 1}, {Act: explore.Do}}, 0)
	require.Equal(t, 1, fits, "an action that is not possible")
}

// A scenario is told only of the messages that arrive: not of one that a cut link, a pause or a crash keeps from its receiver.
func TestPlayTellsWhatArrives(t *testing.T) {
	arrived := 0
	p := newPlayer(newExploration(t, SearchSpace{Nodes: 3}, func(s *Sim) Scenario {
		scenario := talk(s)
		arrived = 0
		scenario.OnDelivery = func(Arrival) { arrived++ }
		return scenario
	}))
	t.Cleanup(p.end)
	for schedule, want := range map[string]int{"s0.d0": 1, "s0.u0.d0": 2, "s0.x0": 0, "s0.l1-2.d0": 0, "s0.l2-1.d0": 1, "s0.k2.d0": 0, "s0.p2.d0": 0, "s0.p1.d0": 1, "s0.c2.d0": 1} {
		play(t, p, schedule, 0)
		require.Equal(t, want, arrived, schedule)
	}
}

// A broken rule ends the run, is told as a failure is, and goes away when one goes back.
func TestPlayBreaksARule(t *testing.T) {
	p := talkPlayer(t)
	last, _ := play(t, p, "w.w.w.u1.u1.d1", 0)
	require.NotNil(t, last.Failure)
	require.Contains(t, last.Failure.What, "n3 heard 3 words")
	require.Equal(t, "n3 hears two words (rule 1)", last.Failure.Rule)
	require.Contains(t, last.Failure.Replay, "LABS_SEED=1 LABS_SCHEDULE=w.w.w.u1.u1.d1 go test -race -run 'TestPlayBreaksARule$'")
	require.Empty(t, last.Pending)
	require.Positive(t, last.Broke)
	last, _ = play(t, p, "w.w.w.u1.u1", 0)
	require.Nil(t, last.Failure)
	require.Equal(t, []string{"two"}, last.Reached)
}

// What a person has played is, in go test, the same run to the byte.
func TestPlayedScheduleReplays(t *testing.T) {
	const schedule = "s0.w.p3.k2.w.u1.r2.l1-2.x0.w.d1.h1-2.b1.w"
	dir := t.TempDir()
	t.Setenv("LABS_TRACE_DIR", dir)
	p := talkPlayer(t)
	play(t, p, schedule, 0)
	var reply Reply
	require.NoError(t, json.Unmarshal([]byte(p.answer(`{"do":"record"}`)), &reply))
	require.Empty(t, reply.Error)
	p.end()

	t.Setenv("LABS_SEED", "1")
	t.Setenv("LABS_SCHEDULE", schedule)
	t.Setenv("LABS_RECORD", "1")
	newExploration(t, SearchSpace{Nodes: 3}, talk).run()
	file, err := os.ReadFile(filepath.Join(dir, t.Name()+"-1.jsonl"))
	require.NoError(t, err)
	require.Equal(t, string(file), reply.Record)
	require.Greater(t, len(file), 1000)
}

// Puzzles whose solutions do not solve them are found.
func TestPlayHoldsSolutionsAgainstGoals(t *testing.T) {
	with := func(change func(all []Puzzle)) []string {
		p := newPlayer(newExploration(t, SearchSpace{Nodes: 3}, func(s *Sim) Scenario {
			scenario := talk(s)
			change(scenario.Puzzles)
			return scenario
		}))
		defer p.end()
		return p.unsolved()
	}
	for _, tc := range []struct {
		name, want string
		change     func(all []Puzzle)
	}{
		{"not yet", "does not reach its goal", func(all []Puzzle) { all[0].Solution = "w.w.w.u1" }},
		{"too late", "its goal is reached after 5 steps of the 6", func(all []Puzzle) { all[0].Solution += ".w" }},
		{"not possible", "step 2 of its solution w.d9 is not possible", func(all []Puzzle) { all[0].Solution = "w.d9" }},
		{"breaks a rule", "breaks a rule: by 0.100s, n3 heard 3 words", func(all []Puzzle) { all[0].Reached, all[0].Solution = func() bool { return false }, "w.w.w.u1.u1.d1" }},
		{"no schedule", "step 1 of the schedule is", func(all []Puzzle) { all[0].Solution = "?" }},
		{"no rule", "no rule that forbids", func(all []Puzzle) { all[1].Forbid = 2 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := with(tc.change)
			require.Len(t, got, 1)
			require.Contains(t, got[0], tc.want)
		})
	}
	require.Empty(t, with(func([]Puzzle) {}))
}

// Chance finds what a person could do that breaks a rule.
func TestPlayWanders(t *testing.T) {
	p := talkPlayer(t)
	problems := p.wander(20, 60)
	require.NotEmpty(t, problems)
	require.Contains(t, problems[0], "n3 hears two words (rule 1)")
	require.Equal(t, problems, p.wander(20, 60), "the same steps each time")
}

// The page's questions get answers, and a wrong one an error.
func TestPlayAnswers(t *testing.T) {
	p := talkPlayer(t)
	ask := func(text string) (r Reply) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(p.answer(text)), &r))
		return r
	}
	d := ask(`{"do":"describe"}`).Game
	require.Equal(t, []string{"n1 says more", "never"}, d.Actions)
	require.Equal(t, 3, d.Nodes)
	require.Equal(t, "500ms", d.Pause)
	require.Len(t, d.Puzzles, 2)
	r := ask(`{"do":"go","seed":1,"schedule":"w.w"}`)
	require.Len(t, r.Positions, 3)
	require.Equal(t, 2, r.Fits)
	require.Contains(t, r.Replay, "LABS_SCHEDULE=w.w ")
	require.Contains(t, ask(`{"do":"go","schedule":"z"}`).Error, "step 1 of the schedule")
	require.Contains(t, ask(`{"do":"dance"}`).Error, `"dance"`)
	require.NotEmpty(t, ask(`{`).Error)
	require.True(t, slices.IsSorted([]time.Duration{r.Positions[0].At, r.Positions[1].At, r.Positions[2].At}))
}
