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
	what := clean(f.What)
	if what == "" {
		what = clean(string(f.Kind))
	}
	if f.Where != "" {
		b.WriteString(clean(baseName(f.Where)) + ": ")
	}
	b.WriteString(what + "\n")
	writeLabel(&b, "rule:", f.Rule)
	writeLabel(&b, "seen:", f.Seen...)
	writeLabel(&b, "faults:", f.Faults)
	writeLabel(&b, "replay:", f.Replay)
	writeLabel(&b, "diagram:", f.Diagram)
	writeLabel(&b, "history:", f.History)
	for _, note := range f.Notes {
		writeLabel(&b, "note:", note)
	}
	for line := range strings.SplitSeq(strings.TrimRight(f.Trace, "\n"), "\n") {
		if line = strings.TrimRight(cleanIndented(line), " "); line != "" {
			b.WriteString("        " + line + "\n")
		}
	}
	return b.String()
}

// writeLabel writes the lines under one label, aligned; empty ones are left out.
func writeLabel(b *strings.Builder, label string, lines ...string) {
	for _, line := range lines {
		line = clean(line)
		if line == "" {
			continue
		}
		b.WriteString("    " + label + strings.Repeat(" ", len("diagram: ")-len(label)) + line + "\n")
		label = ""
	}
}

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
