package grade

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// ResultVersion is the version of the form of results.json. It grows when a
// reader of the old form would go wrong.
const ResultVersion = 1

// Result is one graded source. Every output is a pure function of it, and
// encoding it as JSON gives results.json (schemas/results.schema.json).
type Result struct {
	Version   int        `json:"version"`
	Grader    string     `json:"grader"`
	Go        string     `json:"go"`
	Isolation int        `json:"isolation"`          // the level that held for every test, see IsolationGate
	Barriers  []string   `json:"barriers,omitempty"` // what held beyond the gate and the channel
	Source    SourceName `json:"source"`
	// Submission is whose work this is, in a batch; nil elsewhere.
	Submission *SubmissionName `json:"submission,omitempty"`
	// Ungraded is why nothing could be graded at all, such as a corrupt archive: one sentence; "" if it was.
	Ungraded string `json:"ungraded,omitempty"`
	// Seconds is the real time from reading the submission to its result.
	Seconds float64     `json:"seconds,omitempty"`
	Points  int         `json:"points"`
	Max     int         `json:"max"`
	Labs    []LabResult `json:"labs"`
}

// SourceName says where the graded files came from.
type SourceName struct {
	Kind SourceKind `json:"kind"`
	Path string     `json:"path,omitempty"` // of a submission as it was given, of a mutant its name
}

// SubmissionName says whose submission was graded in a batch.
type SubmissionName struct {
	ID   string `json:"id"`             // unique in its run: the folder's or archive's name, or the roster's
	Name string `json:"name,omitempty"` // the student's, if a roster gives it
	Hash string `json:"hash"`           // SHA-256 of the permitted files, hexadecimal
}

// LabResult is the selected parts of one lab.
type LabResult struct {
	ID      string       `json:"id"`
	Title   string       `json:"title"`
	Points  int          `json:"points"`
	Max     int          `json:"max"`
	Base    []BaseResult `json:"base,omitempty"`    // the labs that it was built on
	Refused string       `json:"refused,omitempty"` // why nothing was run: one sentence
	Compile []string     `json:"compile,omitempty"` // the compiler's errors, when that is why
	Notes   []string     `json:"notes,omitempty"`   // what was ignored or is missing
	Parts   []PartResult `json:"parts"`
}

// BaseResult says where a lab came from that another was built on.
type BaseResult struct {
	Lab  string     `json:"lab"`
	Kind SourceKind `json:"kind"`
}

// PartResult is one part of a lab.
type PartResult struct {
	ID     string       `json:"id"`
	Title  string       `json:"title"`
	Points int          `json:"points"`
	Max    int          `json:"max"`
	Tests  []TestResult `json:"tests"`
}

// TestResult is one expected test.
type TestResult struct {
	Name     string           `json:"name"`
	Points   int              `json:"points"`
	Max      int              `json:"max"`
	Status   report.Status    `json:"status"`
	Seeds    int              `json:"seeds,omitempty"`    // how many ran
	Failed   []uint64         `json:"failed,omitempty"`   // the seeds that failed
	Diverged []uint64         `json:"diverged,omitempty"` // the seeds that did not replay the same
	Virtual  float64          `json:"virtualSeconds"`
	Real     float64          `json:"realSeconds"`
	Skipped  string           `json:"skipped,omitempty"` // why, when Status is skip
	Failures []report.Failure `json:"failures,omitempty"`
	Measures []report.Measure `json:"measures,omitempty"`

	Uncovered []string `json:"-"` // in a chunk of a soak: what the test must cover and did not
}

// Passed reports whether every selected test passed.
func (r *Result) Passed() bool { return r.Points == r.Max }

// Tests calls f for every test in order.
func (r *Result) Tests(f func(lab *LabResult, part *PartResult, test *TestResult)) {
	for i := range r.Labs {
		for j := range r.Labs[i].Parts {
			for k := range r.Labs[i].Parts[j].Tests {
				f(&r.Labs[i], &r.Labs[i].Parts[j], &r.Labs[i].Parts[j].Tests[k])
			}
		}
	}
}

// Seconds is the real time of the part's tests, one after another.
func (p PartResult) Seconds() float64 {
	sum := 0.0
	for _, t := range p.Tests {
		sum += t.Real
	}
	return sum
}

// VirtualTime is the virtual time of the part's tests.
func (p PartResult) VirtualTime() time.Duration {
	sum := 0.0
	for _, t := range p.Tests {
		sum += t.Virtual
	}
	return time.Duration(sum * float64(time.Second))
}

// WriteJSON writes results.json.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("grade: writing results: %w", err)
	}
	return nil
}

// newResult is the result before anything has run: every expected test is
// there and has failed, so that what never reports scores nothing.
func newResult(goVersion string, source Source, selected []course.Selected) *Result {
	r := &Result{Version: ResultVersion, Grader: Version, Go: goVersion, Isolation: IsolationGate,
		Source: SourceName{Kind: source.Kind}, Labs: []LabResult{}}
	switch source.Kind {
	case Submission:
		r.Source.Path = source.Dir
	case MutantKind:
		r.Source.Path = source.Mutant.Lab + "/" + source.Mutant.Name
	}
	for _, s := range selected {
		lab := LabResult{ID: s.Lab.ID, Title: s.Lab.Title}
		for _, p := range s.Parts {
			part := PartResult{ID: p.ID, Title: p.Title}
			for _, t := range p.Tests {
				part.Tests = append(part.Tests, TestResult{Name: t.Name, Max: t.Points, Status: report.Fail})
			}
			lab.Parts = append(lab.Parts, part)
		}
		r.Labs = append(r.Labs, lab)
	}
	return r
}

// replayOnBase corrects the commands that show failures again: go test would build on another base
// than the one that was graded.
func (r *Result) replayOnBase() {
	r.Tests(func(lab *LabResult, part *PartResult, test *TestResult) {
		if r.Source.Kind == Solution || !slices.ContainsFunc(lab.Base, func(b BaseResult) bool { return b.Kind == Solution }) {
			return
		}
		for i := range test.Failures {
			f := &test.Failures[i]
			f.Replay = fmt.Sprintf("go run ./cmd/grade run %s --base reference", part.ID)
			if f.Seed != 0 {
				f.Replay += fmt.Sprintf(" --seed %d", f.Seed)
			}
		}
	})
}

// score adds up: a test that passed earns its points, every other none.
func (r *Result) score() {
	r.Points, r.Max = 0, 0
	for i := range r.Labs {
		lab := &r.Labs[i]
		lab.Points, lab.Max = 0, 0
		for j := range lab.Parts {
			part := &lab.Parts[j]
			part.Points, part.Max = 0, 0
			for k := range part.Tests {
				t := &part.Tests[k]
				t.Points = 0
				if t.Status == report.Pass {
					t.Points = t.Max
				}
				part.Points += t.Points
				part.Max += t.Max
			}
			lab.Points += part.Points
			lab.Max += part.Max
		}
		r.Points += lab.Points
		r.Max += lab.Max
	}
}
