package export

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrGradebook says that a gradebook cannot be filled: it is not what Canvas
// exports, or has no such column.
var ErrGradebook = errors.New("export: canvas")

// CanvasReport says what became of a class in a gradebook.
type CanvasReport struct {
	Column   string   // the header of the column that was filled
	Possible float64  // the column's points possible; 0 if the file does not say
	Filled   int      // students whose cell was written
	Unknown  []string // submissions that match no row
	Unsure   []string // submissions that match several rows, or share one: left alone
	Ungraded []string // submissions that have no grade: left alone
	Empty    []string // students of the gradebook without a submission: left alone
}

// canvasKeys are the columns by which a submission finds its student.
var canvasKeys = []string{"ID", "SIS Login ID", "SIS User ID"}

// canvasReadOnly are the columns that Canvas itself computes.
var canvasReadOnly = regexp.MustCompile(`(Current|Final|Unposted|Override) .*(Score|Points|Grade|Status)|Override (Score|Grade|Status)|(Current|Final) (Score|Points|Grade)`)

// canvasDownload is the name of a submission as Canvas lets an instructor
// download it: doejane_LATE_12345_67890_lab04.zip, with the student's ID.
var canvasDownload = regexp.MustCompile(`^[^_]+(?:_LATE)?_([0-9]+)_[0-9]+(?:_|$)`)

// Canvas fills one column of a gradebook that was exported from Canvas, so that
// it can be imported again (Instructure, "How do I import grades in the
// Gradebook?"). All other cells stay as they are, to the byte.
//
// The column is named by its header, "Lab 4 (12345)", or by that without the
// number. Its points possible scale the grade: 80 of our 100 points are 16 of 20.
// A submission belongs to the student whose ID, SIS Login ID or SIS User ID it
// has for its own. Where that is not one student, nothing is written.
//
// What is written is a number: a spreadsheet finds no formula in it.
func Canvas(w io.Writer, gradebook []byte, column string, class Class) (CanvasReport, error) {
	g, err := readGradebook(gradebook, column)
	if err != nil {
		return CanvasReport{}, fmt.Errorf("%w: %w", ErrGradebook, err)
	}
	report := CanvasReport{Column: g.header.value(g.column), Possible: g.possible}
	wanted := map[int][]Student{} // by row
	for s, err := range class {
		if err != nil {
			return report, err
		}
		rows := g.rowsOf(s.ID)
		switch len(rows) {
		case 0:
			report.Unknown = append(report.Unknown, s.ID)
		case 1:
			wanted[rows[0]] = append(wanted[rows[0]], withoutLabs(s))
		default:
			report.Unsure = append(report.Unsure, s.ID)
		}
	}
	g.fill(wanted, &report)
	return report, write(w, "canvas", g.file.bytes())
}

// withoutLabs keeps of a student what a gradebook wants: a class is too large to
// be held with all its failures.
func withoutLabs(s Student) Student {
	if s.Result != nil {
		short := *s.Result
		short.Labs = nil
		s.Result = &short
	}
	return s
}

// gradebook is an exported gradebook and the column to fill.
type gradebook struct {
	file     *rawCSV
	header   rawRecord
	column   int
	possible float64
	keys     []int // the columns of canvasKeys that there are
	rows     []int // the records that are students
}

func readGradebook(text []byte, column string) (*gradebook, error) {
	file, err := parseGradebook(text)
	if err != nil {
		return nil, err
	}
	g := &gradebook{file: file, header: file.records[0]}
	for _, key := range canvasKeys {
		if at := g.find(key); at >= 0 {
			g.keys = append(g.keys, at)
		}
	}
	if len(g.keys) == 0 {
		return nil, fmt.Errorf("the gradebook has none of the columns %s", strings.Join(canvasKeys, ", "))
	}
	if g.column, err = g.assignment(column); err != nil {
		return nil, err
	}
	return g, g.readRows()
}

