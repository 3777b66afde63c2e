package grade

import (
	"fmt"

	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/result"
)

// The most that a result takes from a test's process: far above what the harness says, and little enough for a class of
// five hundred to fit in memory, on a page and in a terminal.
const (
	maxFailures = 20
	maxList     = 100 // lines of evidence, notes, measures
	maxSeeds    = 1000
	maxText     = 4 << 10   // bytes of a line or sentence
	maxName     = 1 << 10   // bytes of a name, a place or a command
	maxEvents   = 64 << 10  // bytes of the last events, as text
	maxTest     = 256 << 10 // bytes of all text of a test
)

// bound cuts what a test's process said to a size that is fit to keep, and makes it fit to print.
func bound(t *result.Test) {
	b := &bounds{left: maxTest}
	b.text(&t.Skipped, maxText)
	t.Failed, t.Diverged = first(t.Failed, maxSeeds), first(t.Diverged, maxSeeds)
	t.Uncovered = first(t.Uncovered, maxList)
	for i := range t.Uncovered {
		b.text(&t.Uncovered[i], maxName)
	}
	t.Measures, t.Failures = first(t.Measures, maxList), first(t.Failures, maxFailures)
	for i := range t.Failures {
		f := &t.Failures[i]
		b.text(&f.What, maxText)
		for _, s := range []*string{&f.Test, &f.Where, &f.Rule, &f.Faults, &f.Replay, &f.Play, &f.Diagram, &f.History} {
			b.text(s, maxName)
		}
	}
	// The evidence of one failure must not leave another without its headline.
	for i := range t.Failures {
		f := &t.Failures[i]
		b.lines(&f.Seen)
		b.lines(&f.Notes)
		b.text(&f.Trace, maxEvents)
	}
	for i := range t.Measures {
		m := &t.Measures[i]
		for _, s := range []*string{&m.Name, &m.Unit, &m.Bound} {
			b.text(s, maxName)
		}
	}
}

// bounds is how much text is left of what a test may have.
type bounds struct{ left int }

func (b *bounds) text(s *string, most int) {
	*s = plain.Lines(plain.Cut(*s, min(most, b.left)))
	b.left = max(0, b.left-len(*s))
}

func (b *bounds) lines(list *[]string) {
	more := len(*list) - maxList
	*list = first(*list, maxList)
	for i := range *list {
		b.text(&(*list)[i], maxText)
	}
	if more > 0 {
		*list = append(*list, fmt.Sprintf("and %d more", more))
	}
}

func first[T any](list []T, n int) []T {
	n = min(n, len(list))
	return list[:n:n]
}
