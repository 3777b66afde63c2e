package watch

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// Screen is what the text is laid out for.
type Screen struct {
	Width, Height int  // in cells; Height 0: no limit
	Colour        bool // NO_COLOR is not set, and the terminal has some
}

// Only colours of the terminal's own palette, and none of its light ones: they
// are readable on a light background and on a dark one.
var (
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red)
	strong = lipgloss.NewStyle().Bold(true)
)

func (s Screen) style(style lipgloss.Style, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return style.Render(text)
}

// View is the screen as lines of text: what there is to read, then where one
// is, then the keys. All of it fits into the screen's height: what does not is
// left out, the record of the run first.
func (m Model) View(s Screen) []string {
	top := []string{s.style(strong, s.cut(fmt.Sprintf("%s %s · lab %s, %s", m.part.ID, m.part.Title, m.lab.Number(), m.lab.Title))), ""}
	bottom := []string{""}
	if m.message != "" {
		bottom = append(bottom, s.wrap(m.message)...)
	}
	bottom = append(bottom, m.bar(s), s.cut(m.headline()), s.cut(m.keys(s)))
	room := max(1, s.Height-s.rows(top...)-s.rows(bottom...))
	var lines []string
	switch {
	case m.list:
		lines = m.viewList(s, room)
	case m.run != nil:
		lines = s.fit(m.viewRun(s), room)
	default:
		lines = s.fit(m.viewResult(s), room)
	}
	return slices.Concat(top, lines, bottom)
}

func (m Model) viewRun(s Screen) []block {
	var ids []string
	for _, p := range m.run.parts {
		ids = append(ids, p.ID)
	}
	running := block{rankName, []string{s.cut("please wait: running " + strings.Join(ids, ", ")),
		s.cut(fmt.Sprintf("%d of %d tests done · %s", m.run.done, m.run.total, m.run.now))}}
	return append([]block{running}, m.viewPending(s, ids)...)
}

// viewPending names the parts that a save has touched, and that were not run since, except those that run now.
func (m Model) viewPending(s Screen, running []string) []block {
	pending := slices.DeleteFunc(slices.Clone(m.pending), func(id string) bool { return slices.Contains(running, id) })
	if len(pending) == 0 {
		return nil
	}
	return []block{{rankNow, append([]string{""}, s.hang("not run yet since a save: ", 4, strings.Join(pending, ", "))...)}}
}

func (m Model) viewResult(s Screen) []block {
	var blocks []block
	switch {
	case m.fault != "":
		lines := s.hang(s.style(bad, "the run did not come to an end: "), 4, m.fault)
		blocks = []block{{rankName, append(lines, "", s.cut("grade doctor looks for what is missing; r runs again"))}}
	case m.result == nil:
		blocks = []block{{rankName, []string{s.cut("Save a file of the lab, or press r.")}}}
	case m.result.Labs[0].Refused != "":
		blocks = m.viewRefusal(s, m.result.Labs[0])
	case m.failure() != nil:
		blocks = m.viewFailure(s)
	default:
		blocks = []block{{rankName, m.viewPass(s)}}
	}
	blocks = append(blocks, m.viewPending(s, nil)...)
	for _, text := range m.advice {
		blocks = append(blocks, block{rankAdvice, append([]string{""}, s.hang(s.style(strong, "advice: "), 4, text)...)})
	}
	for i, h := range m.hints {
		worth := rankOld
		if i == len(m.hints)-1 {
			worth = rankNow
		}
		label := s.style(strong, fmt.Sprintf("hint %d of %d: ", h.Number, h.Of))
		blocks = append(blocks, block{worth, append([]string{""}, s.hang(label, 4, h.Text)...)})
	}
	return blocks
}

func (m Model) viewRefusal(s Screen, lab result.Lab) []block {
	blocks := []block{{rankName, s.hang(s.style(bad, "not run: "), 4, lab.Refused)}}
	for _, line := range lab.Compile[min(1, len(lab.Compile)):] {
		blocks = append(blocks, block{rankSeen, s.hang("    ", 8, line)})
	}
	return blocks
}

// ranks are the blocks of a failure; any other section is a note.
var ranks = map[string]rank{
	report.Headline: rankWhat, "rule": rankRule, "replay": rankReplay, "play": rankReplay, "diagram": rankDiagram, "history": rankDiagram,
	"faults": rankFaults, "seen": rankSeen, report.Record: rankRecord,
}

