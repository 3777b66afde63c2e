package export

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
)

type classPage struct {
	page
	Students, Graded, Full, Max int
	Mean                        string
	Histogram                   []histogramBar
	HistogramText               string
	Best                        string
	Labs                        []labHead
	Columns                     []columnHead
	Tests                       []*testRow
}

type histogramBar struct {
	X         int
	Y, Height float64
	Text      string
}

type labHead struct {
	Name string
	Span int
}

type columnHead struct {
	Part, Title string
	Max         int
	First       bool // of its lab
	Mean, Best  string
	Number      int // of the column in the table
}

type rowView struct {
	Name, Sub, Link, Remark, Total string
	Cells                          []cellView
}

type cellView struct{ Class, Points string }

// ClassPage writes a class as one table: students down, parts across. link is
// the address of a student's page; nil: there are none.
//
// The class is read three times, one student at a time.
func ClassPage(w io.Writer, title string, class Class, link func(Student) string) error {
	columns, err := columnsOf(class)
	if err != nil {
		return err
	}
	view, err := newClassPage(title, class, columns)
	if err != nil {
		return err
	}
	if err := pages.ExecuteTemplate(w, "class", view); err != nil {
		return fmt.Errorf("export: html: %w", err)
	}
	for s, err := range class {
		if err != nil {
			return err
		}
		row := viewRow(s, columns)
		if link != nil {
			row.Link = link(s)
		}
		if err := pages.ExecuteTemplate(w, "row", row); err != nil {
			return fmt.Errorf("export: html: %w", err)
		}
	}
	if err := pages.ExecuteTemplate(w, "end", view); err != nil {
		return fmt.Errorf("export: html: %w", err)
	}
	return nil
}

// newClassPage adds up the class.
func newClassPage(title string, class Class, columns []column) (classPage, error) {
	view := classPage{page: newPage(line(title), true)}
	sums, graded, best := make([]int, len(columns)), make([]int, len(columns)), make([]int, len(columns))
	total, most := 0, 0
	var tenths [10]int
	var tests difficulty
	for s, err := range class {
		if err != nil {
			return view, err
		}
		view.Students++
		if !s.graded() {
			continue
		}
		r := s.Result
		view.Graded++
		view.Max, view.Foot = max(view.Max, r.Max), foot(r)
		total, most = total+r.Points, max(most, r.Points)
		tests.add(r)
		if r.Max > 0 {
			tenths[min(9, 10*r.Points/r.Max)]++
			if r.Passed() {
				view.Full++
			}
		}
		for i, c := range columns {
			if part := s.part(c); part != nil {
				sums[i], graded[i], best[i] = sums[i]+part.Points, graded[i]+1, max(best[i], part.Points)
			}
		}
	}
	view.Mean, view.Best = mean(total, view.Graded), highest(most, view.Graded)
	for i := range columns {
		columns[i].mean, columns[i].best = mean(sums[i], graded[i]), highest(best[i], graded[i])
	}
	view.Tests = tests.rows
	slices.SortStableFunc(view.Tests, func(a, b *testRow) int { return cmp.Or(cmp.Compare(a.lab, b.lab), cmp.Compare(a.Part, b.Part)) })
	view.heads(columns)
	view.histogram(tenths)
	return view, nil
}

func (v *classPage) heads(columns []column) {
	for i, c := range columns {
		first := i == 0 || columns[i-1].lab != c.lab
		if first {
			v.Labs = append(v.Labs, labHead{Name: labName(c.lab, c.labTitle)})
		}
		v.Labs[len(v.Labs)-1].Span++
		v.Columns = append(v.Columns, columnHead{Part: c.part, Title: c.title, Max: c.max, First: first, Mean: c.mean, Best: c.best, Number: i + 2})
	}
}

// histogram draws how many students have a total in each tenth.
func (v *classPage) histogram(tenths [10]int) {
	most := 1
	for _, n := range tenths {
		most = max(most, n)
	}
	var words []string
	for i, n := range tenths {
		height := math.Round(50*10*float64(n)/float64(most)) / 10
		text := fmt.Sprintf("%d to %d %%: %d", 10*i, 10*i+10, n)
		v.Histogram = append(v.Histogram, histogramBar{X: 1 + 22*i, Y: 55 - height, Height: height, Text: text})
		words = append(words, text)
	}
	v.HistogramText = "Students by total: " + strings.Join(words, ", ")
}

func viewRow(s Student, columns []column) rowView {
	row := rowView{Remark: remark(s), Total: "–"}
	row.Name, row.Sub = titles(s)
	if s.graded() {
		row.Total = strconv.Itoa(s.Result.Points)
	}
	for i, c := range columns {
		view := cellView{Class: "l0", Points: "–"}
		if part := s.part(c); part != nil {
			view = cellView{Class: level(part), Points: strconv.Itoa(part.Points)}
		}
		if i == 0 || columns[i-1].lab != c.lab {
			view.Class += " first"
		}
		row.Cells = append(row.Cells, view)
	}
	return row
}

// level is how dark a cell is: l0 for no points to l4 for all of them.
func level(p *result.Part) string {
	switch {
	case p.Points <= 0:
		return "l0"
	case p.Points >= p.Max:
		return "l4"
	}
	return "l" + strconv.Itoa(1+min(2, 3*p.Points/p.Max))
}

// highest is the most points that anybody has.
func highest(points, graded int) string {
	if graded == 0 {
		return "–"
	}
	return strconv.Itoa(points)
}

func mean(sum, n int) string {
	if n == 0 {
		return "–"
	}
	return strconv.FormatFloat(math.Round(10*float64(sum)/float64(n))/10, 'f', -1, 64)
}
