package export

import (
	"io"

	"distlabs/internal/grading/result"
)

type prairieLearnResult struct {
	Gradable     bool               `json:"gradable"`
	Score        *float64           `json:"score,omitempty"` // 0 to 1
	Message      string             `json:"message,omitempty"`
	Output       string             `json:"output,omitempty"`
	FormatErrors []string           `json:"format_errors,omitempty"`
	Tests        []prairieLearnTest `json:"tests,omitempty"`
}

type prairieLearnTest struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Points      int    `json:"points"`
	MaxPoints   int    `json:"max_points"`
	Message     string `json:"message,omitempty"`
}

// maxPrairieLearn is the most that all texts may have together. A result may
// have 1 MB; encoding can make a byte six (\u003c).
const maxPrairieLearn = 100 << 10

// PrairieLearn writes the results.json of an external grader
// (docs.prairielearn.com, "External grading").
//
// What could not be run because of what was handed in (it does not compile, it
// has none of the files) is not gradable: no attempt is used up.
func PrairieLearn(w io.Writer, r *result.Result) error {
	if reasons, all := refusedAll(r); all {
		return writeJSON(w, "prairielearn", prairieLearnResult{FormatErrors: reasons})
	}
	score := 0.0
	if r.Max > 0 {
		score = float64(r.Points) / float64(r.Max)
	}
	out := prairieLearnResult{Gradable: true, Score: &score, Output: cutLines(overall(r), maxPrairieLearn/4)}
	left := maxPrairieLearn - len(out.Output)
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		text := account(r, lab, t)
		if left -= len(text); left < 0 {
			text = ""
		}
		out.Tests = append(out.Tests, prairieLearnTest{Name: line(t.Name), Description: line(part.ID + " " + part.Title),
			Points: t.Points, MaxPoints: t.Max, Message: text})
	})
	return writeJSON(w, "prairielearn", out)
}
