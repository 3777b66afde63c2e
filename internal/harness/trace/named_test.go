package trace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// beats is a run of heartbeats that all say the same, each answered after a millisecond.
func beats() *Run {
	s := newScript(Header{Nodes: 3})
	for n := range labrpc.NodeID(3) {
		s.add(labrpc.EventStarted, labrpc.Event{Node: n + 1})
	}
	for k := range 60 {
		s.at = time.Duration(k+1)*100*time.Millisecond + 600*time.Microsecond
		b := s.send(1, 2, "Get", beat{Term: 2})
		s.at += time.Millisecond
		s.deliver(b)
	}
	return s.rec.Run()
}

// Whichever way a text rounds a time, the step is found; lengths of time and other nodes' steps are not.
func TestNamesFindsSteps(t *testing.T) {
	run := beats() // the third Get is sent by n1 at 300.6ms and received by n2 at 301.6ms
	for text, want := range map[string][]int{
		"n1 called at 0.300s":           {7, 8},
		"n1 called at 301ms":            {7, 8},
		"n1 called at 300.6ms":          {7, 8},
		"n1 called at 300.600ms":        {7, 8},
		"n2 answered, to 0.302s":        {7, 8},
		"n2 answered 1m0.301s":          nil,
		"n2 answered within 301ms":      nil,
		"n2 answered 0.301s after that": nil,
		"n2 answered 301ms later":       nil,
		"n2 waits 300.6ms in all":       nil,
		"n1 asked, n2 replied (0.301s)": {7, 8},
		"n3 answered at 0.301s":         nil,
		"n1 called at 300.9ms":          nil,
		"somebody called at 0.300600s":  {7, 8},
	} {
		var got []int
		for i, keep := range run.Names(time.Hour, text).Keep {
			if keep {
				got = append(got, i)
			}
		}
		require.Equal(t, want, got, text)
	}
}

// The key step is the last that the sentence names; the instant of the failure is kept too.
func TestNamesKey(t *testing.T) {
	run := beats()
	n := run.Names(run.Steps[20].At, "n1: Get from 0.300s to 0.302s at n2", "n1 asked at 0.400s")
	require.Equal(t, 8, n.Key)
	for _, i := range []int{7, 8, 9, 10, 19, 20} {
		require.True(t, n.Keep[i], "step %d", i)
	}
	require.False(t, n.Keep[12])
	require.Equal(t, -1, run.Names(0, "nobody did anything").Key)
}

// The step is the one of a node that the sentence names, not that of another node in the same millisecond.
func TestNamesKeyIsOfANamedNode(t *testing.T) {
	rec := NewRecorder(Header{Nodes: 5})
	vote := func(seq uint64, voter labrpc.NodeID, at time.Duration) {
		rec.Observe(labrpc.Event{Seq: seq, Kind: labrpc.EventSent, Node: 1, Inc: 1, From: 1, To: voter, Msg: seq, Method: "RequestVote", At: 150 * time.Millisecond})
		rec.Observe(labrpc.Event{Seq: seq + 1, Kind: labrpc.EventDelivered, Node: voter, Inc: 1, From: 1, To: voter, Msg: seq, Method: "RequestVote", At: at})
		rec.Observe(labrpc.Event{Seq: seq + 2, Kind: labrpc.EventNoted, Node: voter, Inc: 1, Name: "role", Value: "follower", At: at})
	}
	vote(1, 5, 166403*time.Microsecond)
	vote(4, 3, 167108*time.Microsecond)
	run := rec.Run()
	key := run.Names(167108*time.Microsecond, "n3 votes twice in term 1: for itself, as a candidate, at 0.165s and for n1 at 0.167s").Key
	require.Equal(t, labrpc.NodeID(3), run.Steps[key].Node)
	require.Equal(t, 167108*time.Microsecond, run.Steps[key].At)
}

// What the failure names is in the text, however long ago it was and however often it was said before.
func TestTextShowsWhatIsNamed(t *testing.T) {
	run := beats()
	end := run.Steps[len(run.Steps)-1].At
	plain := Text(run, Options{Fold: true, Last: 5})
	require.NotContains(t, plain, "0.300s")
	require.NotContains(t, plain, "6.001s")
	text := Text(run, Options{Fold: true, Last: 5, Keep: run.Names(end, "n1 read an old value, from 0.300s").Keep})
	require.Contains(t, text, "0.300s")
	require.Contains(t, text, "0.301s")
	require.Contains(t, text, "6.001s", "the instant of the failure")
	require.Contains(t, text, "… 56 × Get")
}

// What the test saw has its place among the network's events, in the file and in the words.
func TestAddedSteps(t *testing.T) {
	rec := NewRecorder(Header{Nodes: 2})
	rec.Add(labrpc.Event{Kind: KindSeen, Node: 1, Inc: 1, Name: "log", Value: "0"})
	rec.Observe(labrpc.Event{Seq: 1, Kind: labrpc.EventStarted, Node: 1, Inc: 1})
	rec.Add(labrpc.Event{Kind: KindCalled, Node: 1, Inc: 1, Name: "op 1", Value: "get k", At: time.Second})
	rec.Add(labrpc.Event{Kind: KindTold, Node: 1, Inc: 1, Value: "m", At: time.Second})
	rec.Observe(labrpc.Event{Seq: 2, Kind: labrpc.EventCrashed, Node: 1, Inc: 1, At: 2 * time.Second})
	rec.Add(labrpc.Event{Kind: KindReturned, Node: 1, Inc: 1, Name: "op 1", Value: "7", At: 2 * time.Second})
	run := rec.Run()
	for i := range run.Steps {
		require.EqualValues(t, i+1, run.Steps[i].Seq)
	}
	text := Text(run, Options{})
	for _, want := range []string{"calls get k", "delivers m", "get k returned 7"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "seen")
	require.Equal(t, 2, run.version())
	require.Equal(t, 1, beats().version())
}
