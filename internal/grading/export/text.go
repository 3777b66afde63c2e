package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// Limits of what is said about one thing: a student needs the beginning.
const (
	maxLine    = 500
	maxAccount = 16 << 10
	maxOverall = 64 << 10
)

// line makes s one line: valid UTF-8, without control characters and without the
// invisible ones that reorder text on a screen, and not too long.
func line(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	return cut(s, maxLine)
}

// printable keeps what can be seen: line breaks become spaces, other control
// and format characters go, and so do the two that XML 1.0 forbids.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\uFFFE', r == '\uFFFF':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cut shortens s to at most max bytes, between characters, and says that it did.
func cut(s string, max int) string {
	const mark = " … (cut)"
	if len(s) <= max {
		return s
	}
	end := max - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// account is what there is to say of one test, as lines of plain text that end
// in a newline; "" if there is nothing.
func account(r *result.Result, lab *result.Lab, t *result.Test) string {
	var b strings.Builder
	switch {
	case r.Ungraded != "":
		fmt.Fprintf(&b, "not graded: %s\n", line(r.Ungraded))
	case lab.Refused != "":
		fmt.Fprintf(&b, "not run: %s\n", line(lab.Refused))
	case t.Status == report.Skip:
		fmt.Fprintf(&b, "skipped: %s\n", line(t.Skipped))
	case t.Status != report.Pass:
		for i, f := range t.Failures {
			if i == 0 {
				b.WriteString(safeText(f))
				continue
			}
			fmt.Fprintf(&b, "also: %s\n", headline(f))
		}
	}
	for _, m := range t.Measures {
		b.WriteString(measured(m) + "\n")
	}
	return cutLines(b.String(), maxAccount)
}

// safeText is the failure as a student reads it, without the characters that
// report leaves in and XML forbids.
func safeText(f report.Failure) string {
	return strings.Map(func(r rune) rune {
		if r == '\uFFFE' || r == '\uFFFF' {
			return -1
		}
		return r
	}, f.Text())
}

// status is how a test came out, in one of three words whatever a file says.
func status(t *result.Test) string {
	switch t.Status {
	case report.Pass:
		return "passed"
	case report.Skip:
		return "skipped"
	}
	return "failed"
}

// headline is a failure in one line.
func headline(f report.Failure) string {
	what := line(f.What)
	if what == "" {
		what = line(string(f.Kind))
	}
	if f.Where != "" {
		what = line(f.Where) + ": " + what
	}
	return what
}

// measured is a measurement in one line: detection time: 0.25 s ≤ 1 s.
func measured(m report.Measure) string {
	return line(fmt.Sprintf("%s: %s %s %s", m.Name, m.Number(), m.Unit, m.Bound))
}

// overall is what there is to say of the whole result, as lines of plain text:
// what was not run and why, what was ignored, and under which isolation.
func overall(r *result.Result) string {
	var b strings.Builder
	if r.Ungraded != "" {
		fmt.Fprintf(&b, "not graded: %s\n", line(r.Ungraded))
	}
	for _, lab := range r.Labs {
		fmt.Fprintf(&b, "%s %s: %d/%d\n", line(lab.ID), line(lab.Title), lab.Points, lab.Max)
		if lab.Refused != "" {
			fmt.Fprintf(&b, "    not run: %s\n", line(lab.Refused))
		}
		for _, c := range lab.Compile[min(1, len(lab.Compile)):] { // the first is in Refused
			fmt.Fprintf(&b, "    %s\n", line(c))
		}
		for _, n := range lab.Notes {
			fmt.Fprintf(&b, "    note: %s\n", line(n))
		}
	}
	fmt.Fprintf(&b, "grader %s, %s, isolation level %d\n", line(r.Grader), line(r.Go), r.Isolation)
	return cutLines(b.String(), maxOverall)
}

// cutLines shortens s to at most max bytes, at the end of a line where there is one.
func cutLines(s string, max int) string {
	if len(s) <= max {
		return s
	}
	const mark = "… (cut)\n"
	head := s[:max-len(mark)]
	if at := strings.LastIndexByte(head, '\n'); at >= 0 {
		return head[:at+1] + mark
	}
	return cut(s, max-1) + "\n"
}

// refusedAll reports whether no lab was run because of what was handed in, and why.
func refusedAll(r *result.Result) (reasons []string, all bool) {
	if r.Ungraded != "" {
		return []string{line(r.Ungraded)}, true
	}
	for _, lab := range r.Labs {
		if lab.Refused == "" {
			return nil, false
		}
		if len(lab.Compile) == 0 {
			reasons = append(reasons, line(lab.ID+": "+lab.Refused))
		}
		for _, c := range lab.Compile {
			reasons = append(reasons, line(c))
		}
	}
	return reasons, len(r.Labs) > 0
}

// writeJSON writes v, indented, as one JSON document.
func writeJSON(w io.Writer, form string, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("export: %s: %w", form, err)
	}
	return write(w, form, text.Bytes())
}

func write(w io.Writer, form string, text []byte) error {
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("export: %s: %w", form, err)
	}
	return nil
}
