// Package watch is the learner's screen: it runs what a saved file affects, and
// shows the first failure in full. It never goes on to another part by itself.
//
// The screen's logic is the pure function Model.Update; files, tests and the
// terminal are around it.
package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
	"distlabs/internal/learning/learn"
)

// Model is all that the screen shows.
type Model struct {
	course   *course.Course
	progress learn.Progress
	lab      course.Lab
	part     course.Part

	run     *running       // nil when nothing runs
	runs    int            // how many have begun: the number of the last one
	result  *result.Result // of the last run that ended; nil before
	fault   string         // why the last run has no result: not the student's doing
	hints   []learn.Hint   // of the part, since it was chosen
	advice  []string       // on the lab's files, a paragraph each
	finish  []string       // labs that the last run completed
	message string         // answers the last key, one line
	list    bool           // the list of parts is shown
	cursor  int            // in the list
	pending []string       // parts that a save touched and that were not run since
	took    time.Duration  // from the save to the result
}

// running is the run that goes on.
type running struct {
	id    int
	parts []course.Part
	now   string // what it does
	done  int    // tests
	total int
	began time.Time
}

// A Msg is something that happened; an Effect is something to do.
type (
	Msg    any
	Effect any
)

// What happens.
type (
	Saved struct {
		Files []learn.File
		At    time.Time
	}
	Pressed struct {
		Key Key
		At  time.Time
	}
	Stepped struct {
		Run  int
		Step grade.Progress
	}
	Ended struct {
		Run      int
		Result   *result.Result
		Err      error
		Progress learn.Progress // after it
		Finished []string
		At       time.Time
	}
	Hinted struct {
		Part string
		Hint learn.Hint
		Err  error
	}
	Advised struct {
		Run    int
		Advice []string
	}
	Tested struct { // under plain go test
		Progress learn.Progress
	}
	Told struct{ Text string } // the answer to an effect, one line
)

// What is to be done.
type (
	Start struct {
		Run      int
		Selected course.Selected
	}
	Stop     struct{} // the run that goes on
	GiveHint struct{ Part course.Part }
	Open     struct{ Path string } // a diagram, relative to the course's root
	Remember struct{ At string }   // the part to resume at
	Quit     struct{}
)

// A Key is a letter, or one of the others below.
type Key string

// The keys that are no letters.
const (
	KeyUp    Key = "up"
	KeyDown  Key = "down"
	KeyEnter Key = "enter"
	KeyEsc   Key = "esc"
)

// New is the screen where the student left off.
func New(c *course.Course, p learn.Progress) Model {
	m := Model{course: c, progress: p}
	m.lab, m.part = p.Current(c)
	return m
}

// Init begins with a run of the part where the student left off.
func (m Model) Init(at time.Time) (Model, []Effect) {
	return m.start(m.lab, []course.Part{m.part}, at)
}

// Update is what the screen becomes when something happens, and what is to be
// done about it.
func (m Model) Update(msg Msg) (Model, []Effect) {
	switch msg := msg.(type) {
	case Saved:
		return m.saved(msg)
	case Pressed:
		m.message = ""
		if m.list {
			return m.keyInList(msg.Key, msg.At)
		}
		return m.key(msg.Key, msg.At)
	case Stepped:
		return m.stepped(msg), nil
	case Ended:
		return m.ended(msg), nil
	case Hinted:
		return m.hinted(msg), nil
	case Advised:
		if msg.Run == m.runs {
			m.advice = msg.Advice
		}
	case Tested:
		return m.tested(msg), nil
	case Told:
		m.message = msg.Text
	}
	return m, nil
}

// saved runs what the files affect. Of several labs, the first counts: nobody
// saves in two at once, but git does.
func (m Model) saved(msg Saved) (Model, []Effect) {
	if len(msg.Files) == 0 {
		return m, nil
	}
	m.pending = m.touched(msg.Files)
	id := msg.Files[0].Lab
	if slices.ContainsFunc(msg.Files, func(f learn.File) bool { return f.Lab == m.lab.ID }) {
		id = m.lab.ID
	}
	at := slices.IndexFunc(m.course.Labs, func(l course.Lab) bool { return l.ID == id })
	if at < 0 {
		return m, nil
	}
	lab := m.course.Labs[at]
	var names []string
	for _, f := range msg.Files {
		if f.Lab == id {
			names = append(names, f.Name)
		}
	}
	parts := m.affected(lab, names)
	if len(parts) == 0 {
		return m, nil
	}
	return m.start(lab, parts, msg.At)
}

// touched lists, in the order of the course, the parts that the files belong to, with those that waited before.
func (m Model) touched(files []learn.File) (ids []string) {
	for _, p := range m.places() {
		saved := slices.ContainsFunc(files, func(f learn.File) bool { return f.Lab == p.lab.ID && slices.Contains(p.part.Files, f.Name) })
		if saved || slices.Contains(m.pending, p.part.ID) {
			ids = append(ids, p.part.ID)
		}
	}
	return ids
}