func (m Model) viewFailure(s Screen) []block {
	t := m.failure()
	blocks := []block{{rankName, []string{s.style(bad, "failed: ") + s.cut(fmt.Sprintf("%s (%s)", t.Name, t.Worth()))}}}
	for _, section := range t.Failures[0].Sections() {
		b := block{rank: rankNotes}
		if known, ok := ranks[section.Label]; ok {
			b.rank = known
		}
		for _, line := range section.Lines {
			switch margin := len("    ") + report.LabelWidth; {
			case b.rank == rankRecord:
				b.lines = append(b.lines, s.cut(line))
			case b.rank == rankReplay: // it is copied, so no line break of ours is in it
				b.lines = append(b.lines, line)
			case b.rank == rankWhat:
				b.lines = append(b.lines, s.hang("", 4, line)...)
			default:
				b.lines = append(b.lines, s.hang(line[:margin], margin, line[margin:])...)
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func (m Model) viewPass(s Screen) []string {
	tests, skipped := 0, 0
	m.result.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		tests++
		if t.Status == report.Skip {
			skipped++
		}
	})
	lines := []string{s.style(good, "passed: ") + fmt.Sprintf("all %d tests", tests)}
	if skipped > 0 {
		lines = []string{s.style(bad, "skipped: ") + fmt.Sprintf("%d of %d tests cannot run on this machine", skipped, tests)}
	}
	for _, text := range m.finish {
		lines = append(lines, "")
		lines = append(lines, s.wrap(text)...)
	}
	if len(m.finish) == 0 && m.passes() {
		next := "Stay as long as you like. n goes on to the next part"
		if course.HasSolutions(m.course.Root) {
			next += fmt.Sprintf("; grade solution %s shows the reference", m.part.ID)
		}
		lines = append(lines, "")
		lines = append(lines, s.wrap(next+".")...)
	}
	return lines
}

// headline says how it stands in one line, which stays in sight when the failure
// is longer than the screen.
func (m Model) headline() string {
	t := m.failure()
	switch {
	case m.run != nil:
		return "running"
	case m.result == nil:
		return "waiting for a save"
	case m.result.Labs[0].Refused != "":
		return fmt.Sprintf("%s is not run (%.1fs)", m.part.ID, m.took.Seconds())
	case t != nil:
		return fmt.Sprintf("%s failed (%.1fs): %s", t.Name, m.took.Seconds(), firstLine(t.Failures[0].Text()))
	case m.passes():
		return fmt.Sprintf("%s passes (%.1fs)", m.part.ID, m.took.Seconds())
	}
	return "waiting for a save"
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// bar is how many parts have passed, of the lab and of all labs.
func (m Model) bar(s Screen) string {
	done, all := 0, 0
	var lab []string
	for _, p := range m.places() {
		passed := m.progress.Passed[p.part.ID] != ""
		if !p.lab.Base {
			all++
		}
		if passed && !p.lab.Base {
			done++
		}
		if p.lab.ID != m.lab.ID {
			continue
		}
		switch {
		case passed:
			lab = append(lab, "["+p.part.ID+"]")
		default:
			lab = append(lab, " "+p.part.ID+" ")
		}
	}
	count := fmt.Sprintf("%d/%d", done, all)
	text := strings.Join(lab, "")
	room := s.Width - lipgloss.Width(text) - len(count) - 5
	if s.Width <= 0 || room > 40 {
		room = 40
	}
	if room < all/4+1 {
		return s.cut(count + "  " + text)
	}
	filled := done * room / all
	return "[" + s.style(good, strings.Repeat("#", filled)) + strings.Repeat("-", room-filled) + "] " + count + "  " + text
}

// keys lists them, the shorter the narrower the window.
func (m Model) keys(s Screen) string {
	if m.list {
		return "up/down choose · enter go there · l back · q quit"
	}
	for _, text := range []string{
		"h hint · l list · r run · t diagram · n next part · q quit",
		"h hint l list r run t diagram n next q quit",
	} {
		if s.Width <= 0 || lipgloss.Width(text) <= s.Width {
			return text
		}
	}
	return "h l r t n q"
}

// viewList is the parts around the cursor, as many as there is room for.
func (m Model) viewList(s Screen, room int) (lines []string) {
	places := m.places()
	from, to := 0, len(places)
	if s.Height > 0 && room < len(places) {
		room = max(room, 1)
		from = min(max(0, m.cursor-room/2), len(places)-room)
		to = from + room
	}
	for i, p := range slices.All(places[from:to]) {
		mark, at := "    ", " "
		if m.progress.Passed[p.part.ID] != "" {
			mark = "done"
		}
		if from+i == m.cursor {
			at = ">"
		}
		title := p.part.Title
		if slices.Contains(m.pending, p.part.ID) {
			title += " (not run yet since a save)"
		}
		line := s.cut(fmt.Sprintf("%s %s  %s  %3d points  %s", at, mark, p.part.ID, p.part.Points, title))
		if from+i == m.cursor {
			line = s.style(strong, line)
		}
		lines = append(lines, line)
	}
	return lines
}
