package learn

import (
	"fmt"

	"distlabs/internal/grading/course"
)

// Hint is one hint of a part, most general first.
type Hint struct {
	Text   string
	Number int // from 1
	Of     int // how many the part has
}

// Left is how many hints come after this one.
func (h Hint) Left() int { return h.Of - h.Number }

// NextHint gives the part's next hint and remembers that it was given, and that the student
// works on the part. After the last hint the error says so (IsNoMoreHints).
func NextHint(c *course.Course, part course.Part) (Hint, error) {
	var shown int
	_, err := Update(c.Root, func(p *Progress) {
		p.At = part.ID
		shown = min(p.Hints[part.ID], len(part.Hints))
		if shown < len(part.Hints) {
			p.Hints[part.ID] = shown + 1
		}
	})
	if err != nil {
		return Hint{}, err
	}
	if shown == len(part.Hints) {
		return Hint{}, noMoreHints{part: part, solutions: course.HasSolutions(c.Root)}
	}
	return Hint{Text: part.Hints[shown], Number: shown + 1, Of: len(part.Hints)}, nil
}

// Hints lists the part's hints that were given already, or all of them.
func Hints(c *course.Course, part course.Part, all bool) ([]Hint, error) {
	p, err := Load(c.Root)
	if err != nil {
		return nil, err
	}
	n := min(p.Hints[part.ID], len(part.Hints))
	if all {
		n = len(part.Hints)
	}
	var hints []Hint
	for i, text := range part.Hints[:n] {
		hints = append(hints, Hint{Text: text, Number: i + 1, Of: len(part.Hints)})
	}
	return hints, nil
}

// noMoreHints says that all hints of a part were given.
type noMoreHints struct {
	part      course.Part
	solutions bool // this checkout has the reference
}

func (e noMoreHints) Error() string {
	if len(e.part.Hints) == 0 {
		return fmt.Sprintf("learn: %s has no hints: read the rules in the lab's README again", e.part.ID)
	}
	text := fmt.Sprintf("learn: that was the last of %s's %d hints: grade hint %s --again repeats them", e.part.ID, len(e.part.Hints), e.part.ID)
	if e.solutions {
		text += fmt.Sprintf(", grade solution %s --spoil shows the reference", e.part.ID)
	}
	return text
}

// IsNoMoreHints reports whether the error says that all hints were given.
func IsNoMoreHints(err error) bool {
	_, ok := err.(noMoreHints)
	return ok
}
