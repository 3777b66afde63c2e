package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// Crash is what the last output of a Go process tells about its end.
type Crash struct {
	Failure
	Bubble uint64  // synctest bubble of the goroutine that failed, 0 if unknown
	Frames []Frame // the student's frames, innermost first
	Raw    string  // the report itself, as Go printed it

	stacks []Frame // every frame of the report, for TestName
}

var testFunction = regexp.MustCompile(`\.(Test[A-Za-z0-9_]*)(\.|$)`)

// TestName returns the test that a frame of the report belongs to, or "".
func (c Crash) TestName() string {
	for _, f := range c.stacks {
		if m := testFunction.FindStringSubmatch(f.Func); m != nil && !isLibrary(f) {
			return m[1]
		}
	}
	return ""
}

// ReadCrash finds out from a Go process's stderr why it died: a report of the
// race detector, else a panic or a fatal error of the runtime, else a panic of
// package testing (timeout, a bubble in which all goroutines are blocked).
// It reports false if the output holds none of these.
func ReadCrash(output []byte, src Source) (Crash, bool) {
	if races := ReadRaces(output, src); len(races) > 0 {
		return races[0], true
	}
	head, raw, ok := findPanic(output)
	if !ok {
		return Crash{}, false
	}
	goroutines := ParseStacks([]byte(raw))
	c := Crash{Raw: raw}
	message, note := panicMessage(head)
	if note != "" {
		c.Notes = []string{note}
	}
	if len(goroutines) == 0 {
		c.Kind, c.What = Panic, "the process died: "+message
		return c, true
	}
	crashed := goroutines[0]
	c.Bubble = crashed.Bubble
	for _, g := range goroutines {
		c.stacks = append(append(c.stacks, g.Frames...), g.CreatedBy)
	}
	switch {
	case strings.HasPrefix(message, "test timed out"):
		limit, tests, _ := strings.Cut(strings.TrimPrefix(message, "test timed out after "), " running tests: ")
		c.stopped(fmt.Sprintf("go test stopped it after %s of real time (-timeout): %s", limit, tests), raw, src)
	case strings.HasPrefix(message, "SIGQUIT"): // how go test stops a binary, too
		c.stopped("it was told to quit (SIGQUIT)", raw, src)
	case strings.Contains(message, "all goroutines in bubble are blocked"),
		strings.Contains(message, "blocked goroutines remain"),
		strings.Contains(message, "all goroutines are asleep"):
		c.blocked(message, goroutines, src)
	default:
		c.panicked(message, crashed, src)
	}
	return c, true
}

var panicStart = regexp.MustCompile(`(?m)^(panic: |fatal error: |runtime: goroutine stack exceeds|SIG[A-Z]+: |unexpected fault address)`)

var stackStart = regexp.MustCompile(`\ngoroutine \d+ .*\]:\n`)

// findPanic returns the lines that say why, and the whole report.
//
// A program can print "panic: " itself, so the report is the last such line
// that a goroutine's stack follows; the lines of a real message that comes
// from a program are indented by the runtime.
func findPanic(output []byte) (head, raw string, ok bool) {
	text := strings.ReplaceAll(string(output), "\r\n", "\n")
	stacks := stackStart.FindAllStringIndex(text, -1)
	used := -1
	for _, at := range panicStart.FindAllStringIndex(text, -1) {
		for len(stacks) > 0 && stacks[0][0] < at[0] {
			stacks = stacks[1:]
		}
		if len(stacks) == 0 {
			break
		}
		// Two starts before one stack are one report, as "runtime: goroutine
		// stack exceeds" and its "fatal error: stack overflow".
		if next := stacks[0][0]; next != used {
			head, raw, ok, used = text[at[0]:next], text[at[0]:], true, next
		}
	}
	if m := panicStart.FindStringIndex(text); !ok && m != nil && bytes.Contains(output, []byte("out of memory")) {
		line, _, _ := strings.Cut(text[m[0]:], "\n")
		return line, text[m[0]:], true
	}
	return head, raw, ok
}

var recovered = regexp.MustCompile(` \[recovered[^\]]*\]`)

// panicMessage returns the message of the panic that counts, which is the last
// of a chain, and a note on the one that came before it.
func panicMessage(head string) (message, note string) {
	head, _, _ = strings.Cut(head, "\nruntime stack:\n") // the runtime's own frames say nothing to a student
	var panics []string
	for line := range strings.SplitSeq(head, "\n") {
		trimmed := strings.TrimSpace(line)
		for _, prefix := range []string{"panic: ", "fatal error: "} {
			if m, ok := strings.CutPrefix(trimmed, prefix); ok {
				panics = append(panics, recovered.ReplaceAllString(m, ""))
				trimmed = ""
			}
		}
		indented := strings.HasPrefix(line, "\t")
		if trimmed != "" && indented && len(panics) > 0 && !strings.HasPrefix(trimmed, "goroutine ") {
			panics[len(panics)-1] += " " + trimmed
		}
	}
	if len(panics) == 0 {
		return strings.TrimSpace(head), ""
	}
	message = panics[len(panics)-1]
	if first := panics[0]; first != message {
		note = "this panic came while another one was handled: " + first
	}
	return message, note
}

