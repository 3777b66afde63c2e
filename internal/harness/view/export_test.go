package view

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

var update = flag.Bool("update", false, "write the golden files again")

// exports are the pure functions of a run.
var exports = map[string]func(io.Writer, *trace.Run) error{
	"small.svg":    func(w io.Writer, r *trace.Run) error { return SVG(w, r, Picture{}) },
	"small.shiviz": ShiViz,
	"small.json":   Perfetto,
}

// Each form of a small run is what a person once looked at and found right.
func TestExportsAreGolden(t *testing.T) {
	for name, export := range exports {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, export(&b, small(t)))
			golden := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
		})
	}
}

// What is written is a function of the run: twice the same, down to the byte.
func TestExportsAreDeterministic(t *testing.T) {
	run := badElection(t, 5)
	all := map[string]func(io.Writer, *trace.Run) error{"page": func(w io.Writer, r *trace.Run) error { return HTML(w, r, Options{}) }}
	for name, f := range exports {
		all[name] = f
	}
	for name, export := range all {
		var a, b bytes.Buffer
		require.NoError(t, export(&a, run))
		require.NoError(t, export(&b, run))
		require.Equal(t, a.String(), b.String(), name)
	}
}

// A failing writer's error is returned.
func TestExportsReportWriteErrors(t *testing.T) {
	for name, export := range exports {
		require.ErrorIs(t, export(full{}, small(t)), errFull, name)
	}
	require.ErrorIs(t, HTML(full{}, small(t), Options{}), errFull)
	require.ErrorIs(t, Compare(full{}, small(t), small(t), Options{}), errFull)
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Text is package trace's own.
func TestTextIsTraces(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Text(&b, small(t), trace.Options{Fold: true}))
	require.Equal(t, trace.Text(small(t), trace.Options{Fold: true}), b.String())
	require.ErrorIs(t, Text(full{}, small(t), trace.Options{}), errFull)
}

// ShiViz accepts the log: its own parser finds every event, and every host's clock goes up by one.
func TestShiVizClocksStep(t *testing.T) {
	for _, run := range []*trace.Run{small(t), hostile(t), badElection(t, 5)} {
		var b bytes.Buffer
		require.NoError(t, ShiViz(&b, run))
		head, log, _ := strings.Cut(b.String(), "\n\n")
		parser := regexp.MustCompile("(?m)^" + strings.ReplaceAll(head, "(?<", "(?P<") + "$")
		atNodes := 0
		for i := range run.Steps {
			if run.Steps[i].Node != 0 {
				atNodes++
			}
		}
		found := parser.FindAllStringSubmatch(log, -1)
		require.Len(t, found, atNodes)
		last := map[string]int{}
		for _, m := range found {
			host, clock := m[2], map[string]int{}
			require.NoError(t, json.Unmarshal([]byte(m[3]), &clock))
			require.Equal(t, last[host]+1, clock[host], m[0])
			last[host] = clock[host]
		}
	}
}

// Perfetto's JSON is in the Trace Event Format, and the slices of a thread nest, as its importer demands.
func TestPerfettoIsTraceEvents(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/traceevent.schema.json")
	require.NoError(t, err)
	for _, run := range []*trace.Run{small(t), hostile(t), everyKind(t), badElection(t, 5), trace.NewRecorder(trace.Header{}).Run()} {
		var b bytes.Buffer
		require.NoError(t, Perfetto(&b, run))
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(value))
		var out struct{ TraceEvents []traceEvent }
		require.NoError(t, json.Unmarshal(b.Bytes(), &out))
		requireNested(t, out.TraceEvents)
	}
}

// requireNested checks that two slices of one thread are apart or one within the other.
func requireNested(t *testing.T, events []traceEvent) {
	slices.SortStableFunc(events, func(a, b traceEvent) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Length, a.Length)) })
	const rounding = 1e-4          // a tenth of a nanosecond: the numbers are floating-point microseconds
	open := map[thread][]float64{} // ends of the slices that enclose
	for _, e := range events {
		if e.Phase != "X" {
			continue
		}
		at := thread{e.Process, e.Thread}
		for n := len(open[at]); n > 0 && open[at][n-1] <= e.At+rounding; n = len(open[at]) {
			open[at] = open[at][:n-1]
		}
		if n := len(open[at]); n > 0 {
			require.LessOrEqual(t, e.At+e.Length, open[at][n-1]+rounding, "%s of process %d at %v", e.Name, e.Process, e.At)
		}
		open[at] = append(open[at], e.At+e.Length)
	}
}

// Perfetto's JSON is valid; every flow has one beginning and one end, and no span has a negative length.
func TestPerfettoFlowsPair(t *testing.T) {
	for _, run := range []*trace.Run{small(t), hostile(t), badElection(t, 5)} {
		var b bytes.Buffer
		require.NoError(t, Perfetto(&b, run))
		var out struct{ TraceEvents []traceEvent }
		require.NoError(t, json.Unmarshal(b.Bytes(), &out))
		starts, ends, delivered := map[string]int{}, map[string]int{}, 0
		for _, e := range out.TraceEvents {
			require.GreaterOrEqual(t, e.Length, 0.0, e.Name)
			switch e.Phase {
			case "s":
				starts[e.ID]++
			case "f":
				ends[e.ID]++
			}
		}
		for i := range run.Steps {
			if s := &run.Steps[i]; s.Kind == labrpc.EventSent && s.Partner >= 0 {
				delivered++
			}
		}
		require.Len(t, starts, delivered)
		require.Equal(t, starts, ends)
	}
}

