package watch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
	"distlabs/internal/learning/learn"
)

// testCourse is 1A (echo.go), 1B (echo.go, shout.go), 2A (count.go).
func testCourse(t *testing.T) *course.Course {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../grading/course/testdata/course")))
	c, err := course.Load(dir)
	require.NoError(t, err)
	c.Labs[0].Parts[1].Files = []string{"echo.go", "shout.go"}
	return c
}

func progressWith(passed ...string) learn.Progress {
	p := learn.Progress{Version: 1, Hints: map[string]int{}, Passed: map[string]string{}}
	for _, id := range passed {
		p.Passed[id] = "x"
	}
	return p
}

// starts names the parts that the effects run; "" if none.
func starts(effects []Effect) string {
	var ids []string
	for _, e := range effects {
		if e, ok := e.(Start); ok {
			for _, p := range e.Selected.Parts {
				ids = append(ids, p.ID)
			}
		}
	}
	return strings.Join(ids, " ")
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func save(m Model, lab string, files ...string) (Model, []Effect) {
	msg := Saved{At: noon}
	for _, f := range files {
		msg.Files = append(msg.Files, learn.File{Lab: lab, Name: f})
	}
	return m.Update(msg)
}

func press(m Model, keys ...Key) (Model, []Effect) {
	var effects []Effect
	for _, k := range keys {
		var more []Effect
		m, more = m.Update(Pressed{Key: k, At: noon})
		effects = append(effects, more...)
	}
	return m, effects
}

// ended is what the last run says at its end: the parts named have passed, the
// tests of the others failed.
func ended(m Model, passed ...string) (Model, []Effect) {
	r := &result.Result{Max: 1}
	lab := result.Lab{ID: m.lab.ID}
	ok := true
	for _, p := range m.run.parts {
		part := result.Part{ID: p.ID}
		for _, t := range p.Tests {
			test := result.Test{Name: t.Name, Max: t.Points, Status: report.Pass}
			if !strings.Contains(strings.Join(passed, " "), p.ID) {
				ok = false
				test.Status = report.Fail
				test.Failures = []report.Failure{{What: t.Name + " is wrong", Where: "x_test.go:7", Diagram: "labs/x.html"}}
			}
			part.Tests = append(part.Tests, test)
		}
		lab.Parts = append(lab.Parts, part)
	}
	r.Labs = []result.Lab{lab}
	if ok {
		r.Points = 1
	}
	progress := progressWith()
	for id := range m.progress.Passed {
		progress.Passed[id] = "x"
	}
	for _, id := range passed {
		progress.Passed[id] = "x"
	}
	return m.Update(Ended{Run: m.runs, Result: r, Progress: progress, At: noon.Add(1500 * time.Millisecond)})
}

func text(m Model, s Screen) string { return strings.Join(m.View(s), "\n") }

func TestBeginsWhereOneStopped(t *testing.T) {
	c := testCourse(t)
	p := progressWith("1A")
	_, effects := New(c, p).Init(noon)
	require.Equal(t, "1B", starts(effects), "the first that has not passed")
	p.At = "2A"
	_, effects = New(c, p).Init(noon)
	require.Equal(t, "2A", starts(effects))
	require.Len(t, effects, 1, "nothing new to remember")
}

func TestSavedFileRunsWhatItAffects(t *testing.T) {
	c := testCourse(t)
	for _, tc := range []struct {
		name   string
		at     string
		passed []string
		lab    string
		files  []string
		want   string
	}{
		{name: "the part that one is at", at: "1A", lab: "01-echo", files: []string{"echo.go"}, want: "1A"},
		{name: "and what passed before with that file", at: "1B", passed: []string{"1A"}, lab: "01-echo", files: []string{"echo.go"}, want: "1B 1A"},
		{name: "but not what the file is no part of", at: "1B", passed: []string{"1A"}, lab: "01-echo", files: []string{"shout.go"}, want: "1B"},
		{name: "the part that one turns to", at: "1A", lab: "01-echo", files: []string{"shout.go"}, want: "1B"},
		{name: "in another lab too", at: "1A", passed: []string{"1A"}, lab: "02-count", files: []string{"count.go"}, want: "2A"},
		{name: "only passed ones: again", at: "2A", passed: []string{"1A", "1B"}, lab: "01-echo", files: []string{"shout.go"}, want: "1B"},
		{name: "a file of nobody", at: "1A", lab: "01-echo", files: []string{"other.go"}, want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := progressWith(tc.passed...)
			p.At = tc.at
			m, effects := save(New(c, p), tc.lab, tc.files...)
			require.Equal(t, tc.want, starts(effects))
			if tc.want != "" {
				require.Contains(t, text(m, Screen{}), "please wait: running "+strings.ReplaceAll(tc.want, " ", ", "))
			}
		})
	}
}

