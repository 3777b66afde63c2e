package trace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// A trail has the sum of a digest, and names the first event at which two runs part.
func TestTrailSaysWhereRunsPart(t *testing.T) {
	sent := func(at time.Duration, to labrpc.NodeID, body string) labrpc.Event {
		return labrpc.Event{Kind: labrpc.EventSent, At: at, Node: 1, From: 1, To: to, Method: "Ask", Body: body}
	}
	events := []labrpc.Event{sent(time.Second, 2, "a"), sent(2*time.Second, 3, "b")}
	follow := func(events ...labrpc.Event) *Trail {
		t := &Trail{}
		for _, e := range events {
			t.Observe(e)
		}
		return t
	}
	var d Digest
	for _, e := range events {
		d.Observe(e)
	}
	one := follow(events...)
	require.Equal(t, d.Sum(), one.Sum())
	_, differ := one.Part(follow(events...))
	require.False(t, differ)
	for _, tc := range []struct {
		name  string
		other *Trail
		want  string
	}{
		{"another receiver", follow(events[0], sent(2*time.Second, 4, "b")), "step 2 at 2.000s: n1 sent Ask to n3 in one run, n1 sent Ask to n4 in the other"},
		{"another content", follow(events[0], sent(2*time.Second, 3, "c")), "step 2 at 2.000s: n1 sent Ask to n3 in one run, the same with another content or at another time in the other"},
		{"one has ended", follow(events[0]), "step 2 at 2.000s: n1 sent Ask to n3 in one run; the other has ended"},
		{"the other goes on", follow(events[0], events[1], sent(3*time.Second, 2, "d")), "step 3 at 3.000s: one run has ended; in the other n1 sent Ask to n2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, differ := one.Part(tc.other)
			require.True(t, differ)
			require.Equal(t, tc.want, d.String())
		})
	}
}
