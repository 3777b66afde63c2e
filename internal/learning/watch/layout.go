package watch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// A block is lines of the screen that belong together.
type block struct {
	rank  rank
	lines []string
}

// rank says what a block is worth when there is no room for all: the first ranks are shown, of the first that does not fit
// as much as there is room for. What a learner needs to go on comes first.
type rank int

const (
	rankName rank = iota
	rankRule
	rankReplay
	rankWhat
	rankNow // the hint that was just given, and what is not run yet
	rankDiagram
	rankFaults
	rankSeen
	rankNotes
	rankAdvice
	rankOld    // hints of before
	rankRecord // its end is nearest to the failure, so its beginning goes first
)

// fit returns the lines of the blocks, in their order, in at most so many rows.
func (s Screen) fit(blocks []block, room int) []string {
	shown := make([][]string, len(blocks))
	total := 0
	for i, b := range blocks {
		shown[i] = b.lines
		total += s.rows(b.lines...)
	}
	if s.Height <= 0 || total <= room {
		return slices.Concat(shown...)
	}
	order := make([]int, len(blocks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(blocks[a].rank, blocks[b].rank) })
	left := max(room-1, 1) // a row says how much is missing
	missing := 0
	for _, i := range order {
		lines := s.within(blocks[i], left)
		left -= s.rows(lines...)
		missing += len(blocks[i].lines) - len(lines)
		shown[i] = lines
	}
	lines := slices.Concat(shown...)
	if room > 1 {
		lines = append(lines, s.cut(fmt.Sprintf("… %s for this window; t opens the diagram", tooMany(missing))))
	}
	return lines
}

func tooMany(lines int) string {
	if lines == 1 {
		return "1 line is too many"
	}
	return fmt.Sprintf("%d lines are too many", lines)
}

// within returns as many lines of a block as fit into so many rows.
func (s Screen) within(b block, room int) []string {
	lines := b.lines
	for len(lines) > 0 && s.rows(lines...) > room {
		if b.rank == rankRecord {
			lines = lines[1:]
		} else {
			lines = lines[:len(lines)-1]
		}
	}
	return lines
}

// rows is how many rows of the terminal the lines take: it wraps those that are wider than it.
func (s Screen) rows(lines ...string) int {
	n := 0
	for _, line := range lines {
		n++
		if w := lipgloss.Width(line); s.Width > 0 && w > s.Width {
			n += (w - 1) / s.Width
		}
	}
	return n
}

// cut shortens a line that must not wrap.
func (s Screen) cut(line string) string {
	if s.Width <= 0 || lipgloss.Width(line) <= s.Width {
		return line
	}
	r := []rune(line)
	for len(r) > 0 && lipgloss.Width(string(r)) > s.Width-1 {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// wrap breaks prose at spaces.
func (s Screen) wrap(text string) []string { return s.hang("", 0, text) }

// hang breaks prose at spaces, behind a label and under it; the lines after the first are indented.
func (s Screen) hang(label string, indent int, text string) []string {
	if room := s.Width - max(indent, lipgloss.Width(label)); s.Width > 0 && room > 10 {
		text = lipgloss.Wrap(text, room, "")
	} else if s.Width > 0 {
		text, indent = lipgloss.Wrap(label+text, s.Width, ""), 0
		label = ""
	}
	return strings.Split(label+strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", indent)), "\n")
}
