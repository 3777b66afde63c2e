package report

import (
	"regexp"
	"strconv"
	"strings"
)

// Frame is one call on a goroutine's stack.
type Frame struct {
	Func string // distlabs/labs/04-election.(*Node).Vote
	Args string // the words that the runtime printed: 0xc00001c0a8, 0x3?
	File string
	Line int
}

// Goroutine is one goroutine of a stack dump.
type Goroutine struct {
	ID        uint64
	State     string // running, chan receive, sync.Mutex.Lock, …
	Durable   bool   // blocked so that only its own bubble can wake it
	Bubble    uint64 // number of its synctest bubble, 0 for none
	Frames    []Frame
	CreatedBy Frame // zero for the main goroutine
}

var goroutineHeader = regexp.MustCompile(`^goroutine (\d+)(?: [a-z]+=\S+)* \[(.*)\]:$`)

// ParseStacks reads what runtime.Stack or a crash prints about goroutines.
// Lines that belong to no goroutine are skipped.
func ParseStacks(stacks []byte) []Goroutine {
	var all []Goroutine
	var g *Goroutine
	var function string
	for line := range strings.SplitSeq(string(stacks), "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch {
		case goroutineHeader.MatchString(line):
			all = append(all, parseHeader(line))
			g, function = &all[len(all)-1], ""
		case g == nil:
		case line == "":
			g = nil
		case strings.HasPrefix(line, "\t"):
			frame := parseFrame(function, line)
			if by, ok := strings.CutPrefix(function, "created by "); ok {
				frame.Func, _, _ = strings.Cut(by, " in goroutine ")
				g.CreatedBy = frame
			} else if function != "" && frame.Line > 0 {
				g.Frames = append(g.Frames, frame)
			}
		default:
			function = line
		}
	}
	return all
}

func parseHeader(line string) Goroutine {
	m := goroutineHeader.FindStringSubmatch(line)
	var g Goroutine
	g.ID, _ = strconv.ParseUint(m[1], 10, 64)
	parts := strings.Split(m[2], ", ")
	g.State, g.Durable = strings.CutSuffix(strings.TrimSuffix(parts[0], " (scan)"), " (durable)")
	for _, part := range parts[1:] {
		if n, ok := strings.CutPrefix(part, "synctest bubble "); ok {
			g.Bubble, _ = strconv.ParseUint(n, 10, 64)
		}
	}
	return g
}

// parseFrame reads the two lines of one call:
//
//	distlabs/labs/04-election.(*Node).Vote(0xc00001c0a8)
//		/home/ada/labs/04-election/raft.go:23 +0x7b
func parseFrame(function, place string) Frame {
	f := Frame{Func: function}
	if at := strings.LastIndexByte(function, '('); at > 0 && strings.HasSuffix(function, ")") {
		f.Func, f.Args = function[:at], function[at+1:len(function)-1]
	}
	place = strings.TrimSpace(place)
	if at := strings.LastIndex(place, " +0x"); at >= 0 {
		place = place[:at]
	}
	if at := strings.LastIndexByte(place, ':'); at > 0 {
		if n, err := strconv.Atoi(place[at+1:]); err == nil {
			f.File, f.Line = place[:at], n
		}
	}
	return f
}

// Where returns the frame's place as a student reads it: raft.go:23.
func (f Frame) Where() string { return baseName(f.File) + ":" + strconv.Itoa(f.Line) }

// path returns the frame's place with its folder, for Failure.Where.
func (f Frame) path() string { return f.File + ":" + strconv.Itoa(f.Line) }

var (
	closureSuffix = regexp.MustCompile(`(\.(func|gowrap|deferwrap)?\d+|-range\d+)+$`)
	typeArguments = regexp.MustCompile(`\[.*\]`)
)

// Name returns the frame's function as a student would call it: Node.Vote for a
// method, labrpc.Call for a function of another package, "a function in
// Node.Start" for a literal. Package names of student code are left out.
func (f Frame) Name() string {
	name := typeArguments.ReplaceAllString(f.Func, "")
	slash := strings.LastIndexByte(name, '/')
	pkg, rest, ok := strings.Cut(name[slash+1:], ".")
	if !ok {
		return name
	}
	short := closureSuffix.ReplaceAllString(rest, "")
	short = strings.NewReplacer("(*", "", ")", "").Replace(short)
	if !strings.Contains(name, "/labs/") {
		short = pkg + "." + short
	}
	if strings.Contains(closureSuffix.FindString(rest), "func") {
		return "a function in " + short
	}
	return short
}

// Source is what the readers of stacks know about the student's program.
type Source struct {
	// IsStudent tells whether the file, as a stack names it, is the student's
	// to edit. Nil takes the files below a folder labs/, except the tests.
	IsStudent func(path string) bool
	// Read returns the text of such a file; sentences are vaguer without it.
	Read func(path string) ([]byte, error)
}

func (s Source) isStudent(f Frame) bool {
	if s.IsStudent == nil {
		return strings.Contains(strings.ReplaceAll(f.File, `\`, "/"), "/labs/") && !strings.HasSuffix(f.File, "_test.go")
	}
	return s.IsStudent(f.File)
}

// student returns the student's frames among frames, innermost first.
func (s Source) student(frames []Frame) []Frame {
	var own []Frame
	for _, f := range frames {
		if s.isStudent(f) {
			own = append(own, f)
		}
	}
	return own
}
