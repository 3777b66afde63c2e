package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const ruleRace = "two goroutines may touch one variable only under a lock or through a channel (Go memory model)"

// access is one half of a report of the race detector.
type access struct {
	write  bool
	frames []Frame
	by     string // goroutine 11, main goroutine
	made   []Frame
}

var accessHeader = regexp.MustCompile(`^(?:Previous )?(?i:atomic )?(?i:(read|write)) at 0x[0-9a-f]+ by (.*):$`)

var madeHeader = regexp.MustCompile(`^(Goroutine \d+) \(.*\) created at:$`)

// ReadRaces translates every report of the race detector in the output.
func ReadRaces(output []byte, src Source) []Crash {
	var all []Crash
	for _, text := range strings.Split(string(output), "WARNING: DATA RACE\n")[1:] {
		text, _, _ = strings.Cut(text, "\n==================")
		if accesses := parseRace(text); len(accesses) >= 2 {
			all = append(all, raceCrash(accesses, src, "WARNING: DATA RACE\n"+text))
		}
	}
	return all
}

func parseRace(text string) []access {
	var all []access
	var into *[]Frame
	var function string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch {
		case accessHeader.MatchString(line):
			m := accessHeader.FindStringSubmatch(line)
			all = append(all, access{write: strings.EqualFold(m[1], "write"), by: m[2]})
			into = &all[len(all)-1].frames
		case madeHeader.MatchString(line):
			into = nil
			for i := range all {
				if strings.EqualFold(all[i].by, madeHeader.FindStringSubmatch(line)[1]) {
					into = &all[i].made
				}
			}
		case strings.HasPrefix(line, "      ") && into != nil:
			if f := parseFrame(function, line); f.Line > 0 {
				*into = append(*into, f)
			}
		case strings.HasPrefix(line, "  "):
			function = strings.TrimSpace(line)
		}
	}
	return all
}

// raceCrash puts the two accesses into a sentence; a write comes first.
func raceCrash(accesses []access, src Source, raw string) Crash {
	a, b := accesses[0], accesses[1]
	if !a.write {
		a, b = b, a
	}
	atA, atB := src.blame(a.frames), src.blame(b.frames)
	c := Crash{Raw: raw}
	c.Kind, c.Rule = Race, ruleRace
	c.Where = atA.path()
	if !src.isStudent(atA) && src.isStudent(atB) {
		c.Where = atB.path()
	}
	verb := "reads"
	if b.write {
		verb = "writes"
	}
	by := a.goroutine(src)
	if variable := raced(src, a.line(src), b.line(src), b.write); variable != "" {
		c.What = fmt.Sprintf("%s is written at %s by %s while %s %s it: no lock protects both",
			variable, a.place(src), by, b.place(src), verb)
	} else {
		c.What = fmt.Sprintf("%s writes, in %s, a variable that %s %s: no lock protects both",
			a.place(src), by, b.place(src), verb)
	}
	c.Seen = []string{a.text(src), b.text(src)}
	c.Frames = slices.Concat(src.student(a.frames), src.student(b.frames))
	c.stacks = slices.Concat(a.frames, a.made, b.frames, b.made)
	return c
}

// text tells one access with its function, line and goroutine.
func (a access) text(src Source) string {
	at := src.blame(a.frames)
	verb := "reads"
	if a.write {
		verb = "writes"
	}
	return fmt.Sprintf("%s %s at %s, in %s", at.Name(), verb, a.place(src), a.goroutine(src))
}

// place is the line of an access; if the student's code called a function of the test there, the line of the test too.
func (a access) place(src Source) string {
	at, f := src.blame(a.frames), a.line(src)
	if f.Where() == at.Where() {
		return at.Where()
	}
	return fmt.Sprintf("%s (called at %s)", f.Where(), at.Where())
}

// line is the frame of the line itself: the test's, if the student's code called a function of the test, else the one to look at.
func (a access) line(src Source) Frame {
	at := src.blame(a.frames)
	for _, f := range a.frames {
		switch {
		case src.isStudent(f):
			return at
		case strings.HasSuffix(f.File, "_test.go"):
			return f
		}
	}
	return at
}

// goroutine names the goroutine of an access by what a student knows of it: the line that
// started it, or that the network started it to run a handler.
func (a access) goroutine(src Source) string {
	if len(a.made) == 0 {
		return "a goroutine"
	}
	made := src.blame(a.made)
	for _, f := range a.made {
		switch {
		case src.isStudent(made):
		case strings.Contains(f.Func, "labrpc.(*Network).spawn"):
			return "the handler's own goroutine"
		case strings.HasPrefix(f.Func, "testing."), strings.HasPrefix(f.Func, "testing/"):
			return "a goroutine of the test"
		}
	}
	return fmt.Sprintf("the goroutine that %s started at %s", made.Name(), made.Where())
}

// blame returns the frame that a student should look at: the innermost one of
// the student's, else the innermost that is not of Go's library.
func (s Source) blame(frames []Frame) Frame {
	if own := s.student(frames); len(own) > 0 {
		return own[0]
	}
	for _, f := range frames {
		if !isLibrary(f) {
			return f
		}
	}
	if len(frames) > 0 {
		return frames[0]
	}
	return Frame{Func: "unknown", File: "unknown"}
}

// isLibrary tells whether the frame is of Go's own packages, whose import paths
// have no dot and no module in front.
func isLibrary(f Frame) bool {
	first, _, _ := strings.Cut(f.Func, "/")
	first, _, _ = strings.Cut(first, ".")
	switch first {
	case "runtime", "testing", "internal", "sync", "panic", "time", "reflect":
		return true
	}
	return false
}

// raced names the variable that two lines share, or gives "" if the text does
// not tell: the first line must assign to it, the second name or assign it too.
func raced(src Source, a, b Frame, bWrites bool) string {
	pa, pb := src.parse(a.File), src.parse(b.File)
	if pa == nil || pb == nil {
		return ""
	}
	_, assigned := pa.variables(a.Line)
	named, assignedB := pb.variables(b.Line)
	if bWrites {
		named = assignedB
	}
	last := func(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
	var found string
	for _, left := range assigned {
		for _, right := range named {
			if left == "" || last(left) != last(right) {
				continue
			}
			if found != "" && found != left {
				return "" // two in question: say nothing rather than the wrong one
			}
			found = left
		}
	}
	return found
}
