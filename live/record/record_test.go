package record

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
	"distlabs/live/control"
)

func steps(events ...labrpc.Event) (all []control.Step) {
	for _, e := range events {
		all = append(all, control.NewStep(e))
	}
	return all
}

// What is forgotten leaves its mark: who runs, what it has noted, which links are cut.
func TestKeepsWhatTheForgottenHasLeft(t *testing.T) {
	r := New(2, time.Hour, 3)
	r.Add(steps(
		labrpc.Event{Kind: labrpc.EventStarted, Node: 1, Inc: 1}, labrpc.Event{Kind: labrpc.EventNoted, Node: 1, Inc: 1, Name: "role", Value: "leader"},
		labrpc.Event{Kind: labrpc.EventStarted, Node: 2, Inc: 1}, labrpc.Event{Kind: labrpc.EventNoted, Node: 2, Inc: 1, Name: "role", Value: "follower"},
		labrpc.Event{Kind: labrpc.EventNoted, Node: 2, Inc: 1, Name: "role", Value: "candidate"},
		labrpc.Event{Kind: labrpc.EventCut, From: 1, To: 2}, labrpc.Event{Kind: labrpc.EventCut, From: 2, To: 1}, labrpc.Event{Kind: labrpc.EventHealed, From: 2, To: 1},
		labrpc.Event{Kind: labrpc.EventCrashed, Node: 1, Inc: 1},
		labrpc.Event{Kind: labrpc.EventPaused, Node: 2, Inc: 1},
		labrpc.Event{Kind: labrpc.EventMarked, Value: "a"}, labrpc.Event{Kind: labrpc.EventMarked, Value: "b"}, labrpc.Event{Kind: labrpc.EventMarked, Value: "c"},
	))
	run := r.Run("live")
	var got []string
	for _, s := range run.Steps {
		got = append(got, string(s.Kind)+" "+s.Value)
	}
	require.Equal(t, []string{"started ", "noted candidate", "cut ", "crashed ", "paused ", "marked a", "marked b", "marked c"}, got)
	require.Equal(t, 2, run.Header.Nodes)
	for i := 1; i < len(run.Steps); i++ {
		require.GreaterOrEqual(t, run.Steps[i].At, run.Steps[i-1].At)
	}
}

// A message that has arrived before it was sent, by the clocks of two processes, is drawn as it was.
func TestAMessageArrivesAfterItWasSent(t *testing.T) {
	r := New(2, time.Hour, 100)
	sent := control.NewStep(labrpc.Event{Kind: labrpc.EventSent, Node: 1, Inc: 1, Msg: 7, From: 1, To: 2})
	arrived := sent
	arrived.Event.Kind, arrived.Event.Node = labrpc.EventDelivered, 2
	arrived.Event.At -= time.Millisecond
	r.Add([]control.Step{arrived})
	r.Add([]control.Step{sent})
	run := r.Run("")
	require.Equal(t, labrpc.EventSent, run.Steps[0].Kind)
	require.Equal(t, 1, run.Steps[0].Partner)
	require.True(t, run.Before(0, 1))
}

func TestForgetsWhatIsOld(t *testing.T) {
	r := New(2, time.Nanosecond, 100)
	r.Add(steps(labrpc.Event{Kind: labrpc.EventMarked, Value: "a"}))
	time.Sleep(time.Millisecond)
	require.Empty(t, r.Run("").Steps)
	r.Add(steps(labrpc.Event{Kind: labrpc.EventStarted, Node: 1, Inc: 1}))
	r.Clear()
	require.Empty(t, r.Run("").Steps)
}

// An archive gives any part of a long run back, with what had gone before.
func TestArchive(t *testing.T) {
	a := NewArchive(2)
	a.Add(steps(labrpc.Event{Kind: labrpc.EventStarted, Node: 1, Inc: 1}, labrpc.Event{Kind: labrpc.EventNoted, Node: 1, Inc: 1, Name: "role", Value: "leader"}))
	var all []control.Step
	for i := range 3 * segmentSteps {
		s := control.NewStep(labrpc.Event{Kind: labrpc.EventMarked, Value: strconv.Itoa(i)})
		s.Event.At = time.Duration(a.Began().Add(time.Duration(i+1) * 10 * time.Millisecond).UnixNano())
		all = append(all, s)
	}
	for len(all) > 0 {
		n := min(100, len(all))
		a.Add(all[:n])
		all = all[n:]
	}
	run, err := a.Run(trace.Header{Test: "torture"}, a.Began().Add(60*time.Second), a.Began().Add(60*time.Second+20*time.Millisecond))
	require.NoError(t, err)
	var got []string
	for _, s := range run.Steps {
		got = append(got, string(s.Kind)+" "+s.Value)
	}
	require.Equal(t, []string{"started ", "noted leader", "marked 5999", "marked 6000", "marked 6001"}, got)
	require.Equal(t, 60*time.Second, run.Steps[2].At)
}
