package trace

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"distlabs/labrpc"
)

// TestMain fixes the seed of rapid, so that every run of the tests is the same; -rapid.seed
// gives another.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.nofailfile": "true"} {
		f := flag.Lookup(name)
		if f.Value.String() != f.DefValue {
			continue
		}
		if err := f.Value.Set(value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A drawnRun is a random run, with the edges of cause and effect as they were drawn.
type drawnRun struct {
	*Run
	edges [][]int // from a step to those that directly follow from it
}

// flight is a message that the generator may still move on.
type flight struct {
	event labrpc.Event
	trunk int
	twin  int
	over  [2]bool // per copy
}

// drawRun draws a run of messages, crashes, cuts and notes between a few nodes.
func drawRun(t *rapid.T) drawnRun {
	nodes := rapid.IntRange(1, 5).Draw(t, "nodes")
	id := func(label string) labrpc.NodeID { return labrpc.NodeID(rapid.IntRange(1, nodes).Draw(t, label)) }
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "role", "\x1b[2J\r\n\u202e", "loss", "cut"}))
	rec := NewRecorder(Header{Nodes: nodes, Seed: rapid.Uint64().Draw(t, "seed")})
	last := make([]int, nodes+1)
	for n := range last {
		last[n] = -1
	}
	var edges [][]int
	var flights []*flight
	var at time.Duration
	emit := func(e labrpc.Event, parent int) int {
		i := len(edges)
		edges = append(edges, nil)
		at += time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "pause"))
		e.Seq, e.At = uint64(i+1), at
		if parent >= 0 {
			edges[parent] = append(edges[parent], i)
		}
		if e.Node != 0 {
			e.Inc = 1
			if last[e.Node] >= 0 {
				edges[last[e.Node]] = append(edges[last[e.Node]], i)
			}
			last[e.Node] = i
		}
		rec.Observe(e)
		return i
	}
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			from := id("from")
			e := labrpc.Event{
				Kind: labrpc.EventSent, Node: from, From: from, To: id("to"), Msg: uint64(len(flights) + 1), Number: 1,
				Method: text.Draw(t, "method"), Message: rapid.SampledFrom([]labrpc.MessageKind{labrpc.OneWay, labrpc.Request, labrpc.Reply}).Draw(t, "message"),
				Body: voteArgs{Term: rapid.IntRange(0, 3).Draw(t, "term"), Candidate: from}, Source: "raft.go:41",
			}
			i := emit(e, -1)
			flights = append(flights, &flight{event: e, trunk: i, twin: -1})
		case 1:
			e := labrpc.Event{Kind: labrpc.EventNoted, Node: id("node"), Name: text.Draw(t, "name"), Value: text.Draw(t, "value")}
			e.Kind = rapid.SampledFrom([]labrpc.EventKind{
				labrpc.EventNoted, labrpc.EventLogged, labrpc.EventCrashed, labrpc.EventStarted, labrpc.EventWrote, labrpc.EventClock,
			}).Draw(t, "deed")
			emit(e, -1)
		case 2:
			emit(labrpc.Event{Kind: rapid.SampledFrom([]labrpc.EventKind{labrpc.EventCut, labrpc.EventHealed}).Draw(t, "link"), From: id("from"), To: id("to")}, -1)
		default:
			if len(flights) > 0 {
				rapid.SampledFrom(flights).Draw(t, "flight").move(t, emit, text.Draw(t, "reason"))
			}
		}
	}
	return drawnRun{Run: rec.Run(), edges: edges}
}

// move makes one thing happen to the message.
func (f *flight) move(t *rapid.T, emit func(labrpc.Event, int) int, reason string) {
	e := f.event
	e.Node, e.Source = 0, ""
	e.Kind = rapid.SampledFrom([]labrpc.EventKind{
		labrpc.EventDelivered, labrpc.EventLost, labrpc.EventHeld, labrpc.EventReleased, labrpc.EventAltered, labrpc.EventDuplicated,
	}).Draw(t, "fate")
	switch e.Kind {
	case labrpc.EventDuplicated:
		if f.twin < 0 && !f.over[0] {
			e.Copy = 1
			f.twin = emit(e, f.trunk)
		}
	case labrpc.EventDelivered, labrpc.EventLost:
		parent := f.trunk
		if f.twin >= 0 && rapid.Bool().Draw(t, "copy") {
			e.Copy, parent = 1, f.twin
		}
		if f.over[e.Copy] {
			return
		}
		f.over[e.Copy] = true
		if e.Kind == labrpc.EventDelivered {
			e.Node = e.To
		} else {
			e.Reason = reason
		}
		emit(e, parent)
	default:
		if !f.over[0] && f.twin < 0 {
			if e.Kind == labrpc.EventAltered {
				e.Body = voteArgs{Term: 99}
			}
			f.trunk = emit(e, f.trunk)
		}
	}
}

// reach returns what can be reached from step i along the edges.
func (d *drawnRun) reach(i int) []bool {
	seen := make([]bool, len(d.edges))
	var visit func(int)
	visit = func(k int) {
		for _, next := range d.edges[k] {
			if !seen[next] {
				seen[next] = true
				visit(next)
			}
		}
	}
	visit(i)
	return seen
}

// Happened-before from vector clocks is reachability in the graph of program
// order and messages, for every pair of steps; and causes and effects are its two sides.
func TestBeforeIsReachability(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawRun(t)
		causes := make([][]int, len(d.Steps))
		for a := range d.Steps {
			var effects []int
			for b, want := range d.reach(a) {
				if got := d.Before(a, b); got != want {
					t.Fatalf("Before(%d, %d) = %v, want %v\n%+v\n%+v", a, b, got, want, d.Steps[a], d.Steps[b])
				}
				if want {
					effects = append(effects, b)
					causes[b] = append(causes[b], a)
				}
			}
			require.Equal(t, effects, d.Effects(a))
		}
		for b := range d.Steps {
			require.Equal(t, causes[b], d.Causes(b), "causes of step %d", b)
		}
	})
}

// A run of any content survives writing and reading, and is no different from itself.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := drawRun(t).Run
		var file bytes.Buffer
		require.NoError(t, run.Write(&file))
		again, err := Read(bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		if len(run.Steps) == 0 {
			require.Empty(t, again.Steps)
			return
		}
		require.Equal(t, run, again)
		d, differ := Diff(run, again)
		require.False(t, differ, "%v", d)
	})
}

// No row is too wide or can move the cursor, whatever the student's strings hold, and no
// option makes Text show more rows than it was asked for.
func TestTextIsSafeToPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		run := drawRun(t).Run
		opts := Options{
			Last: rapid.IntRange(1, 40).Draw(t, "last"), Fold: rapid.Bool().Draw(t, "fold"), Past: rapid.Bool().Draw(t, "past"),
		}
		if rapid.Bool().Draw(t, "choose") {
			opts.Nodes = []labrpc.NodeID{labrpc.NodeID(rapid.IntRange(1, 5).Draw(t, "node"))}
		}
		text := Text(run, opts)
		rows := bytes.Count([]byte(text), []byte("\n"))
		require.LessOrEqual(t, rows, opts.Last+1)
		for line := range bytes.Lines([]byte(text)) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			require.LessOrEqual(t, utf8.RuneCount(line), maxWidth, "%s", line)
			for _, r := range string(line) {
				require.True(t, unicode.IsPrint(r), "%q in %q", r, line)
			}
		}
		_, faults := ShortFaults(run)
		for _, line := range FaultTexts(faults) {
			require.NotContains(t, line, "\x1b", fmt.Sprintf("%q", line))
		}
	})
}
