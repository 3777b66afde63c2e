package report

import (
	"strings"
	"unicode"
)

// Text returns the failure as a student reads it: one sentence behind its
// place, then what is known about it, a labelled line each. It ends in a newline.
//
// Values that a student's program chose end up in it, and the text goes to
// terminals and through test2json. So no control character survives, no string
// can start a line of its own, and only these lines stand at the margin.
func (f Failure) Text() string {
	var b strings.Builder
	for _, s := range f.Sections() {
		for _, line := range s.Lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// A Section is the lines of a failure's text under one label.
type Section struct {
	Label string // Headline, "rule", "seen", …, or Record
	Lines []string
}

// The labels of the sections that show none.
const (
	Headline = ""       // the first line: what happened, and where
	Record   = "record" // the last events before the failure
)

// Sections returns the text section by section, each with a line at least.
func (f Failure) Sections() []Section {
	what := clean(f.What)
	if what == "" {
		what = clean(string(f.Kind))
	}
	if f.Where != "" {
		what = clean(baseName(f.Where)) + ": " + what
	}
	all := []Section{{Headline, []string{what}}}
	label := func(name string, lines ...string) {
		if lines = labelled(name, lines); len(lines) > 0 {
			all = append(all, Section{name, lines})
		}
	}
	label("rule", f.Rule)
	label("seen", f.Seen...)
	label("faults", f.Faults)
	label("replay", f.Replay)
	label("play", f.Play)
	label("diagram", f.Diagram)
	label("history", f.History)
	for _, note := range f.Notes {
		label("note", note)
	}
	var record []string
	for line := range strings.SplitSeq(strings.TrimRight(f.Trace, "\n"), "\n") {
		if line = strings.TrimRight(cleanIndented(line), " "); line != "" {
			record = append(record, "        "+line)
		}
	}
	if len(record) > 0 {
		all = append(all, Section{Record, record})
	}
	return all
}

// labelled returns the lines under one label, aligned; empty ones are left out.
func labelled(name string, lines []string) (out []string) {
	label := name + ":"
	for _, line := range lines {
		if line = clean(line); line != "" {
			out = append(out, "    "+label+strings.Repeat(" ", LabelWidth-len(label))+line)
			label = ""
		}
	}
	return out
}

// LabelWidth is how wide a label is, with its colon and the spaces behind it.
const LabelWidth = len("diagram: ")

// clean returns s as one line without control characters and without the
// invisible ones that reorder text on a screen.
func clean(s string) string {
	return strings.Join(strings.Fields(cleanIndented(s)), " ")
}

// cleanIndented is clean that keeps the spaces, for lines whose indentation says something.
func cleanIndented(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// baseName returns the file:line of a path:line, for paths of any system.
func baseName(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
