package watch

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

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
func (s Screen) wrap(text string) []string {
	if s.Width > 0 {
		text = lipgloss.Wrap(text, s.Width, "")
	}
	return strings.Split(text, "\n")
}

// View is the screen as lines of text: what there is to read, then where one
// is, then the keys. Only what there is to read may be wider than the screen.
func (m Model) View(s Screen) []string {
	lines := []string{s.style(strong, s.cut(fmt.Sprintf("%s %s · lab %s, %s", m.part.ID, m.part.Title, m.lab.Number(), m.lab.Title))), ""}
	switch {
	case m.list:
		lines = append(lines, m.viewList(s, s.Height-len(lines)-6)...)
	case m.run != nil:
		lines = append(lines, m.viewRun(s)...)
	default:
		lines = append(lines, m.viewResult(s)...)
	}
	lines = append(lines, "")
	if m.message != "" {
		lines = append(lines, s.wrap(m.message)...)
	}
	return append(lines, m.bar(s), s.cut(m.headline()), s.cut(m.keys(s)))
}

func (m Model) viewRun(s Screen) []string {
	var ids []string
	for _, p := range m.run.parts {
		ids = append(ids, p.ID)
	}
	return []string{s.cut("please wait: running " + strings.Join(ids, ", ")),
		s.cut(fmt.Sprintf("%d of %d tests done · %s", m.run.done, m.run.total, m.run.now))}
}

func (m Model) viewResult(s Screen) (lines []string) {
	switch {
	case m.fault != "":
		lines = append(lines, s.style(bad, "the run did not come to an end: ")+m.fault, "", "grade doctor looks for what is missing; r runs again")
	case m.result == nil:
		lines = append(lines, "Save a file of the lab, or press r.")
	case m.result.Labs[0].Refused != "":
		lines = append(lines, m.viewRefusal(s, m.result.Labs[0])...)
	case m.failure() != nil:
		lines = append(lines, m.viewFailure(s)...)
	default:
		lines = append(lines, m.viewPass(s)...)
	}
	for _, text := range m.advice {
		lines = append(lines, "")
		lines = append(lines, s.wrap(s.style(strong, "advice:")+" "+text)...)
	}
	for _, h := range m.hints {
		lines = append(lines, "")
		lines = append(lines, s.wrap(s.style(strong, fmt.Sprintf("hint %d of %d:", h.Number, h.Of))+" "+h.Text)...)
	}
	return lines
}

func (m Model) viewRefusal(s Screen, lab result.Lab) []string {
	lines := []string{s.style(bad, "not run: ") + lab.Refused}
	for _, line := range lab.Compile[min(1, len(lab.Compile)):] {
		lines = append(lines, "    "+line)
	}
	return lines
}

func (m Model) viewFailure(s Screen) []string {
	t := m.failure()
	lines := []string{s.style(bad, "failed: ") + fmt.Sprintf("%s (%d points)", t.Name, t.Max)}
	return append(lines, strings.Split(strings.TrimRight(t.Failures[0].Text(), "\n"), "\n")...)
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
		lines = []string{s.style(bad, "skipped: ") + fmt.Sprintf("%d of %d tests can not run on this machine", skipped, tests)}
	}
	for _, text := range m.finish {
		lines = append(lines, "")
		lines = append(lines, s.wrap(text)...)
	}
	if len(m.finish) == 0 && m.passes() {
		lines = append(lines, "", fmt.Sprintf("Stay as long as you like. n goes on; grade solution %s shows the reference.", m.part.ID))
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
		all++
		passed := m.progress.Passed[p.part.ID] != ""
		if passed {
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
		line := s.cut(fmt.Sprintf("%s %s  %s  %3d points  %s", at, mark, p.part.ID, p.part.Points, p.part.Title))
		if from+i == m.cursor {
			line = s.style(strong, line)
		}
		lines = append(lines, line)
	}
	return lines
}