func TestAnotherSaveTakesTheRunsPlace(t *testing.T) {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	first := m.runs
	m, effects := save(m, "01-echo", "echo.go")
	require.Equal(t, Stop{}, effects[0])
	require.Equal(t, "1A", starts(effects))
	// What the first run still says is nobody's business.
	before := text(m, Screen{})
	m, _ = m.Update(Stepped{Run: first, Step: grade.Progress{Stage: grade.StageTested}})
	m, _ = m.Update(Ended{Run: first, Err: errors.New("no")})
	require.Equal(t, before, text(m, Screen{}))
	m, _ = m.Update(Stepped{Run: m.runs, Step: grade.Progress{Stage: grade.StageTested}})
	m, _ = m.Update(Stepped{Run: m.runs, Step: grade.Progress{Stage: grade.StageTest, Test: "TestNothingMore1A"}})
	require.Contains(t, text(m, Screen{}), "1 of 2 tests done · TestNothingMore1A")
}

func TestNeverAdvancesByItself(t *testing.T) {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	m, effects := ended(m, "1A")
	require.Empty(t, effects)
	require.Equal(t, "1A", m.part.ID)
	require.Contains(t, text(m, Screen{}), "passed: all 2 tests")
	require.Contains(t, text(m, Screen{}), "1A passes (1.5s)")
	require.Contains(t, text(m, Screen{}), "1/3  [1A] 1B ")
	m, effects = press(m, "n")
	require.Equal(t, "1B", starts(effects))
	require.Contains(t, effects, Remember{At: "1B"})
	m, _ = ended(m)
	m, effects = press(m, "n")
	require.Empty(t, effects)
	require.Contains(t, text(m, Screen{}), "1B has not passed yet")
}

func TestShowsTheFirstFailure(t *testing.T) {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	m, _ = ended(m)
	require.Contains(t, text(m, Screen{}), "failed: TestEchoes1A (40 points)\nx_test.go:7: TestEchoes1A is wrong\n    diagram: labs/x.html\n")
	require.NotContains(t, text(m, Screen{}), "TestNothingMore1A")
	m, effects := press(m, "t")
	require.Equal(t, []Effect{Open{Path: "labs/x.html"}}, effects)
	m, _ = m.Update(Told{Text: "opened it"})
	require.Contains(t, text(m, Screen{}), "opened it")
	m, _ = m.Update(Advised{Run: m.runs, Advice: []string{"do not"}})
	require.Contains(t, text(m, Screen{}), "advice: do not")

	m, effects = press(m, "r")
	require.Equal(t, "1A", starts(effects))
	m, effects = press(m, "t")
	require.Empty(t, effects, "the failure of the last run is not on the screen")
	require.Contains(t, text(m, Screen{}), "the tests still run")
	m, _ = m.Update(Ended{Run: m.runs, Result: &result.Result{Max: 1, Labs: []result.Lab{{Refused: "does not compile: x", Compile: []string{"x", "y"}}}}})
	require.Contains(t, text(m, Screen{}), "not run: does not compile: x\n    y\n")
	m, _ = press(m, "t")
	require.Contains(t, text(m, Screen{}), "no failure, so no diagram")
	m, _ = press(m, "r")
	m, _ = m.Update(Ended{Run: m.runs, Err: errors.New("no C compiler")})
	require.Contains(t, text(m, Screen{}), "the run did not come to an end: no C compiler")
}

func TestHints(t *testing.T) {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	m, _ = ended(m)
	m, effects := press(m, "h")
	require.Equal(t, []Effect{GiveHint{Part: m.part}}, effects)
	m, _ = m.Update(Hinted{Part: "1A", Hint: learn.Hint{Text: "Look.", Number: 1, Of: 2}})
	require.Contains(t, text(m, Screen{}), "hint 1 of 2: Look.")
	m, _ = m.Update(Hinted{Part: "1B", Hint: learn.Hint{Text: "Late.", Number: 1, Of: 2}})
	require.NotContains(t, text(m, Screen{}), "Late.")
	m, _ = press(m, "r")
	m, _ = ended(m)
	require.Contains(t, text(m, Screen{}), "Look.", "hints stay while one is at the part")
	m, _ = save(m, "01-echo", "shout.go")
	m, _ = ended(m)
	require.NotContains(t, text(m, Screen{}), "Look.")
}