// panicked fills in a panic or fatal error of one goroutine.
func (c *Crash) panicked(message string, g Goroutine, src Source) {
	c.Kind = Panic
	frames := g.Frames
	for i, f := range g.Frames {
		if f.Func == "panic" { // above it are deferred calls, below it what panicked
			frames = g.Frames[i+1:]
		}
	}
	c.Frames = src.student(frames)
	if len(c.Frames) == 0 {
		c.Frames = src.student(g.Frames)
	}
	if n := len(c.Frames); strings.Contains(message, "stack overflow") && n > deep {
		c.Frames = c.Frames[1:2] // the first is where the stack ended, the others repeat
	}
	at := src.blame(frames)
	if len(c.Frames) > 0 {
		at = c.Frames[0]
	}
	c.Where = at.path()
	what, rule := explain(message)
	c.What, c.Rule = at.Name()+" "+what, rule
	if strings.Contains(message, "os.Exit(0)") {
		c.Kind = Exit
	}
	if strings.HasPrefix(message, "concurrent map") {
		c.Kind = Race
	}
	for _, f := range c.Frames[:min(len(c.Frames), 6)] {
		c.Seen = append(c.Seen, f.Name()+" at "+f.Where())
	}
	if by := g.CreatedBy; by.Func != "" && !isLibrary(by) {
		c.Seen = append(c.Seen, "in the goroutine that "+by.Name()+" started at "+by.Where())
	}
}

// explain turns what the runtime says into what the function did, and the rule.
func explain(message string) (what, rule string) {
	for _, known := range []struct{ has, what, rule string }{
		{"assignment to entry in nil map", "writes to a map that was never made", "make a map before writing to it: reading from a nil map works, writing panics"},
		{"nil pointer dereference", "uses a nil pointer, or calls a nil function", "check a pointer that may be nil before using what it points to"},
		{"close of closed channel", "closes a channel that is closed already", "one goroutine owns a channel and closes it once"},
		{"send on closed channel", "sends on a closed channel", "only the sender closes a channel, after its last send"},
		{"unlock of unlocked", "unlocks a mutex that is not locked", "every Unlock belongs to one Lock before it"},
		{"Unlock of unlocked", "unlocks a mutex that is not locked", "every Unlock belongs to one Lock before it"},
		{"negative WaitGroup counter", "calls Done more often than Add", "call Add once for each Done, before the goroutine starts"},
		{"concurrent map", "touches a map that another goroutine writes to", ruleRace},
		{"stack overflow", "calls itself without end", "a recursion needs a case in which it stops"},
		{"address space collisions", "needs more memory than there is", "what grows with every message needs a bound"}, // of -race
		{"out of memory", "needs more memory than there is", "what grows with every message needs a bound"},
		{"unexpected call to os.Exit", "ends the process in the middle of a test", "only main exits: return an error instead"},
	} {
		if strings.Contains(message, known.has) {
			return known.what, known.rule
		}
	}
	return "panics: " + strings.TrimPrefix(message, "runtime error: "), "code of a lab never panics, whatever its callers and its messages bring"
}

// stopped fills in a run that was ended from outside: what the stacks explain,
// or only that it was not over.
func (c *Crash) stopped(note, raw string, src Source) {
	f, ok := Diagnose([]byte(raw), 0, src)
	switch {
	case ok && f.Kind != Spin:
		c.Failure = f
	default:
		c.Kind, c.What, c.Where = Limit, "the test did not finish within its time limit", f.Where
	}
	if ok && f.Kind == Spin {
		// It was running when the stacks were taken, which is no proof that it never waits.
		seen := "at that time: " + f.What
		if f.Rule == ruleSpin {
			seen = "at that time, " + f.Seen[0] + " was running; virtual time cannot move while code runs without waiting"
		}
		c.Seen = append(c.Seen, seen)
	}
	c.Notes = append(c.Notes, note)
}

// blocked fills in a deadlock: every goroutine waits, and the student's lines at
// which they do.
func (c *Crash) blocked(message string, goroutines []Goroutine, src Source) {
	c.Kind, c.What = Deadlock, "every goroutine waits for another one, and no timer is set"
	c.Rule = "something must wake each goroutine: a message, a timer or the end of the node's Context"
	if strings.Contains(message, "blocked goroutines remain") {
		c.Kind, c.What = Leak, "a goroutine still waits after the test is over"
		c.Rule = "every goroutine ends when its node's Context ends"
	}
	for _, g := range goroutines[1:] {
		own := src.student(g.Frames)
		if len(own) == 0 {
			continue
		}
		c.Frames = append(c.Frames, own...)
		c.Bubble = max(c.Bubble, g.Bubble)
		if c.Where == "" {
			c.Where = own[0].path()
		}
		if len(c.Seen) < 6 {
			c.Seen = append(c.Seen, fmt.Sprintf("%s waits at %s in %s", own[0].Name(), own[0].Where(), waitName(g, own[0])))
		}
	}
}
