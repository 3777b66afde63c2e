package export

import (
	"cmp"
	"slices"

	"distlabs/internal/grading/result"
)

// column is one part of a lab, as a class's table shows it.
type column struct {
	lab, labTitle string
	part, title   string
	max           int
	mean, best    string // of those who have the part
}

func (c column) same(d column) bool { return c.lab == d.lab && c.part == d.part }

// columnsOf lists the parts that any result of the class has, in the order of
// the course: labs and parts are numbered.
func columnsOf(class Class) ([]column, error) {
	var columns []column
	for s, err := range class {
		if err != nil {
			return nil, err
		}
		if s.Result == nil {
			continue
		}
		for _, lab := range s.Result.Labs {
			for _, part := range lab.Parts {
				c := column{lab: line(lab.ID), labTitle: line(lab.Title), part: line(part.ID), title: line(part.Title), max: part.Max}
				if !slices.ContainsFunc(columns, c.same) {
					columns = append(columns, c)
				}
			}
		}
	}
	slices.SortStableFunc(columns, func(a, b column) int {
		return cmp.Or(cmp.Compare(a.lab, b.lab), cmp.Compare(a.part, b.part))
	})
	return columns, nil
}

// graded reports whether the student has a number of points, which may be 0.
func (s Student) graded() bool { return s.Result != nil && s.Result.Ungraded == "" }

// part is the student's part that the column is about; nil if there is none.
func (s Student) part(c column) *result.Part {
	if !s.graded() {
		return nil
	}
	r := s.Result
	for i := range r.Labs {
		for j := range r.Labs[i].Parts {
			if line(r.Labs[i].ID) == c.lab && line(r.Labs[i].Parts[j].ID) == c.part {
				return &r.Labs[i].Parts[j]
			}
		}
	}
	return nil
}

// remark is why a student's points are what they are, if the tests do not say:
// nothing was graded, or a lab was not run.
func remark(s Student) string {
	if s.Result == nil {
		return line(s.Missing)
	}
	if s.Result.Ungraded != "" {
		return line("not graded: " + s.Result.Ungraded)
	}
	for i := range s.Result.Labs {
		if lab := &s.Result.Labs[i]; lab.Refused != "" {
			return notRun(lab)
		}
	}
	return ""
}
