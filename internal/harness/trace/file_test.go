package trace

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// sampleRun is a request that is altered, duplicated, delivered twice and answered.
func sampleRun() *Run {
	rec := NewRecorder(Header{
		Module: "distlabs/labs/04-election", Test: "TestOneLeaderPerTerm4C", Seed: 81, Nodes: 3,
		Start:     time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		Violation: &Violation{At: 5 * time.Millisecond}, Failure: json.RawMessage(`{"what":"two leaders <b>"}`),
	})
	request := labrpc.Event{
		Msg: 1, From: 1, To: 3, Method: "Vote", Message: labrpc.Request, Number: 1, Body: voteArgs{Term: 3, Candidate: 1},
	}
	reply := labrpc.Event{
		Msg: 2, From: 3, To: 1, Method: "Vote", Message: labrpc.Reply, Number: 1, ReplyTo: 1, Body: voteReply{Granted: true},
	}
	seq := uint64(0)
	add := func(at time.Duration, kind labrpc.EventKind, e labrpc.Event) {
		seq++
		e.Seq, e.At, e.Kind = seq, at*time.Millisecond, kind
		rec.Observe(e)
	}
	at := func(e labrpc.Event, n labrpc.NodeID) labrpc.Event { e.Node, e.Inc = n, 1; return e }
	second := func(e labrpc.Event) labrpc.Event { e.Copy = 1; return e }
	altered := request
	altered.Body = voteArgs{Term: 9, Candidate: 1}

	add(0, labrpc.EventStarted, at(labrpc.Event{}, 1))
	add(0, labrpc.EventStarted, at(labrpc.Event{}, 3))
	sent := at(request, 1)
	sent.Source = "raft.go:41"
	add(1, labrpc.EventSent, sent)
	add(1, labrpc.EventAltered, altered)
	add(1, labrpc.EventDuplicated, second(altered))
	add(2, labrpc.EventDelivered, at(altered, 3))
	add(2, labrpc.EventSent, at(reply, 3))
	add(3, labrpc.EventDelivered, second(at(altered, 3)))
	add(4, labrpc.EventDelivered, at(reply, 1))
	add(5, labrpc.EventNoted, at(labrpc.Event{Name: "role", Value: "leader"}, 1))
	return rec.Run()
}

func written(t testing.TB, run *Run) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, run.Write(&b))
	return b.String()
}

// The file is as the package comment says: a stable order of fields, nothing
// empty, and no body twice.
func TestFileFormat(t *testing.T) {
	lines := strings.Split(written(t, sampleRun()), "\n")
	require.Equal(t, []string{
		`{"format":"distlabs-trace","version":1,"steps":10,"module":"distlabs/labs/04-election","test":"TestOneLeaderPerTerm4C",` +
			`"seed":81,"nodes":3,"start":"2000-01-01T00:00:00Z","violation":{"at":5000000},"failure":{"what":"two leaders <b>"}}`,
		`{"seq":1,"at":0,"kind":"started","node":1,"inc":1,"vector":[1,0,0]}`,
		`{"seq":2,"at":0,"kind":"started","node":3,"inc":1,"vector":[0,0,1]}`,
		`{"seq":3,"at":1000000,"kind":"sent","node":1,"inc":1,"msg":1,"from":1,"to":3,"method":"Vote","message":"request","number":1,` +
			`"type":"trace.voteArgs","body":{"Term":3,"Candidate":"n1"},"source":"raft.go:41","vector":[2,0,0],"partner":5}`,
		`{"seq":4,"at":1000000,"kind":"altered","msg":1,"from":1,"to":3,"method":"Vote","message":"request","number":1,` +
			`"type":"trace.voteArgs","body":{"Term":9,"Candidate":"n1"},"vector":[2,0,0],"partner":2}`,
	}, lines[:5])
	require.Contains(t, lines[7], `"body":{"Granted":true}`)
	require.NotContains(t, lines[9], `"body"`, "the reply's delivery repeats its send")
}

