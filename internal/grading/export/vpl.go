package export

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
)

// VPL writes what an evaluation script of Moodle's Virtual Programming Lab
// prints (vpl.dis.ulpgc.es): blocks of comments, then the grade out of max, which
// is the activity's VPL_GRADEMAX; 0: out of the points of the result.
//
// VPL takes the last line that begins with "Grade :=>>" for the grade, wherever
// it stands. Inside a block every line of ours begins with "-", a title, or with
// ">", which VPL shows as it is: so no text of a student's begins a line.
func VPL(w io.Writer, r *result.Result, max float64) error {
	if max < 0 {
		return fmt.Errorf("export: vpl: the highest grade is %v, want more than 0", max)
	}
	var b bytes.Buffer
	block := func(title, text string) {
		b.WriteString("<|--\n-" + line(title) + "\n")
		for l := range strings.Lines(text) {
			b.WriteString(">" + strings.TrimRight(l, "\n") + "\n")
		}
		b.WriteString("--|>\n")
	}
	if r.Ungraded != "" { // without a grade in its output, VPL sets none
		block("Not graded", overall(r))
		return write(w, "vpl", b.Bytes())
	}
	block(fmt.Sprintf("%d of %d points", r.Points, r.Max), overall(r))
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		title := fmt.Sprintf("%s: %s (%s, %d/%d)", status(t), t.Name, part.ID, t.Points, t.Max)
		block(title, account(r, lab, t))
	})
	mark := 0.0
	switch {
	case max == 0:
		mark = float64(r.Points)
	case r.Max > 0:
		mark = max * float64(r.Points) / float64(r.Max)
	}
	b.WriteString("\nGrade :=>> " + strconv.FormatFloat(mark, 'f', -1, 64) + "\n")
	return write(w, "vpl", b.Bytes())
}
