package trace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// Runs of two seeds share no time; they part where a node's own story does, and each has its own time for it.
func TestPartOfTwoSeeds(t *testing.T) {
	tell := func(seed uint64, pace time.Duration, second string, sends int) *Run {
		s := newScript(Header{Nodes: 2, Seed: seed})
		for n := range labrpc.NodeID(2) {
			s.add(labrpc.EventStarted, labrpc.Event{Node: n + 1})
		}
		s.at += pace
		s.note(1, "role", "candidate")
		s.note(1, "role", "candidate") // says nothing new
		for range sends {
			m := s.send(1, 2, "Ask", nil)
			s.at += pace
			s.deliver(m)
		}
		s.at += pace
		s.note(2, "role", second)
		return s.rec.Run()
	}
	a := tell(1, 10*time.Millisecond, "follower", 1)
	p, differ := Diverge(a, tell(2, 7*time.Millisecond, "leader", 1))
	require.True(t, differ)
	require.Equal(t, [2]time.Duration{30 * time.Millisecond, 21 * time.Millisecond}, p.At)
	require.Equal(t, "n2 noted role = follower at 0.030s in A, n2 noted role = leader at 0.021s in B", p.Text)
	require.Equal(t, "leader", tell(2, 7*time.Millisecond, "leader", 1).Steps[p.Step[1]].Value)

	// Where the stories are alike, the receivers of their messages count; where that is alike too, the first step of all.
	p, differ = Diverge(a, tell(2, 7*time.Millisecond, "follower", 2))
	require.True(t, differ)
	require.Equal(t, "n1 sent Ask to n2 at 0.014s in B, and nothing of the kind in A", p.Text)
	require.Equal(t, -1, p.Step[0])
	p, differ = Diverge(a, tell(2, 7*time.Millisecond, "follower", 1))
	require.True(t, differ)
	require.Equal(t, [2]int{2, 2}, p.Step)

	// Runs of one seed part at the first step that differs; a run does not part from itself.
	p, differ = Diverge(a, tell(1, 10*time.Millisecond, "leader", 1))
	require.True(t, differ)
	require.Equal(t, [2]int{6, 6}, p.Step)
	_, differ = Diverge(a, a)
	require.False(t, differ)
}