// parseGradebook reads a file with commas between cells, or with semicolons, which
// Canvas writes where the user's language has a decimal comma.
func parseGradebook(text []byte) (*rawCSV, error) {
	for _, comma := range []byte{',', ';'} {
		file, err := parseRawCSV(text, comma)
		if err != nil || len(file.records) == 0 {
			continue
		}
		head := file.records[0]
		if strings.Contains(head.value(0), "Student") && head.value(1) == "ID" || head.value(0) == "LastName" && head.value(1) == "FirstName" {
			return file, nil
		}
	}
	_, err := parseRawCSV(text, ',')
	if err == nil {
		err = fmt.Errorf("the first line is %q, want the columns Student and ID: is this the file that Canvas exported?", line(cut(string(text), 80)))
	}
	return nil, err
}

// find is the column with this header, -1 if there is none.
func (g *gradebook) find(header string) int {
	for i := range g.header.cells {
		if g.header.value(i) == header {
			return i
		}
	}
	return -1
}

var canvasNumber = regexp.MustCompile(`\s*\(\d+\)$`)

// assignment finds the column to fill among the assignments.
func (g *gradebook) assignment(name string) (int, error) {
	var found []int
	var all []string
	for i := g.find("Section") + 1; i < len(g.header.cells); i++ {
		header := g.header.value(i)
		if header == "" || canvasReadOnly.MatchString(header) {
			continue
		}
		all = append(all, strconv.Quote(header))
		if header == name || canvasNumber.ReplaceAllString(header, "") == name {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("the gradebook has no column %q to fill; it has %s", name, strings.Join(all, ", "))
	}
	return 0, fmt.Errorf("the gradebook has %d columns %q: give the number too", len(found), name)
}

// readRows tells the students' rows from the others, and reads the points possible.
func (g *gradebook) readRows() error {
	for i, r := range g.file.records[1:] {
		if strings.Contains(r.value(0), "Points Possible") {
			text := strings.ReplaceAll(r.value(g.column), ",", ".")
			if strings.Contains(text, "read only") {
				return fmt.Errorf("the column %q is read-only", g.header.value(g.column))
			}
			g.possible, _ = strconv.ParseFloat(text, 64) // "": the file does not say
			continue
		}
		if slices.ContainsFunc(g.keys, func(at int) bool { return r.value(at) != "" }) {
			g.rows = append(g.rows, i+1)
		}
	}
	return nil
}

// rowsOf lists the students' rows that a submission's id matches.
func (g *gradebook) rowsOf(id string) []int {
	rows := g.matching(func(value string) bool { return value == id })
	if len(rows) > 0 {
		return rows
	}
	// A person types a login in either case.
	if rows = g.matching(func(value string) bool { return strings.EqualFold(value, id) }); len(rows) > 0 {
		return rows
	}
	if name := canvasDownload.FindStringSubmatch(id); name != nil {
		at := g.find("ID")
		for _, i := range g.rows {
			if at >= 0 && g.file.records[i].value(at) == name[1] {
				rows = append(rows, i)
			}
		}
	}
	return rows
}

func (g *gradebook) matching(is func(value string) bool) []int {
	var rows []int
	for _, i := range g.rows {
		r := g.file.records[i]
		if slices.ContainsFunc(g.keys, func(at int) bool { return r.value(at) != "" && is(r.value(at)) }) {
			rows = append(rows, i)
		}
	}
	return rows
}

// fill writes the points of each row's one submission.
func (g *gradebook) fill(wanted map[int][]Student, report *CanvasReport) {
	for _, i := range g.rows {
		switch students := wanted[i]; {
		case len(students) == 0:
			report.Empty = append(report.Empty, g.file.records[i].value(0))
		case len(students) > 1:
			for _, s := range students {
				report.Unsure = append(report.Unsure, s.ID)
			}
		case !students[0].graded() || students[0].Result.Max == 0:
			report.Ungraded = append(report.Ungraded, students[0].ID)
		default:
			r := students[0].Result
			g.file.records[i].set(g.column, g.points(r.Points, r.Max))
			report.Filled++
		}
	}
}

// points is the cell of a grade, to the two decimals that Canvas keeps.
func (g *gradebook) points(points, max int) string {
	value := float64(points)
	if g.possible > 0 {
		value = value * g.possible / float64(max)
	}
	text := strconv.FormatFloat(value, 'f', 2, 64)
	text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	if g.file.comma == ';' {
		text = strings.ReplaceAll(text, ".", ",")
	}
	return text
}
