package trace

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// The messages of the protocol that the tests record.
type voteArgs struct {
	Term      int
	Candidate labrpc.NodeID
}

type voteReply struct{ Granted bool }

type beat struct {
	Term    int
	Entries [][]byte
}

// observe runs a small protocol under faults: n1 sends heartbeats, n2 asks for votes when
// they stop, and everybody answers. It is a run with every common kind of event in it.
func observe(t testing.TB, seed uint64, see func(labrpc.Event)) {
	t.Helper()
	link := labrpc.Link{Loss: 0.05, Duplicate: 0.03, Latency: labrpc.Uniform(time.Millisecond, 20*time.Millisecond)}
	net := labrpc.New(labrpc.Options{Seed: seed, Nodes: 5, Link: link, Observe: see})
	start := func(id labrpc.NodeID) *labrpc.Node {
		n := net.Start(id)
		n.Note("role", "follower")
		labrpc.Receive(n, "Beat", func(from labrpc.NodeID, b beat) { n.Note("term", b.Term) })
		labrpc.Handle(n, "Vote", func(from labrpc.NodeID, v voteArgs) voteReply {
			n.Note("term", v.Term)
			_ = n.Disk().Write("vote", []byte{byte(v.Term)})
			return voteReply{Granted: true}
		})
		return n
	}
	for _, id := range net.Nodes() {
		n := start(id)
		if id == 1 {
			n.Note("role", "leader")
			go func() {
				for n.Context().Err() == nil {
					for _, p := range n.Peers() {
						_ = labrpc.Send(n, p, "Beat", beat{Term: 1, Entries: [][]byte{[]byte("x=1")}})
					}
					time.Sleep(50 * time.Millisecond)
				}
			}()
		}
		if id == 2 {
			go campaign(n)
		}
	}
	net.Run(500 * time.Millisecond)
	net.Isolate(1)
	net.Pause(3, 30*time.Millisecond)
	net.JumpClock(4, time.Hour)
	net.Run(520 * time.Millisecond)
	net.Crash(5)
	net.Mark("n5 is down\n\x1b[31m")
	held := net.Hold(labrpc.Match{From: 2, To: 3})
	net.Run(100 * time.Millisecond)
	start(5).Logf("back again")
	net.Heal()
	held.Release()
	net.Run(300 * time.Millisecond)
	net.Close()
	time.Sleep(time.Second)
}

// campaign asks for votes in ever higher terms.
func campaign(n *labrpc.Node) {
	time.Sleep(600 * time.Millisecond)
	for term := 2; n.Context().Err() == nil; term++ {
		n.Note("role", "candidate")
		n.Note("term", term)
		for _, p := range n.Peers() {
			go func() {
				ctx, cancel := context.WithTimeout(n.Context(), 100*time.Millisecond)
				defer cancel()
				_, _ = labrpc.Call[voteReply](ctx, n, p, "Vote", voteArgs{Term: term, Candidate: n.ID()})
			}()
		}
		time.Sleep(150 * time.Millisecond)
	}
}

// record returns the run of observe.
func record(t *testing.T, seed uint64) *Run {
	t.Helper()
	rec := NewRecorder(Header{Module: "distlabs/internal/harness/trace", Test: t.Name(), Seed: seed, Nodes: 5})
	synctest.Test(t, func(t *testing.T) { observe(t, seed, rec.Observe) })
	return rec.Run()
}

// A real run survives writing and reading, and a step costs little room.
func TestFileOfARealRun(t *testing.T) {
	run := record(t, 1)
	var file bytes.Buffer
	require.NoError(t, run.Write(&file))
	perStep := file.Len() / len(run.Steps)
	t.Logf("%d steps, %d bytes a step", len(run.Steps), perStep)
	require.Less(t, perStep, 260, "bytes a step")
	again, err := Read(&file)
	require.NoError(t, err)
	require.Equal(t, run, again)
}

// The same seed gives the same digest; another seed another one, and Diff names the place.
func TestSameSeedSameDigest(t *testing.T) {
	sum := func(seed uint64) Sum {
		var d Digest
		synctest.Test(t, func(t *testing.T) { observe(t, seed, d.Observe) })
		return d.Sum()
	}
	require.Equal(t, sum(1), sum(1))
	require.NotEqual(t, sum(1), sum(2))

	_, differ := Diff(record(t, 1), record(t, 1))
	require.False(t, differ)
	d, differ := Diff(record(t, 1), record(t, 2))
	require.True(t, differ)
	t.Log(d)
}
