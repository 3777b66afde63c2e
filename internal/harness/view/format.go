package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/trace"
)

// A Format is a form in which a run is written.
type Format string

// The formats.
const (
	FormatHTML     Format = "html"     // the page
	FormatText     Format = "text"     // the timeline for a terminal
	FormatSVG      Format = "svg"      // a still picture
	FormatShiViz   Format = "shiviz"   // a log for ShiViz
	FormatPerfetto Format = "perfetto" // a trace for ui.perfetto.dev
	FormatJSON     Format = "json"     // the record itself: JSON Lines, as package trace has it
)

// Formats lists them, the usual one first.
var Formats = []Format{FormatHTML, FormatText, FormatSVG, FormatShiViz, FormatPerfetto, FormatJSON}

// ParseFormat returns the format of that name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(Formats, f) {
		return f, nil
	}
	return "", fmt.Errorf("view: %q is no format: want %s", name, formatNames())
}

func formatNames() string {
	var names []string
	for _, f := range Formats {
		names = append(names, string(f))
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// Extension is how the name of a file in this format ends.
func (f Format) Extension() string {
	switch f {
	case FormatText:
		return ".txt"
	case FormatShiViz:
		return ".shiviz.log"
	case FormatPerfetto:
		return ".perfetto.json"
	case FormatJSON:
		return ".jsonl"
	}
	return "." + string(f)
}

// Compares reports whether the format can show two runs: [Write] takes an other only then.
func (f Format) Compares() bool { return f == FormatHTML || f == FormatText }

// Write writes a run in a format; with other, which may be nil, the two are compared.
func Write(w io.Writer, f Format, run, other *trace.Run, opts Options) error {
	if other != nil && !f.Compares() {
		return fmt.Errorf("view: %s shows one run: two are compared in html or text", f)
	}
	switch f {
	case FormatHTML:
		if other != nil {
			return Compare(w, run, other, opts)
		}
		return HTML(w, run, opts)
	case FormatText:
		return writeText(w, run, other, opts.Picture)
	case FormatSVG:
		return SVG(w, run, opts.Picture)
	case FormatShiViz:
		return ShiViz(w, run)
	case FormatPerfetto:
		return Perfetto(w, run)
	case FormatJSON:
		return run.Write(w)
	}
	return fmt.Errorf("view: %q is no format: want %s", f, formatNames())
}

// allRows is more rows than any timeline has: a file, unlike a failure message, has room for all of a run.
const allRows = 1 << 30

// writeText writes the timeline of one run, or where two part and how each goes on around there.
func writeText(w io.Writer, run, other *trace.Run, shown Picture) error {
	if other == nil {
		if f, broke := failureOf(run); broke != nil {
			if _, err := fmt.Fprintf(w, "%s, at %s\n\n", violationLine(f), trace.Seconds(*broke)); err != nil {
				return fmt.Errorf("view: write the text: %w", err)
			}
		}
		return Text(w, run, trace.Options{
			Fold: !shown.Routine, Last: allRows, From: shown.From, Until: shown.To, Nodes: shown.Nodes, Keep: namesOf(run).Keep,
		})
	}
	p, differ := trace.Diverge(run, other)
	if !differ {
		_, err := fmt.Fprintf(w, "the two runs are the same, to the last of %d steps\n", len(run.Steps))
		return err
	}
	fmt.Fprintln(w, p.Text)
	for k, r := range []*trace.Run{run, other} {
		fmt.Fprintf(w, "\n%s, %s, until then and a little longer:\n", [2]string{"A", "B"}[k], Options{}.title(r))
		until := p.At[k] + 50*time.Millisecond
		if err := Text(w, r, trace.Options{Fold: true, Until: until, Keep: namesOf(r).Keep}); err != nil {
			return err
		}
	}
	return nil
}
