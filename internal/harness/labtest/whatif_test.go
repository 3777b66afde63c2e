package labtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// gossip is a test that fails where n3 has heard fewer than five words of n1 in half a second: it hears ten where none is lost. At 300ms the test itself
// pauses a node.
func gossip(s *Sim) {
	heard := 0
	s.StartAll(func(n *labrpc.Node) {
		labrpc.Receive(n, "say", func(_ labrpc.NodeID, word int) {
			labrpc.Tell(n, word, func(time.Duration, int) { heard++ })
		})
		if n.ID() != 1 {
			return
		}
		go func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for word := 0; ; word++ {
				select {
				case <-tick.C:
					labrpc.Send(n, 3, "say", word)
				case <-n.Context().Done():
					return
				}
			}
		}()
	})
	s.Run(300 * time.Millisecond)
	s.Net.Pause(2, time.Millisecond)
	s.Run(300 * time.Millisecond)
	if heard < 7 {
		s.Failf("n3 hears seven words (rule 1)", "n3 heard %d words", heard)
	}
}

func gossipRerunner(t *testing.T) *rerunner {
	return newRerunner(newRunner(t, Config{Nodes: 3, Link: labrpc.FairLoss(0.2)}, gossip))
}

func rerun(t *testing.T, p *rerunner, seed uint64, whatIf string) (*Rerun, *trace.Run) {
	t.Helper()
	w, err := parseWhatIf(whatIf)
	require.NoError(t, err)
	return p.run(seed, w), p.last
}

// commonSteps is how many steps two runs have in common at their beginning.
func commonSteps(a, b *trace.Run) int {
	for i := range min(len(a.Steps), len(b.Steps)) {
		x, y := a.Steps[i], b.Steps[i]
		if fmt.Sprint(x) != fmt.Sprint(y) {
			return i
		}
	}
	return min(len(a.Steps), len(b.Steps))
}

// Each intervention changes what it names and nothing before; the run with it is the same every time.
func TestWhatIf(t *testing.T) {
	p := gossipRerunner(t)
	base, run := rerun(t, p, 1, "")
	last := func(kind labrpc.EventKind, run *trace.Run, msg uint64) *trace.Step {
		for i := len(run.Steps) - 1; i >= 0; i-- {
			if s := &run.Steps[i]; s.Kind == kind && s.Msg == msg {
				return s
			}
		}
		return nil
	}
	var arrives, isLost uint64
	for _, s := range run.Steps {
		switch {
		case s.Kind == labrpc.EventDelivered && arrives == 0 && s.Msg > 1:
			arrives = s.Msg
		case s.Kind == labrpc.EventLost && isLost == 0:
			isLost = s.Msg
		}
	}
	require.NotZero(t, arrives)
	require.NotZero(t, isLost, "choose another seed")
	at := last(labrpc.EventDelivered, run, arrives).At
	for token, holds := range map[string]func(run *trace.Run) bool{
		fmt.Sprintf("x%d", arrives): func(run *trace.Run) bool {
			return last(labrpc.EventLost, run, arrives) != nil && last(labrpc.EventDelivered, run, arrives) == nil
		},
		fmt.Sprintf("a%d", isLost):  func(run *trace.Run) bool { return last(labrpc.EventDelivered, run, isLost) != nil },
		fmt.Sprintf("u%d", arrives): func(run *trace.Run) bool { return last(labrpc.EventDuplicated, run, arrives) != nil },
		fmt.Sprintf("t%d+25ms", arrives): func(run *trace.Run) bool {
			return last(labrpc.EventDelivered, run, arrives).At == at+25*time.Millisecond
		},
		"k3@200ms": func(run *trace.Run) bool { return hasStep(run, labrpc.EventCrashed, 200*time.Millisecond+1) },
		"k3@50ms,r3@200ms": func(run *trace.Run) bool {
			return hasStep(run, labrpc.EventStarted, 200*time.Millisecond+1) && slices.ContainsFunc(run.Steps, func(s trace.Step) bool {
				return s.Kind == labrpc.EventDelivered && s.To == 3 && s.At > 200*time.Millisecond
			})
		},
		"p3@200ms+100ms":   func(run *trace.Run) bool { return hasStep(run, labrpc.EventResumed, 300*time.Millisecond+1) },
		"l1-3@200ms":       func(run *trace.Run) bool { return hasStep(run, labrpc.EventCut, 200*time.Millisecond+1) },
		"l1-3@1ms,h1-3@2s": func(run *trace.Run) bool { return hasStep(run, labrpc.EventCut, time.Millisecond+1) },
	} {
		got, changed := rerun(t, p, 1, token)
		require.True(t, holds(changed), token)
		common := commonSteps(run, changed)
		require.Less(t, common, len(run.Steps), token)
		first := changed.Steps[min(common, len(changed.Steps)-1)].At
		if _, instant, ok := strings.Cut(token, "@"); ok {
			instant, _, _ = strings.Cut(instant, "+")
			instant, _, _ = strings.Cut(instant, ",")
			when, err := time.ParseDuration(instant)
			require.NoError(t, err)
			require.GreaterOrEqual(t, first, when, token)
		}
		again, other := rerun(t, p, 1, token)
		require.Equal(t, got, again, token)
		require.Equal(t, len(changed.Steps), commonSteps(changed, other), token)
	}
	again, _ := rerun(t, p, 1, "")
	require.Equal(t, base, again)
}

func hasStep(run *trace.Run, kind labrpc.EventKind, at time.Duration) bool {
	return slices.ContainsFunc(run.Steps, func(s trace.Step) bool { return s.Kind == kind && s.At == at })
}