// What is wrong with a file is said with the line.
func TestReadErrors(t *testing.T) {
	good := written(t, sampleRun())
	lines := strings.SplitAfter(good, "\n")
	replace := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	tests := []struct {
		name, file, want string
		truncated        bool
	}{
		{name: "empty", file: "", want: "line 1: truncated: the file is empty", truncated: true},
		{name: "cut in the header", file: good[:40], want: "line 1: truncated in the middle", truncated: true},
		{name: "cut in a step", file: strings.Join(lines[:4], "") + lines[4][:30], want: "line 5: truncated in the middle of a step", truncated: true},
		{name: "cut between steps", file: strings.Join(lines[:4], ""), want: "truncated after line 4: 3 of 10 steps", truncated: true},
		{name: "another format", file: `{"format":"perfetto","version":1}`, want: `line 1: format is "perfetto", want "distlabs-trace"`},
		{name: "another version", file: replace(`"version":1`, `"version":3`), want: "line 1: version is 3; this program reads versions 1 to 2"},
		{name: "not JSON", file: "hello}\n", want: "line 1: not a trace"},
		{name: "too many nodes", file: replace(`"nodes":3`, `"nodes":1000000`), want: "line 1: nodes is 1000000"},
		{name: "one step too many", file: replace(`"steps":10`, `"steps":9`), want: "line 11: the header promises 9 steps"},
		{name: "unknown node", file: replace(`"node":3`, `"node":4`), want: "line 3: node is 4, of 3 nodes"},
		{name: "unknown kind", file: replace(`"kind":"altered"`, `"kind":"eaten"`), want: `line 5: unknown kind "eaten"`},
		{name: "time goes back", file: replace(`"at":2000000`, `"at":5`), want: "line 7: time goes back from 1ms to 5ns"},
		{name: "order goes back", file: replace(`"seq":4`, `"seq":3`), want: "line 5: seq 3 after 3"},
		{name: "a wrong vector", file: replace(`[2,0,0]`, `[3,0,0]`), want: "line 4: vector is [3 0 0], but [2 0 0] follows"},
		{name: "a wrong partner", file: replace(`"partner":5`, `"partner":7`), want: "line 4: partner is 7, but 5 follows"},
		{name: "a body without a type", file: replace(`"type":"trace.voteArgs",`, ``), want: "line 4: type is"},
		{name: "a wrong field", file: replace(`"node":1`, `"node":"n1"`), want: "line 2: json"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(test.file))
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "trace: ")
			if test.truncated {
				require.ErrorIs(t, err, ErrTruncated)
			} else {
				require.NotErrorIs(t, err, ErrTruncated)
			}
		})
	}
}

// A file from another program may leave out vectors and partners, and have fields that we do not know.
func TestReadComputesWhatIsLeftOut(t *testing.T) {
	run := sampleRun()
	var lean []string
	for line := range strings.Lines(written(t, run)) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		delete(m, "vector")
		delete(m, "partner")
		m["colour"] = "blue"
		b, err := json.Marshal(m)
		require.NoError(t, err)
		lean = append(lean, string(b))
	}
	again, err := Read(strings.NewReader(strings.Join(lean, "\n")))
	require.NoError(t, err)
	require.Equal(t, len(run.Steps), len(again.Steps))
	for i := range run.Steps {
		require.Equal(t, run.Steps[i].Vector, again.Steps[i].Vector)
		require.Equal(t, run.Steps[i].Partner, again.Steps[i].Partner)
	}
}

// Read never panics, and what it accepts can be written, read again and shown.
func FuzzRead(f *testing.F) {
	good := written(f, sampleRun())
	f.Add([]byte(good))
	f.Add([]byte(good[:len(good)/2]))
	f.Add([]byte(strings.ReplaceAll(good, `"msg":1,`, `"msg":2,`)))
	f.Add([]byte(`{"format":"distlabs-trace","version":1,"steps":1,"nodes":0}` + "\n" + `{"seq":1,"kind":"marked","body":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		once := written(t, run)
		again, err := Read(strings.NewReader(once))
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice := written(t, again); once != twice {
			t.Fatalf("written once:\n%s\ntwice:\n%s", once, twice)
		}
		Text(run, Options{Fold: true, Past: true})
		ShortFaults(run)
		for i := range run.Steps {
			run.Causes(i)
		}
	})
}
