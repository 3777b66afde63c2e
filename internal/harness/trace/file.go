package trace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"distlabs/labrpc"
)

// What the first line of a file says, and the limits of what is read.
const (
	formatName    = "distlabs-trace"
	formatVersion = 2 // 1 until the kinds of kinds.go came
	maxNodes      = 1000
	maxLine       = 64 << 20
)

// ErrTruncated is the error, for errors.Is, of reading a file that ends too early.
var ErrTruncated = errors.New("truncated")

// fileHeader is the first line.
type fileHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Steps   int    `json:"steps"`
	Header
}

// fileStep is one further line.
type fileStep struct {
	Seq     uint64             `json:"seq"`
	At      time.Duration      `json:"at"`
	Kind    labrpc.EventKind   `json:"kind"`
	Node    labrpc.NodeID      `json:"node,omitempty"`
	Inc     int                `json:"inc,omitempty"`
	Msg     uint64             `json:"msg,omitempty"`
	Copy    int                `json:"copy,omitempty"`
	From    labrpc.NodeID      `json:"from,omitempty"`
	To      labrpc.NodeID      `json:"to,omitempty"`
	Method  string             `json:"method,omitempty"`
	Message labrpc.MessageKind `json:"message,omitempty"`
	Number  uint64             `json:"number,omitempty"`
	ReplyTo uint64             `json:"reply_to,omitempty"`
	Type    string             `json:"type,omitempty"`
	Body    json.RawMessage    `json:"body,omitempty"`
	Source  string             `json:"source,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Name    string             `json:"name,omitempty"`
	Value   string             `json:"value,omitempty"`
	Vector  []int              `json:"vector,omitempty"`
	Partner *int               `json:"partner,omitempty"`
}

// kinds are the events of this version of the format.
var kinds = map[labrpc.EventKind]bool{
	labrpc.EventSent: true, labrpc.EventDelivered: true, labrpc.EventLost: true, labrpc.EventDuplicated: true,
	labrpc.EventHeld: true, labrpc.EventReleased: true, labrpc.EventAltered: true, labrpc.EventStarted: true,
	labrpc.EventCrashed: true, labrpc.EventStopped: true, labrpc.EventPaused: true, labrpc.EventResumed: true,
	labrpc.EventCut: true, labrpc.EventHealed: true, labrpc.EventNoted: true, labrpc.EventLogged: true,
	labrpc.EventWrote: true, labrpc.EventClock: true, labrpc.EventMarked: true,
	KindCalled: true, KindReturned: true, KindTold: true, KindSeen: true,
}

// Write writes the run in the form that the package comment describes.
func (r *Run) Write(w io.Writer) error {
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	h := fileHeader{Format: formatName, Version: r.version(), Steps: len(r.Steps), Header: r.Header}
	if err := enc.Encode(h); err != nil {
		return fmt.Errorf("trace: write the header: %w", err)
	}
	for i := range r.Steps {
		if err := enc.Encode(r.fileStep(i)); err != nil {
			return fmt.Errorf("trace: write step %d: %w", i, err)
		}
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("trace: write: %w", err)
	}
	return nil
}

// version is that of the oldest reader that reads the run: most runs have no step of the newer kinds.
func (r *Run) version() int {
	for i := range r.Steps {
		if r.Steps[i].ByTest() {
			return formatVersion
		}
	}
	return 1
}

func (r *Run) fileStep(i int) fileStep {
	s := &r.Steps[i]
	f := fileStep{
		Seq: s.Seq, At: s.At, Kind: s.Kind, Node: s.Node, Inc: s.Inc, Msg: s.Msg, Copy: s.Copy,
		From: s.From, To: s.To, Method: s.Method, Message: s.Message, Number: s.Number, ReplyTo: s.ReplyTo,
		Type: s.Type, Body: json.RawMessage(s.Body), Source: s.Source,
		Reason: s.Reason, Name: s.Name, Value: s.Value, Vector: s.Vector,
	}
	if s.Partner >= 0 {
		f.Partner = &s.Partner
	}
	if s.Partner < 0 || s.Partner > i {
		return f
	}
	switch p := &r.Steps[s.Partner]; {
	case p.Body == s.Body && p.Type == s.Type:
		f.Type, f.Body = "", nil
	case s.Body == "":
		f.Body = json.RawMessage("null") // without a type: nothing, and not the partner's
	}
	return f
}

// Read reads a run that [Run.Write] wrote. Vectors and partners are computed again; where the file
// has others, that is an error. Errors name the line; a file that stops short gives [ErrTruncated].
func Read(src io.Reader) (*Run, error) {
	lines := bufio.NewScanner(src)
	lines.Buffer(nil, maxLine)
	r, want, err := readHeader(lines)
	if err != nil {
		return nil, err
	}
	var read []fileStep
	for lines.Scan() {
		line := len(read) + 2
		f, err := parseStep(lines.Bytes(), r.Header.Nodes)
		if err == nil && len(read) > 0 {
			err = f.follows(&read[len(read)-1])
		}
		switch {
		case err != nil && !lineComplete(lines.Bytes()) && len(read) < want:
			return nil, fmt.Errorf("trace: line %d: %w in the middle of a step", line, ErrTruncated)
		case err != nil:
			return nil, fmt.Errorf("trace: line %d: %w", line, err)
		case len(read) == want:
			return nil, fmt.Errorf("trace: line %d: the header promises %d steps, and here is one more", line, want)
		}
		read = append(read, f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("trace: line %d: %w", len(read)+2, err)
	}
	if len(read) < want {
		return nil, fmt.Errorf("trace: %w after line %d: %d of %d steps", ErrTruncated, len(read)+1, len(read), want)
	}
	return r, r.take(read)
}

func readHeader(lines *bufio.Scanner) (*Run, int, error) {
	fail := func(format string, args ...any) (*Run, int, error) {
		return nil, 0, fmt.Errorf("trace: line 1: "+format, args...)
	}
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return fail("%w", err)
		}
		return fail("%w: the file is empty", ErrTruncated)
	}
	var which struct {
		Format  string
		Version int
	}
	if err := json.Unmarshal(lines.Bytes(), &which); err != nil {
		if !lineComplete(lines.Bytes()) {
			return fail("%w in the middle of the header, or not a trace", ErrTruncated)
		}
		return fail("not a trace: %w", err)
	}
	if which.Format != formatName {
		return fail("format is %q, want %q", which.Format, formatName)
	}
	if which.Version < 1 || which.Version > formatVersion {
		return fail("version is %d; this program reads versions 1 to %d", which.Version, formatVersion)
	}
	var h fileHeader
	if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
		return fail("%w", err)
	}
	if h.Nodes < 0 || h.Nodes > maxNodes {
		return fail("nodes is %d, want 0 to %d", h.Nodes, maxNodes)
	}
	if h.Steps < 0 {
		return fail("steps is %d", h.Steps)
	}
	h.Header.Failure = compact(h.Header.Failure)
	return &Run{Header: h.Header}, h.Steps, nil
}

// lineComplete tells a line that was cut off from one that is wrong.
func lineComplete(line []byte) bool {
	return bytes.HasSuffix(bytes.TrimSpace(line), []byte("}"))
}

func compact(raw json.RawMessage) json.RawMessage {
	var buf bytes.Buffer
	if len(raw) == 0 || json.Compact(&buf, raw) != nil {
		return nil
	}
	return buf.Bytes()
}

// parseStep reads one line and checks what it says of itself.
func parseStep(line []byte, nodes int) (fileStep, error) {
	var f fileStep
	if err := json.Unmarshal(line, &f); err != nil {
		return f, err
	}
	f.Body = compact(f.Body)
	if !kinds[f.Kind] {
		return f, fmt.Errorf("unknown kind %q", f.Kind)
	}
	for _, n := range []struct {
		field string
		id    labrpc.NodeID
	}{{"node", f.Node}, {"from", f.From}, {"to", f.To}} {
		if n.id < 0 || int(n.id) > nodes {
			return f, fmt.Errorf("%s is %d, of %d nodes", n.field, int(n.id), nodes)
		}
	}
	if f.At < 0 {
		return f, fmt.Errorf("at is %d", f.At)
	}
	if hasBody := f.Body != nil && string(f.Body) != "null"; f.Type == "" && hasBody || f.Type != "" && f.Body == nil {
		return f, fmt.Errorf("type is %q and body is %q: one without the other", f.Type, f.Body)
	}
	return f, nil
}

// follows checks what a line says against the line before it.
func (f *fileStep) follows(prev *fileStep) error {
	if f.Seq <= prev.Seq {
		return fmt.Errorf("seq %d after %d", f.Seq, prev.Seq)
	}
	if f.At < prev.At {
		return fmt.Errorf("time goes back from %v to %v", prev.At, f.At)
	}
	return nil
}

// take makes the lines the run's steps.
func (r *Run) take(read []fileStep) error {
	r.Steps = make([]Step, len(read))
	for i := range read {
		f := &read[i]
		r.Steps[i] = Step{Type: f.Type, Body: string(f.Body), Event: labrpc.Event{
			Seq: f.Seq, At: f.At, Kind: f.Kind, Node: f.Node, Inc: f.Inc, Msg: f.Msg, Copy: f.Copy,
			From: f.From, To: f.To, Method: f.Method, Message: f.Message, Number: f.Number, ReplyTo: f.ReplyTo,
			Source: f.Source, Reason: f.Reason, Name: f.Name, Value: f.Value,
		}}
	}
	r.link()
	for i := range read {
		f, s := &read[i], &r.Steps[i]
		if f.Vector != nil && !slices.Equal(f.Vector, s.Vector) {
			return fmt.Errorf("trace: line %d: vector is %v, but %v follows from the steps", i+2, f.Vector, s.Vector)
		}
		if f.Partner != nil && *f.Partner != s.Partner {
			return fmt.Errorf("trace: line %d: partner is %d, but %d follows from the steps", i+2, *f.Partner, s.Partner)
		}
		switch {
		case s.Body == "null" && s.Type == "":
			s.Body = ""
		case s.Body == "" && s.Type == "" && s.Partner >= 0 && s.Partner < i:
			s.Type, s.Body = r.Steps[s.Partner].Type, r.Steps[s.Partner].Body
		}
	}
	return nil
}