// The verdict compares with the run without interventions.
func TestWhatIfVerdict(t *testing.T) {
	p := gossipRerunner(t)
	passing := uint64(0)
	for seed := uint64(1); seed < 20 && passing == 0; seed++ {
		if got, _ := rerun(t, p, seed, ""); got.Verdict == "passes" {
			passing = seed
		}
	}
	require.NotZero(t, passing)
	got, _ := rerun(t, p, passing, "k3@50ms")
	require.Equal(t, "fails now", got.Verdict)
	require.Contains(t, got.Failure.Replay, fmt.Sprintf("LABS_SEED=%d LABS_WHATIF=k3@50ms go test ", passing))
	got, _ = rerun(t, p, passing, "x9999,k3@1h")
	require.Equal(t, "passes", got.Verdict)
	require.Equal(t, []string{"x9999", "k3@1h"}, got.Idle)
}

// A person starts a node that is down as the test does, if the test has said how: the node's server runs then. A test that starts the node
// itself later has a node that is new, as without the person.
func TestWhatIfStartsANode(t *testing.T) {
	boots, only := 0, []labrpc.NodeID(nil)
	test := func(tells bool) func(*Sim) {
		return func(s *Sim) {
			boots = 0
			start := func(n *labrpc.Node) {
				boots++
				labrpc.Receive(n, "say", func(labrpc.NodeID, int) {})
			}
			if tells {
				s.Restarts(start, only...)
			}
			start(s.Start(1))
			s.Net.Crash(1)
			s.Run(100 * time.Millisecond)
			start(s.Start(1))
			s.Run(100 * time.Millisecond)
		}
	}
	for _, one := range []struct {
		tells  bool
		whatIf string
		boots  int
		only   []labrpc.NodeID
		idle   []string
	}{
		{tells: true, whatIf: "r1@50ms", boots: 3},
		{tells: true, whatIf: "r1@150ms", boots: 2, idle: []string{"r1@150ms"}}, // it is up
		{tells: true, whatIf: "k1@150ms,r1@150ms", boots: 3},
		{tells: true, whatIf: "r2@50ms", boots: 2, idle: []string{"r2@50ms"}}, // it has never been up
		{tells: true, whatIf: "r1@50ms", boots: 3, only: []labrpc.NodeID{2, 1}},
		{tells: true, whatIf: "r1@50ms", boots: 2, only: []labrpc.NodeID{2}, idle: []string{"r1@50ms"}},
		{tells: false, whatIf: "r1@50ms", boots: 2, idle: []string{"r1@50ms"}},
	} {
		only = one.only
		p := newRerunner(newRunner(t, Config{Nodes: 2}, test(one.tells)))
		got, run := rerun(t, p, 1, one.whatIf)
		require.Equal(t, "passes", got.Verdict, one.whatIf)
		require.Equal(t, one.tells, got.Restarts)
		require.Equal(t, append([]string{}, one.idle...), got.Idle, one.whatIf)
		require.Equal(t, one.boots, boots, one.whatIf)
		started := 0
		for _, s := range run.Steps {
			if s.Kind == labrpc.EventStarted {
				started++
			}
		}
		require.Equal(t, one.boots, started, one.whatIf)
	}
}

// A test that runs schedules does not take interventions for none: it refuses them.
func TestWhatIfIsNotForSchedules(t *testing.T) {
	require.NoError(t, refuseWhatIf())
	t.Setenv(whatIfEnv, "x3")
	require.ErrorContains(t, refuseWhatIf(), "LABS_WHATIF=x3: this test runs schedules")
}

// What is no list of interventions is refused with the part that is wrong.
func TestWhatIfIsRead(t *testing.T) {
	for _, text := range []string{"x", "x0", "y1", "x1,", "x1+5ms", "t1", "t1+5", "t1+-5ms", "k1", "k1@", "k1@5ms+5ms", "r1", "r1@5ms+5ms", "r1-2@5ms", "p1@5ms", "l1@5ms", "l1-1@5ms", "l1-2", "x1-2", "x1@5ms"} {
		_, err := parseWhatIf(text)
		require.ErrorContains(t, err, "is no intervention", text)
	}
	_, err := parseWhatIf("x1,u1")
	require.EqualError(t, err, "x1 and u1 are about one message: leave one out")

	t.Setenv(whatIfEnv, "x1")
	t.Setenv("LABS_SEED", "")
	_, err = chosenWhatIf(false)
	require.ErrorContains(t, err, "give its seed too")
	t.Setenv("LABS_SEED", "3")
	w, err := chosenWhatIf(false)
	require.NoError(t, err)
	require.Equal(t, "x1", w.String())
	_, err = chosenWhatIf(true)
	require.ErrorContains(t, err, "has no network")
}

// The page is answered in the same words as a scenario's.
func TestRerunAnswers(t *testing.T) {
	p := gossipRerunner(t)
	ask := func(req Request) (reply Reply) {
		t.Helper()
		text, err := json.Marshal(req)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(p.answer(string(text))), &reply))
		return reply
	}
	require.Equal(t, 3, ask(Request{Do: "describe"}).Game.Nodes)
	require.Contains(t, ask(Request{Do: "record"}).Error, "nothing has been run")
	require.Contains(t, ask(Request{Do: "run", Seed: 1, WhatIf: "z"}).Error, "no intervention")
	require.Contains(t, ask(Request{Do: "go"}).Error, "does not know")
	require.Positive(t, ask(Request{Do: "run", Seed: 1}).Run.New.Count)
	require.Contains(t, ask(Request{Do: "record"}).Record, `"kind":"delivered"`)
}
