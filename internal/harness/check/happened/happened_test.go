package happened_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"distlabs/internal/harness/check/happened"
	"distlabs/labrpc"

	"github.com/stretchr/testify/require"
)

// figure is the example of the course: n1 does A and sends at B, n2 receives
// at C and sends at D, n3 does E and receives at F.
var figure = []happened.Event{
	{Node: 1}, {Node: 1, Sends: 1},
	{Node: 2, Receives: 1}, {Node: 2, Sends: 2},
	{Node: 3}, {Node: 3, Receives: 2},
}

const (
	a = iota
	b
	c
	d
	e
	f
)

func TestFigure(t *testing.T) {
	r, err := happened.Of(figure)
	require.NoError(t, err)
	for _, later := range []int{b, c, d, f} {
		require.True(t, r.Before(a, later))
		require.False(t, r.Before(later, a))
		require.False(t, r.Concurrent(a, later))
	}
	for _, other := range []int{a, b, c, d} {
		require.True(t, r.Concurrent(e, other))
		require.True(t, r.Concurrent(other, e))
	}
	require.True(t, r.Before(e, f))
	require.False(t, r.Before(e, e))
	require.False(t, r.Concurrent(e, e))
	require.Equal(t, []int{a, b, c, d, e}, slices.Collect(r.Past(f)))
	var chains []int
	for i := range figure {
		chains = append(chains, r.Chain(i))
	}
	require.Equal(t, []int{1, 2, 3, 4, 1, 5}, chains)
}

func TestPastStopsWhenAsked(t *testing.T) {
	r, err := happened.Of(figure)
	require.NoError(t, err)
	for first := range r.Past(f) {
		require.Equal(t, a, first)
		break
	}
}

func TestRecordedWrongly(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []happened.Event
		want   string
	}{
		{
			name:   "a message out of nowhere",
			events: []happened.Event{{Node: 1}, {Node: 2, Receives: 7}},
			want:   "event 1 on n2 receives message 7, which nobody sent",
		},
		{
			name:   "a message sent twice",
			events: []happened.Event{{Node: 1, Sends: 3}, {Node: 2, Sends: 3}},
			want:   "message 3 is sent twice, by events 0 and 1",
		},
		{
			name:   "received before it was sent, on one node",
			events: []happened.Event{{Node: 1, Receives: 1}, {Node: 1, Sends: 1}},
			want:   "event 0 on n1 would have to happen before itself",
		},
		{
			name: "two nodes, each ahead of the other",
			events: []happened.Event{
				{Node: 1, Receives: 2}, {Node: 1, Sends: 1},
				{Node: 2, Receives: 1}, {Node: 2, Sends: 2},
			},
			want: "event 0 on n1 would have to happen before itself",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := happened.Of(test.events)
			require.EqualError(t, err, test.want)
		})
	}
}

// The relation is compared with the definition itself: the transitive closure
// of "next on the node" and "sent to received", by Warshall's algorithm.
func TestAgainstTheDefinition(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		events := random(rng, 90)
		r, err := happened.Of(events)
		require.NoError(t, err)
		closure := warshall(events)
		for i := range events {
			for j := range events {
				require.Equal(t, closure[i][j], r.Before(i, j), "seed %d: %d → %d", seed, i, j)
			}
		}
	}
}

// random makes a run of four nodes whose messages arrive in any order, some
// twice, and lists it with the nodes in descending order.
func random(rng *rand.Rand, n int) []happened.Event {
	var run []happened.Event
	var sent []int
	for range n {
		ev := happened.Event{Node: 1 + labrpc.NodeID(rng.IntN(4))}
		switch {
		case rng.IntN(3) == 0:
			sent = append(sent, len(sent)+1)
			ev.Sends = len(sent)
		case len(sent) > 0 && rng.IntN(2) == 0:
			ev.Receives = sent[rng.IntN(len(sent))]
		}
		run = append(run, ev)
	}
	slices.SortStableFunc(run, func(x, y happened.Event) int { return int(y.Node - x.Node) })
	return run
}

func warshall(events []happened.Event) [][]bool {
	before := make([][]bool, len(events))
	for i, x := range events {
		before[i] = make([]bool, len(events))
		for j, y := range events {
			before[i][j] = x.Node == y.Node && i < j || x.Sends != 0 && x.Sends == y.Receives
		}
	}
	for k := range events {
		for i := range events {
			for j := range events {
				before[i][j] = before[i][j] || before[i][k] && before[k][j]
			}
		}
	}
	return before
}