// A picture is well-formed XML whatever the strings in the run, and carries no script.
func TestSVGIsWellFormed(t *testing.T) {
	for _, run := range []*trace.Run{small(t), hostile(t), badElection(t, 10), trace.NewRecorder(trace.Header{}).Run()} {
		var b bytes.Buffer
		require.NoError(t, SVG(&b, run, Picture{}))
		dec := xml.NewDecoder(&b)
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if e, ok := token.(xml.StartElement); ok {
				require.NotContains(t, []string{"script", "img", "image", "a", "foreignObject"}, e.Name.Local)
			}
		}
	}
}

// Where a message is too long for its lane, what is empty goes first, then zeros; false is an answer.
func TestSayBody(t *testing.T) {
	const body = `{"Term":3,"Granted":false,"Entries":[],"Who":null,"Name":"","Index":0}`
	for _, tt := range []struct {
		chars int
		want  string
	}{
		{80, "Vote{Term:3 Granted:false Entries:[] Who:nil Name:\"\" Index:0}"},
		{40, "Vote{Term:3 Granted:false Index:0}"},
		{30, "Vote{Term:3 Granted:false}"},
		{20, "Vote{Term:3 Granted…"},
	} {
		require.Equal(t, tt.want, sayBody("Vote", body, float64(tt.chars)*svgChar))
	}
	require.Equal(t, "Vote", sayBody("Vote ", "", 100))
}

// A picture shows what is asked for: the times, the nodes, the routine.
func TestPictureOptions(t *testing.T) {
	run := badElection(t, 5)
	draw := func(opts Picture) string {
		var b bytes.Buffer
		require.NoError(t, SVG(&b, run, opts))
		return b.String()
	}
	run.Header.Failure, run.Header.Violation = nil, nil // what a failure names is shown beside them
	require.Equal(t, 10, strings.Count(draw(Picture{Rows: 10}), `class="time"`))
	require.Greater(t, strings.Count(draw(Picture{Rows: 5000, Routine: true}), `class="time"`), strings.Count(draw(Picture{Rows: 5000}), `class="time"`))
	two := draw(Picture{Nodes: []labrpc.NodeID{4, 1}, Rows: 5000})
	require.Less(t, strings.Count(two, `class="dot"`), strings.Count(draw(Picture{Rows: 5000}), `class="dot"`))
	require.Regexp(t, `(?s)class="head"[^>]*>n4<.*class="head"[^>]*>n1<`, two, "lanes in the order asked for")
	require.NotContains(t, two, ">n2</text>")
	votes := draw(Picture{Match: regexp.MustCompile(`^n\d→n\d RequestVote`), Rows: 5000, Routine: true})
	require.Contains(t, votes, "RequestVote{")
	require.NotContains(t, votes, "AppendEntries")
	require.Contains(t, votes, "role candidate", "what is no message stays")
	require.Regexp(t, `class="r0"`, draw(Picture{}), "a leader's lane has a colour")
}

// Every form of a failed run says what broke, and which rule.
func TestExportsCarryTheViolation(t *testing.T) {
	run := badElection(t, 3)
	f, _ := failureOf(run)
	for _, format := range []Format{FormatHTML, FormatText, FormatSVG, FormatShiViz, FormatPerfetto, FormatJSON} {
		var b bytes.Buffer
		require.NoError(t, Write(&b, format, run, nil, Options{Picture: Picture{Width: 2000}}))
		require.Contains(t, b.String(), f.What, format)
		require.Contains(t, b.String(), f.Rule, format)
	}
	var b bytes.Buffer
	require.NoError(t, Perfetto(&b, small(t)))
	require.Contains(t, b.String(), `{"name":"✗ n1 leads with one vote (a leader has a majority)","ph":"i","cat":"violation","ts":28000`)
}

// A picture explains its signs, gives each kind of message a colour, and writes every text on a ground of its own.
func TestPictureHasALegend(t *testing.T) {
	run := badElection(t, 5)
	var b bytes.Buffer
	require.NoError(t, SVG(&b, run, Picture{}))
	text := b.String()
	for _, want := range []string{">AppendEntries</text>", ">RequestVote</text>", ">a reply</text>", ">lost</text>", ">leader</text>", ">candidate</text>", ">partitioned</text>"} {
		require.Regexp(t, `class="legend"[^>]*`+want, text)
	}
	require.Contains(t, text, `class="msg m0"`)
	require.Contains(t, text, `class="msg m1"`)
	// Whatever is drawn as a label stands on its ground, which comes right before it.
	lines := strings.Split(text, "\n")
	for k, line := range lines {
		if strings.HasPrefix(line, `<text class="`) && !regexp.MustCompile(`class="(time|head|legend)"`).MatchString(line) {
			require.Contains(t, lines[k-1], `<rect class="ground"`, line)
		}
	}
	last := strings.LastIndex(text, "<path class=\"msg")
	require.Greater(t, last, 0)
}
