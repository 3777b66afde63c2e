package export

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// Classroom50Submission is what Classroom 50 knows about a submission and wants
// to find in its result. All except Review and Graded must be set.
type Classroom50Submission struct {
	Classroom  string
	Assignment string
	Type       string // individual, group or team
	Owner      string
	Tag        string // submit/2026-06-01T14-32-05Z-a1b2c3d
	Commit     string // the three are addresses
	Release    string
	Review     string    // "": Commit
	Submitted  time.Time // of the graded commit; zero: the time in Tag
	Graded     time.Time // zero: not told
}

// Classroom50Env reads a submission from the variables that Classroom 50's
// runner sets. The error names those that are missing.
func Classroom50Env(getenv func(string) string) (Classroom50Submission, error) {
	s := Classroom50Submission{
		Classroom: getenv("CLASSROOM"), Assignment: getenv("ASSIGNMENT"), Type: getenv("ASSIGNMENT_TYPE"),
		Owner: getenv("OWNER"), Tag: getenv("SUBMISSION_TAG"),
		Commit: getenv("COMMIT_URL"), Release: getenv("RELEASE_URL"), Review: getenv("REVIEW_URL"),
	}
	if s.Owner == "" {
		s.Owner = getenv("USERNAME")
	}
	var missing []string
	for _, field := range []struct{ name, value string }{
		{"CLASSROOM", s.Classroom}, {"ASSIGNMENT", s.Assignment}, {"ASSIGNMENT_TYPE", s.Type}, {"OWNER", s.Owner},
		{"SUBMISSION_TAG", s.Tag}, {"COMMIT_URL", s.Commit}, {"RELEASE_URL", s.Release},
	} {
		if field.value == "" {
			missing = append(missing, field.name)
		}
	}
	if len(missing) > 0 {
		return s, fmt.Errorf("export: classroom50: the environment has no %s, which Classroom 50's runner sets", strings.Join(missing, ", "))
	}
	return s, nil
}

type classroom50Result struct {
	Schema     string            `json:"schema"`
	Classroom  string            `json:"classroom"`
	Assignment string            `json:"assignment"`
	Type       string            `json:"assignment_type"`
	Owner      string            `json:"owner"`
	Submission string            `json:"submission"`
	Commit     string            `json:"commit"`
	Release    string            `json:"release"`
	Review     string            `json:"review"`
	Datetime   string            `json:"datetime"`
	GradedAt   string            `json:"graded_at,omitempty"`
	Score      int               `json:"score"`
	MaxScore   int               `json:"max-score"`
	Tests      []classroom50Test `json:"tests"`
}

type classroom50Test struct {
	Name     string `json:"test-name"`
	Passed   bool   `json:"passed"`
	Score    int    `json:"score"`
	MaxScore int    `json:"max-score"`
	Output   string `json:"output,omitempty"` // diagnostic: tests may have fields of their own
}

// maxClassroom50 is the most that all outputs may have together: the collector
// refuses a result of more than 10 MiB.
const maxClassroom50 = 4 << 20

// classroom50Time is the one form of a time that the schema admits.
const classroom50Time = "2006-01-02T15:04:05Z"

// Classroom50 writes a classroom50/result/v1
// (github.com/foundation50/classroom50, schemas/result-v1.schema.json).
func Classroom50(w io.Writer, r *result.Result, s Classroom50Submission) error {
	if err := s.check(); err != nil {
		return err
	}
	if r.Ungraded != "" { // the form has a score in any case, and a zero would be wrong
		return fmt.Errorf("export: classroom50: there is no result to write: not graded: %s", line(r.Ungraded))
	}
	out := classroom50Result{
		Schema: "classroom50/result/v1", Classroom: line(s.Classroom), Assignment: line(s.Assignment), Type: s.Type, Owner: line(s.Owner),
		Submission: line(s.Tag), Commit: line(s.Commit), Release: line(s.Release), Review: line(s.Review),
		Datetime: s.Submitted.UTC().Format(classroom50Time), Score: r.Points, MaxScore: r.Max, Tests: []classroom50Test{},
	}
	if !s.Graded.IsZero() {
		out.GradedAt = s.Graded.UTC().Format(classroom50Time)
	}
	left := maxClassroom50
	r.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		text := account(r, lab, t)
		if left -= len(text); left < 0 {
			text = ""
		}
		out.Tests = append(out.Tests, classroom50Test{Name: cmp.Or(line(t.Name), "unnamed"), Passed: t.Status == report.Pass,
			Score: t.Points, MaxScore: t.Max, Output: text})
	})
	return writeJSON(w, "classroom50", out)
}

// check refuses what Classroom 50's collector would, and fills in what can be derived.
func (s *Classroom50Submission) check() error {
	if s.Review == "" {
		s.Review = s.Commit
	}
	for _, field := range []struct{ name, value string }{
		{"classroom", s.Classroom}, {"assignment", s.Assignment}, {"owner", s.Owner}, {"commit", s.Commit}, {"release", s.Release},
	} {
		if line(field.value) == "" {
			return fmt.Errorf("export: classroom50: %s is empty", field.name)
		}
	}
	if !slices.Contains([]string{"individual", "group", "team"}, s.Type) {
		return fmt.Errorf("export: classroom50: assignment type %q is none of individual, group, team", s.Type)
	}
	stamp, found := strings.CutPrefix(s.Tag, "submit/")
	if !found {
		return fmt.Errorf("export: classroom50: tag %q does not begin with submit/", s.Tag)
	}
	if s.Submitted.IsZero() {
		at, _, _ := strings.Cut(stamp, "Z-")
		submitted, err := time.Parse("2006-01-02T15-04-05", at)
		if err != nil {
			return fmt.Errorf("export: classroom50: tag %q holds no time, want submit/2026-06-01T14-32-05Z-a1b2c3d: %w", s.Tag, err)
		}
		s.Submitted = submitted
	}
	return nil
}
