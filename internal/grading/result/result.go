// Package result is what grading says: the result of one graded source, its JSON
// form, and the run directory that holds the results of a class.
//
// Everything that shows, exports or compares grades reads results and needs no
// other package of the grader. The package knows the course, from which it takes
// the tests that are expected, and package report, which has the form of a failure.
package result

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// Version is the version of the form of results.json. It grows when a
// reader of the old form would go wrong.
const Version = 1

// Result is one graded source. Every output is a pure function of it, and
// encoding it as JSON gives results.json (schemas/results.schema.json).
type Result struct {
	Version   int      `json:"version"`
	Grader    string   `json:"grader"`
	Go        string   `json:"go"`
	Isolation int      `json:"isolation"`          // the level that held for every test, see docs/isolation.md
	Barriers  []string `json:"barriers,omitempty"` // what held beyond the gate and the channel
	Source    Source   `json:"source"`
	// Submission is whose work this is, in a batch; nil elsewhere.
	Submission *Submission `json:"submission,omitempty"`
	// Ungraded is why nothing could be graded at all, such as a corrupt archive: one sentence; "" if it was.
	Ungraded string `json:"ungraded,omitempty"`
	// Seconds is the real time from reading the submission to its result.
	Seconds float64 `json:"seconds,omitempty"`
	Points  int     `json:"points"`
	Max     int     `json:"max"`
	Labs    []Lab   `json:"labs"`
}

// Source says where the graded files came from.
type Source struct {
	Kind course.Origin `json:"kind"`
	Path string        `json:"path,omitempty"` // of a submission as it was given, of a mutant its name
}

// Submission says whose submission was graded in a batch.
type Submission struct {
	ID   string `json:"id"`             // unique in its run: the folder's or archive's name, or the roster's
	Name string `json:"name,omitempty"` // the student's, if a roster gives it
	Hash string `json:"hash"`           // SHA-256 of the permitted files, hexadecimal
}

// Lab is the selected parts of one lab.
type Lab struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Points  int      `json:"points"`
	Max     int      `json:"max"`
	Base    []Base   `json:"base,omitempty"`    // the labs that it was built on
	Refused string   `json:"refused,omitempty"` // why nothing was run: one sentence
	Compile []string `json:"compile,omitempty"` // the compiler's errors, when that is why
	Notes   []string `json:"notes,omitempty"`   // what was ignored or is missing
	Parts   []Part   `json:"parts"`
}

// Base says where a lab came from that another was built on.
type Base struct {
	Lab  string        `json:"lab"`
	Kind course.Origin `json:"kind"`
}

// Part is one part of a lab.
type Part struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Points int    `json:"points"`
	Max    int    `json:"max"`
	Tests  []Test `json:"tests"`
}

// Test is one expected test.
type Test struct {
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

	States    []uint64          `json:"-"` // of a part of a search: see report.Result
	Digests   map[uint64]string `json:"-"` // in a chunk of a soak: see report.Result
	Uncovered []string          `json:"-"` // in a chunk of a soak: what the test must cover and did not
}

// Worth is the test's points as a sentence has them: "1 point", "3 points".
func (t Test) Worth() string {
	if t.Max == 1 {
		return "1 point"
	}
	return fmt.Sprintf("%d points", t.Max)
}

// Measure returns the value of the test's measure of that name, 0 if there is none.
func (t Test) Measure(name string) float64 {
	for _, m := range t.Measures {
		if m.Name == name {
			return m.Value
		}
	}
	return 0
}

// Passed reports whether every selected test passed.
func (r *Result) Passed() bool { return r.Points == r.Max }

// Tests calls f for every test in order.
func (r *Result) Tests(f func(lab *Lab, part *Part, test *Test)) {
	for i := range r.Labs {
		for j := range r.Labs[i].Parts {
			for k := range r.Labs[i].Parts[j].Tests {
				f(&r.Labs[i], &r.Labs[i].Parts[j], &r.Labs[i].Parts[j].Tests[k])
			}
		}
	}
}

// Seconds is the real time of the part's tests, one after another.
func (p Part) Seconds() float64 {
	sum := 0.0
	for _, t := range p.Tests {
		sum += t.Real
	}
	return sum
}

// Kills reports whether the test has noticed a fault in the code under test. A test that found itself
// vacuous, or an error in the harness, does not count.
func (t Test) Kills() bool {
	if t.Status != report.Fail || len(t.Failures) == 0 {
		return false
	}
	kind := t.Failures[0].Kind
	return kind != report.Vacuous && kind != report.Malformed
}

// FindsWrong reports whether a test that was given a stub finds it wrong. A search of schedules asks for nothing to happen, and
// with a stub nothing does: all that it can say is that it is vacuous, which earns nothing.
func (t Test) FindsWrong() bool {
	searches := slices.ContainsFunc(t.Measures, func(m report.Measure) bool { return m.Name == report.Schedules })
	return t.Kills() || searches && t.Status == report.Fail && len(t.Failures) > 0 && t.Failures[0].Kind == report.Vacuous
}

// VirtualTime is the virtual time of the part's tests.
func (p Part) VirtualTime() time.Duration {
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
		return fmt.Errorf("result: writing results: %w", err)
	}
	return nil
}

// Read reads a results.json. Its totals are added up again from the verdicts on the tests.
func Read(path string) (*Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return decode(path, text)
}

// decode reads the text of a results.json; what it says of sums is not believed.
func decode(path string, text []byte) (*Result, error) {
	var r Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("result: %s: %w", path, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("result: %s has version %d, this grader reads %d", path, r.Version, Version)
	}
	r.Score()
	return &r, nil
}

// New is the result of a source before anything has run: every expected test is
// there and has failed, so that a test that never reports scores nothing.
func New(source Source, selected []course.Selected) *Result {
	r := &Result{Version: Version, Source: source, Labs: []Lab{}}
	for _, s := range selected {
		lab := Lab{ID: s.Lab.ID, Title: s.Lab.Title}
		for _, p := range s.Parts {
			part := Part{ID: p.ID, Title: p.Title}
			for _, t := range p.Tests {
				part.Tests = append(part.Tests, Test{Name: t.Name, Max: t.Points, Status: report.Fail})
			}
			lab.Parts = append(lab.Parts, part)
		}
		r.Labs = append(r.Labs, lab)
	}
	return r
}

// Score adds up: a test that passed earns its points, every other none.
func (r *Result) Score() {
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
