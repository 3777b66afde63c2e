package trace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// The difference is one sentence that names what differs, and no more.
func TestDiffSentence(t *testing.T) {
	base := labrpc.Event{
		Seq: 1, At: 1204 * time.Millisecond, Kind: labrpc.EventSent, Node: 3, Inc: 1, Msg: 7, From: 3, To: 1,
		Method: "RequestVote", Message: labrpc.Request, Number: 4, Value: "new", Body: voteArgs{Term: 3, Candidate: 3}, Source: "raft.go:41",
	}
	tests := []struct {
		name   string
		change func(*labrpc.Event)
		want   string
	}{
		{name: "another method", change: func(e *labrpc.Event) { e.Method = "AppendEntries" },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 in one run, n3 sent AppendEntries to n1 in the other"},
		{name: "another receiver", change: func(e *labrpc.Event) { e.To = 2 },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 in one run, n3 sent RequestVote to n2 in the other"},
		{name: "another time", change: func(e *labrpc.Event) { e.At += 15 * time.Microsecond },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 at 1.204000s in one run, at 1.204015s in the other"},
		{name: "another body", change: func(e *labrpc.Event) { e.Body = voteArgs{Term: 31, Candidate: 3} },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 with Term:3 in one run, with Term:31 in the other"},
		{name: "another type", change: func(e *labrpc.Event) {
			e.Body = struct {
				Term      int
				Candidate labrpc.NodeID
			}{3, 3}
		}, want: "step 2 at 1.204s: n3 sent RequestVote to n1 as trace.voteArgs in one run, as struct { Term int; Candidate labrpc.NodeID } in the other"},
		{name: "another number", change: func(e *labrpc.Event) { e.Number = 5 },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 as message 7, #4 of its link, copy 0, reply to 0, incarnation 1 in one run, " +
				"as message 7, #5 of its link, copy 0, reply to 0, incarnation 1 in the other"},
		{name: "another value", change: func(e *labrpc.Event) { e.Value = "old" },
			want: "step 2 at 1.204s: n3 sent RequestVote to n1 with new in one run, with old in the other"},
		{name: "something else", change: func(e *labrpc.Event) { e.Kind, e.Name, e.Value = labrpc.EventNoted, "role", "a\nb" },
			want: `step 2 at 1.204s: n3 sent RequestVote to n1 in one run, n3 noted role = a\nb in the other`},
		{name: "another line of the source", change: func(e *labrpc.Event) { e.Source = "raft.go:42" }},
	}
	runOf := func(events ...labrpc.Event) *Run {
		rec := NewRecorder(Header{Nodes: 3})
		rec.Observe(labrpc.Event{Kind: labrpc.EventStarted, Node: 3, Inc: 1})
		for _, e := range events {
			rec.Observe(e)
		}
		return rec.Run()
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			other := base
			test.change(&other)
			d, differ := Diff(runOf(base), runOf(other))
			require.Equal(t, test.want != "", differ)
			if differ {
				require.Equal(t, 1, d.Step)
				require.Equal(t, test.want, d.String())
			}
		})
	}
	d, differ := Diff(runOf(base), runOf())
	require.True(t, differ)
	require.Equal(t, "step 2 at 1.204s: n3 sent RequestVote to n1 in one run; the other has ended", d.String())
	d, differ = Diff(runOf(), runOf(base))
	require.True(t, differ)
	require.Equal(t, "step 2 at 1.204s: one run has ended; in the other n3 sent RequestVote to n1", d.String())
}