// affected lists the parts to run when the lab's files change: the part that the
// student works on first, then those that passed before and may not any more. If
// none of these has the file, the student has turned to another part: the first
// that has it and has not passed, or the first of all.
func (m Model) affected(lab course.Lab, files []string) []course.Part {
	var current, passed, others []course.Part
	for _, p := range lab.Parts {
		switch {
		case !slices.ContainsFunc(files, func(f string) bool { return slices.Contains(p.Files, f) }):
		case p.ID == m.part.ID:
			current = append(current, p)
		case m.progress.Passed[p.ID] != "":
			passed = append(passed, p)
		default:
			others = append(others, p)
		}
	}
	switch {
	case len(current) == 0 && len(others) > 0:
		return append(others[:1:1], passed...)
	default:
		return append(current, passed...)
	}
}

// start begins a run, in place of the one that goes on. The first part is the one
// that the student works on.
func (m Model) start(lab course.Lab, parts []course.Part, at time.Time) (Model, []Effect) {
	var effects []Effect
	if m.run != nil {
		effects = append(effects, Stop{})
	}
	if m.part.ID != parts[0].ID {
		m.hints = nil
	}
	if m.progress.At != parts[0].ID {
		m.progress.At = parts[0].ID
		effects = append(effects, Remember{At: parts[0].ID})
	}
	m.lab, m.part = lab, parts[0]
	m.runs++
	m.list, m.message, m.finish = false, "", nil
	selected := course.Selected{Lab: lab, Parts: parts}
	m.run = &running{id: m.runs, parts: parts, now: "building", total: len(selected.Tests()), began: at}
	return m, append(effects, Start{Run: m.runs, Selected: selected})
}

func (m Model) stepped(msg Stepped) Model {
	if m.run == nil || m.run.id != msg.Run {
		return m
	}
	run := *m.run
	switch msg.Step.Stage {
	case grade.StageBuild:
		run.now = "building"
	case grade.StageTest:
		run.now = msg.Step.Test
	case grade.StageTested:
		run.done++
	}
	m.run = &run
	return m
}

func (m Model) ended(msg Ended) Model {
	if m.run == nil || m.run.id != msg.Run {
		return m
	}
	m.took = msg.At.Sub(m.run.began)
	m.run, m.result, m.fault, m.advice = nil, msg.Result, "", nil
	if msg.Err != nil {
		m.result, m.fault = nil, msg.Err.Error()
		return m
	}
	m.pending = slices.DeleteFunc(slices.Clone(m.pending), func(id string) bool { return ran(msg.Result, id) })
	m.progress, m.finish = m.with(msg.Progress), msg.Finished
	return m
}

// with is the progress that was recorded, at the part where the screen is.
func (m Model) with(p learn.Progress) learn.Progress {
	p.At = m.progress.At
	return p
}

// ran reports whether a part was run: all its tests, or those up to the first failure.
func ran(r *result.Result, id string) bool {
	for _, lab := range r.Labs {
		for _, part := range lab.Parts {
			if part.ID != id || lab.Refused != "" {
				continue
			}
			failed := slices.ContainsFunc(part.Tests, func(t result.Test) bool { return len(t.Failures) > 0 })
			return failed || !slices.ContainsFunc(part.Tests, func(t result.Test) bool { return t.Skipped == grade.NotRun })
		}
	}
	return false
}

// tested takes in what passed under plain go test, outside the screen.
func (m Model) tested(msg Tested) Model {
	var ids []string
	for _, p := range m.places() {
		if id := p.part.ID; msg.Progress.Passed[id] != m.progress.Passed[id] {
			ids = append(ids, id)
		}
	}
	m.progress = m.with(msg.Progress)
	if len(ids) > 0 {
		m.message = strings.Join(ids, ", ") + " passed under go test"
		m.pending = slices.DeleteFunc(slices.Clone(m.pending), func(id string) bool { return slices.Contains(ids, id) })
	}
	return m
}

func (m Model) hinted(msg Hinted) Model {
	switch {
	case msg.Part != m.part.ID:
	case learn.IsNoMoreHints(msg.Err):
		m.message = "no more hints for " + m.part.ID
		if len(m.hints) == 0 && len(m.part.Hints) > 0 {
			m.message += fmt.Sprintf("; grade hint %s --again repeats them", m.part.ID)
		}
	case msg.Err != nil:
		m.message = msg.Err.Error()
	default:
		m.hints = append(slices.Clone(m.hints), msg.Hint)
	}
	return m
}

// failure is the first test of the last run that failed.
func (m Model) failure() *result.Test {
	if m.result == nil {
		return nil
	}
	var found *result.Test
	m.result.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		if found == nil && t.Status != report.Pass && len(t.Failures) > 0 {
			found = t
		}
	})
	return found
}

// passes reports whether the last run was one of the part, and it passed.
func (m Model) passes() bool {
	return m.result != nil && len(m.result.Labs) == 1 && m.result.Passed() && m.result.Labs[0].Parts[0].ID == m.part.ID
}
