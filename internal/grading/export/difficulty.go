package export

import (
	"fmt"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// testRow is one test, with what became of it in a class.
type testRow struct {
	Part, Name             string
	Max                    int
	Passed, Failed, NotRun int
	lab                    string
}

// Share is how many of those who ran the test failed it.
func (t testRow) Share() string {
	if t.Passed+t.Failed == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", percent(t.Failed, t.Passed+t.Failed))
}

// difficulty counts what became of each test of a class.
type difficulty struct {
	rows  []*testRow
	known map[string]*testRow
}

// add counts one student's tests.
func (d *difficulty) add(r *result.Result) {
	if d.known == nil {
		d.known = map[string]*testRow{}
	}
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		key := line(lab.ID) + "\n" + line(part.ID) + "\n" + line(t.Name)
		row := d.known[key]
		if row == nil {
			row = &testRow{lab: line(lab.ID), Part: line(part.ID), Name: line(t.Name), Max: t.Max}
			d.known[key] = row
			d.rows = append(d.rows, row)
		}
		switch {
		case lab.Refused != "" || t.Status == report.Skip:
			row.NotRun++
		case t.Status == report.Pass:
			row.Passed++
		default:
			row.Failed++
		}
	})
}