func TestList(t *testing.T) {
	m, _ := New(testCourse(t), progressWith("1A")).Init(noon)
	m, _ = ended(m)
	m, effects := press(m, "l")
	require.Empty(t, effects)
	require.Contains(t, text(m, Screen{}), "  done  1A   70 points  Say it again\n>       1B   30 points  Shout\n        2A  100 points")
	m, effects = press(m, KeyUp, KeyUp, KeyUp, "j", KeyDown, KeyDown, KeyDown, KeyEnter)
	require.Equal(t, "2A", starts(effects))
	require.NotContains(t, text(m, Screen{}), ">")
	m, _ = press(m, "l", KeyEsc)
	require.False(t, m.list)
	_, effects = press(m, "l", "q")
	require.Equal(t, []Effect{Stop{}, Quit{}}, effects)
}

// Whatever the window, everything except the text to read fits into a line each, and the
// end of the screen stays where it is.
func TestNarrowWindows(t *testing.T) {
	m, _ := New(testCourse(t), progressWith("1A")).Init(noon)
	running := m
	m, _ = ended(m)
	list, _ := press(m, "l")
	models := map[string]Model{"running": running, "list": list, "failure": m, "long": longFailure(t)}
	for width := 10; width < 120; width++ {
		s := Screen{Width: width, Height: 12, Colour: width%2 == 0}
		for name, m := range models {
			if lines := m.View(s); !fits(lines, s) {
				t.Fatalf("%s at width %d:\n%s", name, width, strings.Join(lines, "\n"))
			}
		}
		lines := m.View(s)
		for _, line := range lines[len(lines)-3:] {
			require.LessOrEqual(t, lipgloss.Width(line), width)
		}
	}
}

func TestColours(t *testing.T) {
	m, _ := New(testCourse(t), progressWith("1A")).Init(noon)
	m, _ = ended(m)
	require.NotContains(t, text(m, Screen{Width: 80}), "\x1b")
	coloured := text(m, Screen{Width: 80, Colour: true})
	require.Contains(t, coloured, "\x1b[31m")
	// Nothing but red, green and bold: white, yellow or a light tone would vanish on a light background, and a
	// background of ours would not fit another theme.
	require.NotRegexp(t, `\x1b\[(\d+;)*(30|33|37|9\d|4[0-8]|10\d)m`, coloured)
}

// longFailure is a screen with all that a failure can have, advice and hints.
func longFailure(t *testing.T) Model {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	f := report.Failure{
		Where: "labs/01-echo/x_test.go:7",
		What: "no leader within 5s: n1 n2 n3 have been connected since 1.2s, but do not all know the same leader; n1 knows n2 in term 4, " +
			"n2 knows nobody in term 5, n3 knows n2 in term 4, and no server has started an election since 3.1s",
		Rule:    "a connected majority has a leader that it knows within 5s: one of its servers is the leader, and a majority knows it (rule 10; Raft §5.2)",
		Faults:  "1 of 103 faults is enough (of the network); the run below has only these: crash of n2 at 1.1s",
		Replay:  "LABS_SEED=81 go test -race -run 'TestElectsALeaderAgainAndAgain4C$' ./labs/04-election",
		Diagram: "labs/04-election/.labs/TestElectsALeaderAgainAndAgain4C-81.html",
	}
	for i := range 6 {
		f.Seen = append(f.Seen, fmt.Sprintf("evidence %d: a line that is about as long as those that the labs' tests print, with terms and servers", i))
	}
	for i := range 40 {
		f.Trace += fmt.Sprintf("%d.100s  n1  → n2 n3  RequestVote{Term:%d Candidate:n1 LastIndex:0 LastTerm:0} and what else a long line has\n", i, i)
	}
	test := result.Test{Name: "TestElectsALeaderAgainAndAgain4C", Max: 40, Status: report.Fail, Failures: []report.Failure{f}}
	lab := result.Lab{ID: m.lab.ID, Parts: []result.Part{{ID: "1A", Tests: []result.Test{test}}}}
	m, _ = m.Update(Ended{Run: m.runs, Result: &result.Result{Max: 1, Labs: []result.Lab{lab}}, Progress: progressWith(), At: noon})
	m, _ = m.Update(Advised{Run: m.runs, Advice: []string{strings.Repeat("A mutex is held across a call. ", 8)}})
	m, _ = m.Update(Hinted{Part: "1A", Hint: learn.Hint{Text: strings.Repeat("Which timer is this? ", 12), Number: 1, Of: 2}})
	return m
}

