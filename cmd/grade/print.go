package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// printer writes for a person: in colour on a terminal that wants it.
type printer struct {
	w      io.Writer
	colour bool
}

func newPrinter(w io.Writer) *printer {
	return &printer{w: w, colour: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

func (p *printer) good(s string) string {
	return p.style(lipgloss.NewStyle().Foreground(lipgloss.Green), s)
}
func (p *printer) bad(s string) string {
	return p.style(lipgloss.NewStyle().Foreground(lipgloss.Red), s)
}
func (p *printer) strong(s string) string { return p.style(lipgloss.NewStyle().Bold(true), s) }

func (p *printer) style(style lipgloss.Style, s string) string {
	if !p.colour || s == "" {
		return s
	}
	return style.Render(s)
}

// table is columns of text; the first is aligned left, and so is any in which a
// cell is no number.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// table prints a table with its head, columns two spaces apart.
func (p *printer) table(t table) {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], lipgloss.Width(cell))
		}
	}
	write := func(row []string, style func(string) string) {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", width[i]-lipgloss.Width(cell)+2)
			line.WriteString(style(cell) + gap)
		}
		p.printf("%s\n", strings.TrimRight(line.String(), " "))
	}
	write(t.head, p.strong)
	for _, row := range t.rows {
		write(row, func(s string) string { return s })
	}
}

func seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	default:
		return fmt.Sprintf("%.1fs", s)
	}
}

func join(list []string) string { return strings.Join(list, ", ") }
