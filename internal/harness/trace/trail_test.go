package trace

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// A trail tells of a second run where it parts from the first.
func TestTrailSaysWhereRunsPart(t *testing.T) {
	sent := func(at time.Duration, to labrpc.NodeID, body string) labrpc.Event {
		return labrpc.Event{Kind: labrpc.EventSent, At: at, Node: 1, From: 1, To: to, Method: "Ask", Body: body}
	}
	long := sent(2*time.Second, 3, strings.Repeat("b", 2*trailBlock))
	events := []labrpc.Event{sent(time.Second, 2, "a"), long}
	first := func(events ...labrpc.Event) *Trail {
		t := &Trail{}
		for _, e := range events {
			t.Observe(e)
		}
		return t
	}(events...)
	second := func(events ...labrpc.Event) *Retrace {
		r := first.Retrace()
		for _, e := range events {
			r.Observe(e)
		}
		return r
	}
	_, differ := second(events...).Parted()
	require.False(t, differ)
	for _, tc := range []struct {
		name  string
		other *Retrace
		want  string
	}{
		{"another receiver", second(events[0], sent(2*time.Second, 4, "b")), "step 2 at 2.000s: n1 sent Ask to n3 in one run, n1 sent Ask to n4 in the other"},
		{"another content", second(events[0], sent(2*time.Second, 3, "c")), "step 2 at 2.000s: n1 sent Ask to n3 in one run, the same with another content or at another time in the other"},
		{"one has ended", second(events[0]), "step 2 at 2.000s: n1 sent Ask to n3 in one run; the other has ended"},
		{"the other goes on", second(events[0], events[1], sent(3*time.Second, 2, "d")), "step 3 at 3.000s: one run has ended; in the other n1 sent Ask to n2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, differ := tc.other.Parted()
			require.True(t, differ)
			require.Equal(t, tc.want, d.String())
		})
	}
}

// What a trail keeps of an event is all of it but its place, its source and what a message holds.
func TestTrailKeepsTheEvent(t *testing.T) {
	want := sampleEvent
	want.Node, want.Inc, want.Copy, want.ReplyTo, want.Reason, want.Name, want.Value = 5, 6, 8, 9, "loss", "role", "leader"
	got := eventOf(appendEvent(nil, want))
	want.Seq, want.Body, want.Source = 0, nil, ""
	require.Equal(t, want, got)
}