// In a small window the test's name, the rule and the replay line are in view, and the hint that was just given; the record has what is left.
func TestALongFailureFitsIntoASmallWindow(t *testing.T) {
	m := longFailure(t)
	whole := text(m, Screen{Width: 80})
	require.Contains(t, whole, "evidence 5")
	require.Contains(t, whole, "0.100s")
	for _, s := range []Screen{{Width: 80, Height: 24}, {Width: 80, Height: 24, Colour: true}, {Width: 100, Height: 30}, {Width: 60, Height: 24}, {Width: 132, Height: 43}} {
		screen := text(m, s)
		require.True(t, fits(m.View(s), s), "%dx%d:\n%s", s.Width, s.Height, screen)
		flat := strings.Join(strings.Fields(screen), " ")
		require.Contains(t, screen, "TestElectsALeaderAgainAndAgain4C (40 points)")
		require.Contains(t, flat, "no server has started an election since 3.1s")
		require.Contains(t, flat, "(rule 10; Raft §5.2)")
		require.Contains(t, screen, "    replay:  LABS_SEED=81 go test -race -run 'TestElectsALeaderAgainAndAgain4C$' ./labs/04-election\n", "one line, to be copied")
		require.Contains(t, flat, "Which timer is this?")
		require.Regexp(t, `… \d+ lines are too many for this window; t opens the diagram`, screen)
		require.Contains(t, screen, "q quit")
	}
	require.Contains(t, text(m, Screen{Width: 132, Height: 43}), "39.100s", "the end of the record is what is kept")
	require.NotContains(t, text(m, Screen{Width: 132, Height: 43}), " 0.100s")
}

// Each part that a save touches is run, or the screen says that it is not, until it is.
func TestPartsThatWaitAreNamed(t *testing.T) {
	const waits = "not run yet since a save: "
	m, _ := New(testCourse(t), progressWith("1B")).Init(noon)
	m, _ = ended(m)
	m, effects := save(m, "01-echo", "echo.go")
	require.Equal(t, "1A 1B", starts(effects))
	require.NotContains(t, text(m, Screen{}), waits, "both run")

	// 1A fails, and so 1B is not run, although its files have changed.
	skipped := []result.Test{{Name: "TestShouts1B", Status: report.Skip, Skipped: grade.NotRun}}
	failed := []result.Test{{Name: "TestEchoes1A", Status: report.Fail, Failures: []report.Failure{{What: "wrong"}}}}
	lab := result.Lab{ID: "01-echo", Parts: []result.Part{{ID: "1A", Tests: failed}, {ID: "1B", Tests: skipped}}}
	m, _ = m.Update(Ended{Run: m.runs, Result: &result.Result{Max: 1, Labs: []result.Lab{lab}}, Progress: progressWith("1B")})
	require.Contains(t, text(m, Screen{}), waits+"1B\n")
	list, _ := press(m, "l")
	require.Contains(t, text(list, Screen{}), "Shout (not run yet since a save)")

	// Files of two labs at once, as git writes them: one lab runs.
	m, effects = m.Update(Saved{At: noon, Files: []learn.File{{Lab: "01-echo", Name: "echo.go"}, {Lab: "02-count", Name: "count.go"}}})
	require.Equal(t, "1A 1B", starts(effects))
	require.Contains(t, text(m, Screen{}), waits+"2A\n")
	m, _ = ended(m, "1A", "1B")
	require.Contains(t, text(m, Screen{}), waits+"2A\n")
	m, _ = save(m, "02-count", "count.go")
	m, _ = m.Update(Ended{Run: m.runs, Result: &result.Result{Max: 1, Labs: []result.Lab{{Refused: "does not compile"}}}, Progress: progressWith("1A", "1B")})
	require.Contains(t, text(m, Screen{}), waits+"2A", "nothing was run")
	m, _ = press(m, "r")
	m, _ = ended(m, "2A")
	require.NotContains(t, text(m, Screen{}), waits)
}

// A part that passes under plain go test counts, and is not waited for.
func TestAPassUnderGoTestIsShown(t *testing.T) {
	m, _ := New(testCourse(t), progressWith()).Init(noon)
	m, _ = ended(m)
	m, _ = m.Update(Saved{At: noon, Files: []learn.File{{Lab: "01-echo", Name: "echo.go"}, {Lab: "02-count", Name: "count.go"}}})
	m, _ = ended(m)
	m, _ = m.Update(Tested{Progress: progressWith("2A")})
	require.Contains(t, text(m, Screen{}), "2A passed under go test")
	require.Contains(t, text(m, Screen{}), "1/3")
	require.NotContains(t, text(m, Screen{}), "2A\n")
	m, _ = press(m, "x")
	m, _ = m.Update(Tested{Progress: progressWith("2A")})
	require.NotContains(t, text(m, Screen{}), "under go test", "nothing new")
}
