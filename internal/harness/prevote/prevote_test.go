package prevote_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/prevote"
	"distlabs/labrpc"
)

type request struct {
	Term    int
	Prevote bool
}

type reply struct{ Granted bool }

func TestIn(t *testing.T) {
	require.True(t, prevote.In(request{Prevote: true}))
	require.True(t, prevote.In(&request{Prevote: true}))
	require.True(t, prevote.In(struct{ PreVote bool }{true}))
	for _, body := range []any{request{Term: 1}, struct{ PreVote int }{1}, struct{ preVote bool }{true}, struct{ Again bool }{true}, 7, nil, (*request)(nil)} {
		require.False(t, prevote.In(body), "%#v", body)
	}
}

// A reply is told by its request, also if a vote and a pre-vote are under way at the same time.
func TestReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 2})
		defer net.Close()
		seen := prevote.Watch(net)
		var mu sync.Mutex
		found := map[labrpc.MessageKind][]bool{}
		net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			mu.Lock()
			defer mu.Unlock()
			found[m.Kind] = append(found[m.Kind], seen.Has(*m))
			require.Equal(t, !seen.Has(*m), seen.Lacks(*m))
			return labrpc.Pass
		})
		one, two := net.Start(1), net.Start(2)
		for _, method := range []string{"RequestVote", "Other"} {
			labrpc.Handle(two, method, func(_ labrpc.NodeID, r request) reply {
				if r.Prevote {
					time.Sleep(time.Second)
				}
				return reply{true}
			})
			go labrpc.Call[reply](context.Background(), one, 2, method, request{Prevote: true})
			time.Sleep(time.Millisecond)
			go labrpc.Call[reply](context.Background(), one, 2, method, request{})
			time.Sleep(2 * time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []bool{true, false, false, false}, found[labrpc.Request])
		require.Equal(t, []bool{false, true, false, false}, found[labrpc.Reply])
	})
}
