package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// CSV writes a class as a table: a student a row, a part a column. It is UTF-8
// without a byte order mark, with a comma between cells. Who could not be graded
// has no points, which is not the same as none of them.
func CSV(w io.Writer, class Class) error {
	columns, err := columnsOf(class)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	head := []string{"id", "name", "points", "max"}
	for _, c := range columns {
		head = append(head, cell(c.part+" ("+strconv.Itoa(c.max)+")"))
	}
	_ = out.Write(append(head, "remark")) // the writer keeps its first error
	for s, err := range class {
		if err != nil {
			return err
		}
		row := []string{cell(s.ID), cell(s.Name), "", ""}
		if s.graded() {
			row[2], row[3] = strconv.Itoa(s.Result.Points), strconv.Itoa(s.Result.Max)
		}
		for _, c := range columns {
			points := ""
			if part := s.part(c); part != nil {
				points = strconv.Itoa(part.Points)
			}
			row = append(row, points)
		}
		_ = out.Write(append(row, cell(remark(s))))
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("export: csv: %w", err)
	}
	return nil
}

// cell makes a text safe for a spreadsheet, which takes a cell that begins with
// one of these for a formula, even a quoted one (OWASP, "CSV Injection").
func cell(s string) string {
	if s = line(s); s != "" && strings.ContainsRune("=+-@\uFF1D\uFF0B\uFF0D\uFF20", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
