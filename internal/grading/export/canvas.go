package export

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
)

// ErrGradebook says that a gradebook cannot be filled: it is not what Canvas
// exports, or has no such column.
var ErrGradebook = errors.New("export: canvas")

// CanvasReport says what became of a class in a gradebook of Canvas or of Moodle.
type CanvasReport struct {
	Column   string   // the header of the column that was filled
	Possible float64  // the column's points possible; 0 if the file does not say
	Filled   int      // students whose cell was written
	Unknown  []string // submissions that match no row
	Unsure   []string // submissions that match several rows, or share one: left alone
	Ungraded []string // submissions that have no grade: left alone
	Empty    []string // students of the gradebook without a submission: left alone
	Kept     []string // students whose cell says something other than a number, such as EX or N/A: left alone
	Replaced []string // students whose cell had another number before, with that number
}

// canvasKeys are the columns by which a submission finds its student.
var canvasKeys = []string{"ID", "SIS Login ID", "SIS User ID"}

// canvasOwn are the columns that Canvas itself computes, for the course and for each group of assignments ("Labs Final
// Score"), and those about the student. An assignment's header ends in its number, whatever its name is.
var (
	canvasOwn     = regexp.MustCompile(`(^| )((Unposted )?(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status))( \([^()]*\))?$`)
	canvasStudent = []string{"Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Root Account", "Section", "Notes"}
)

// canvasDownload is the name of a submission as Canvas lets an instructor download it, doejane_LATE_12345_67890_lab04.zip,
// or the id that grade batch makes of it, doejane_12345: with the student's ID.
var canvasDownload = regexp.MustCompile(`^[^_]+(?:_LATE)?_([0-9]+)(?:_[0-9]+(?:_.*)?)?$`)

// Canvas fills one column of a gradebook that was exported from Canvas, so that
// it can be imported again (Instructure, "How do I import grades in the
// Gradebook?"). All other cells stay as they are, to the byte.
//
// The column is named by its header, "Lab 4 (12345)", or by that without the
// number. Its points possible scale the grade: 80 of our 100 points are 16 of 20.
// A submission belongs to the student whose ID, SIS Login ID or SIS User ID it
// has for its own. Where that is not one student, nothing is written.
//
// A cell that says something other than a number, such as EX (excused) or N/A, is an instructor's decision: it stays.
//
// What is written is a number: a spreadsheet finds no formula in it. A file in UTF-16, as spreadsheet programs save
// "Unicode text", is written again in UTF-8, which is all that Canvas imports.
func Canvas(w io.Writer, gradebook []byte, column string, class Class) (CanvasReport, error) {
	g, err := readGradebook(gradebook, column)
	if err != nil {
		return CanvasReport{}, fmt.Errorf("%w: %w", ErrGradebook, err)
	}
	return g.fillFrom(class, g.rowsOf, w, "canvas")
}

// fillFrom writes the file with the column filled; rowsOf finds the rows that a submission's id matches.
func (g *gradebook) fillFrom(class Class, rowsOf func(id string) []int, w io.Writer, form string) (CanvasReport, error) {
	report := CanvasReport{Column: g.header.value(g.column), Possible: g.possible}
	wanted := map[int][]Student{} // by row
	for s, err := range class {
		if err != nil {
			return report, err
		}
		rows := rowsOf(s.ID)
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
	return report, write(w, form, g.file.bytes())
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
	maximum  int   // the column of each row's points possible; 0 if there is none
	name     int   // the column of the student's name; below 0 if that is in two columns
	keys     []int // the columns that identify a student
	rows     []int // the records that are students
}

func readGradebook(text []byte, column string) (*gradebook, error) {
	file, err := parseGradebook(text)
	if err != nil {
		return nil, err
	}
	g := &gradebook{file: file, header: file.records[0]}
	g.name = g.find("Student")
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

// parseGradebook reads a file with commas between cells; with semicolons, which Canvas writes where the user's language
// has a decimal comma; or with tabs. The columns may be in any order.
func parseGradebook(text []byte) (*rawCSV, error) {
	text = utf8Of(text)
	for _, comma := range []byte{',', ';', '\t'} {
		file, err := parseRawCSV(text, comma)
		if err != nil || len(file.records) == 0 {
			continue
		}
		g := gradebook{file: file, header: file.records[0]}
		named := g.find("Student") >= 0 || g.find("LastName") >= 0 && g.find("FirstName") >= 0
		if named && slices.ContainsFunc(canvasKeys, func(key string) bool { return g.find(key) >= 0 }) {
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
	for i := range g.header.cells {
		header := g.header.value(i)
		numbered := canvasNumber.MatchString(header)
		if header == "" || !numbered && (slices.Contains(canvasStudent, header) || canvasOwn.MatchString(header)) {
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
	name := max(g.name, g.find("LastName"))
	for i, r := range g.file.records[1:] {
		if strings.Contains(r.value(name), "Points Possible") {
			text := r.value(g.column)
			if strings.Contains(text, "read only") {
				return fmt.Errorf("the column %q is read-only", g.header.value(g.column))
			}
			g.possible, _ = number(text) // "": the file does not say
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
			report.Empty = append(report.Empty, g.student(i))
		case len(students) > 1:
			for _, s := range students {
				report.Unsure = append(report.Unsure, s.ID)
			}
		case !students[0].graded() || students[0].Result.Max == 0:
			report.Ungraded = append(report.Ungraded, students[0].ID)
		default:
			g.fillCell(i, students[0].Result, report)
		}
	}
}

// fillCell writes the points of one row, unless its cell says something other than a number.
func (g *gradebook) fillCell(i int, r *result.Result, report *CanvasReport) {
	points := g.points(i, r.Points, r.Max)
	was := g.file.records[i].value(g.column)
	before, isNumber := number(was)
	now, _ := number(points)
	switch {
	case was != "" && !isNumber:
		report.Kept = append(report.Kept, fmt.Sprintf("%s (%s)", g.student(i), was))
		return
	case was != "" && before != now:
		report.Replaced = append(report.Replaced, fmt.Sprintf("%s (%s)", g.student(i), was))
	}
	g.file.records[i].set(g.column, points)
	report.Filled++
}

// number reads a cell's number, whichever character is its decimal point.
func number(cell string) (float64, bool) {
	value, err := strconv.ParseFloat(strings.ReplaceAll(cell, ",", "."), 64)
	return value, err == nil
}

// student is the name in a row.
func (g *gradebook) student(i int) string {
	r := g.file.records[i]
	if g.name >= 0 {
		return r.value(g.name)
	}
	return r.value(g.find("LastName")) + ", " + r.value(g.find("FirstName"))
}

// points is the cell of a grade, to the two decimals that Canvas and Moodle keep.
func (g *gradebook) points(row, points, max int) string {
	value, possible := float64(points), g.possible
	if g.maximum > 0 {
		possible, _ = number(g.file.records[row].value(g.maximum))
	}
	if possible > 0 {
		value = value * possible / float64(max)
	}
	text := strconv.FormatFloat(value, 'f', 2, 64)
	text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	if g.file.comma == ';' {
		text = strings.ReplaceAll(text, ".", ",")
	}
	return text
}
