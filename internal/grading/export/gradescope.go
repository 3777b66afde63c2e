package export

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"distlabs/internal/grading/result"
)

// GradescopeVisibilities say from when on Gradescope shows a test to
// the student. While a test is hidden, so is the student's total.
var GradescopeVisibilities = []string{"visible", "after_due_date", "after_published", "hidden"}

// GradescopeOptions say how Gradescope shows a result; the zero value shows it at once.
type GradescopeOptions struct {
	Visibility string // of every test, one of GradescopeVisibilities; "": visible
	Metadata   []byte // Gradescope's submission_metadata.json: late days and attempts are shown; what cannot be read is left out
}

type gradescopeResult struct {
	Score            int              `json:"score"`
	ExecutionTime    int              `json:"execution_time,omitempty"` // seconds
	Output           string           `json:"output"`
	OutputFormat     string           `json:"output_format"`
	TestOutputFormat string           `json:"test_output_format"`
	TestNameFormat   string           `json:"test_name_format"`
	Visibility       string           `json:"visibility"`
	StdoutVisibility string           `json:"stdout_visibility"`
	ExtraData        gradescopeExtra  `json:"extra_data"`
	Tests            []gradescopeTest `json:"tests"`
}

type gradescopeExtra struct {
	Grader    string `json:"grader"`
	Go        string `json:"go"`
	Isolation int    `json:"isolation"`
	Hash      string `json:"submission_hash,omitempty"`
	Ungraded  bool   `json:"ungraded,omitempty"` // the total is no grade: for those who export results
}

type gradescopeTest struct {
	Score        *int           `json:"score,omitempty"` // nil: there is none, which is not zero
	MaxScore     *int           `json:"max_score,omitempty"`
	Status       string         `json:"status"`
	Name         string         `json:"name"`
	NameFormat   string         `json:"name_format"`
	Number       string         `json:"number,omitempty"`
	Output       string         `json:"output,omitempty"`
	OutputFormat string         `json:"output_format"`
	Tags         []string       `json:"tags"`
	Visibility   string         `json:"visibility"`
	ExtraData    gradescopeSeen `json:"extra_data,omitzero"`
}

type gradescopeSeen struct {
	Status   string   `json:"status"`
	Seeds    int      `json:"seeds"`
	Failed   []uint64 `json:"failed_seeds,omitempty"`
	Diverged []uint64 `json:"diverged_seeds,omitempty"`
}

// Gradescope writes the results.json of a Gradescope autograder
// (gradescope-autograders.readthedocs.io, "Autograder Specifications").
//
// All text is of the format "text", so that nothing of a student's is markup.
// Gradescope knows passed and failed only: a skipped test is a failed one that
// says why it was skipped.
//
// A submission that could not be graded gets no test's score. Gradescope demands a score
// somewhere, or shows the student nothing but a general sentence: the total is 0, and the
// text says that this is no grade.
func Gradescope(w io.Writer, r *result.Result, o GradescopeOptions) error {
	if o.Visibility == "" {
		o.Visibility = "visible"
	}
	if !slices.Contains(GradescopeVisibilities, o.Visibility) {
		return fmt.Errorf("export: gradescope: visibility %q is none of %s", o.Visibility, strings.Join(GradescopeVisibilities, ", "))
	}
	out := gradescopeResult{
		Score: r.Points, ExecutionTime: int(math.Ceil(r.Seconds)), Output: overall(r),
		OutputFormat: "text", TestOutputFormat: "text", TestNameFormat: "text",
		Visibility: "visible", StdoutVisibility: "hidden",
		ExtraData: gradescopeExtra{Grader: line(r.Grader), Go: line(r.Go), Isolation: r.Isolation},
		Tests:     []gradescopeTest{},
	}
	if r.Submission != nil {
		out.ExtraData.Hash = line(r.Submission.Hash)
	}
	if about, err := submitted(o.Metadata); err == nil && len(about) > 0 {
		out.Output = strings.Join(about, "\n") + "\n" + out.Output
	}
	if r.Ungraded != "" {
		out.Score, out.Output = 0, "This submission was not graded. Gradescope shows 0 because it demands a number: the 0 is not a grade.\n"+out.Output
		out.ExtraData.Ungraded = true
		out.Tests = append(out.Tests, gradescopeTest{Status: "failed", Name: "Not graded", NameFormat: "text",
			Output: line(r.Ungraded) + "\nNo test was run. Hand in again.\n", OutputFormat: "text", Tags: []string{"not-graded"}, Visibility: "visible"})
		return writeJSON(w, "gradescope", out)
	}
	number := map[string]int{}
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		number[part.ID]++
		shown := status(t)
		if shown == "skipped" {
			shown = "failed"
		}
		out.Tests = append(out.Tests, gradescopeTest{
			Score: &t.Points, MaxScore: &t.Max, Status: shown, Name: line(t.Name), NameFormat: "text",
			Number: fmt.Sprintf("%s.%d", line(part.ID), number[part.ID]),
			Output: account(r, lab, t), OutputFormat: "text", Tags: []string{line(lab.ID), line(part.ID)},
			Visibility: o.Visibility,
			ExtraData:  gradescopeSeen{Status: status(t), Seeds: t.Seeds, Failed: t.Failed, Diverged: t.Diverged},
		})
	})
	return writeJSON(w, "gradescope", out)
}
