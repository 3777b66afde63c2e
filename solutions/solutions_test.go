// Package solutions holds the course to its own promises: every reference has
// full marks, every stub scores nothing, and known-wrong solutions die by
// the test that their headers name.
package solutions

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/rotation"
)

// grader is shared by all tests, so that together they run no more processes
// than the machine has cores.
var (
	labs   *course.Course
	grader *grade.Grader
	prover *prove.Prover
)

func TestMain(m *testing.M) { os.Exit(gradetest.Fast(tests{m})) }

type tests struct{ *testing.M }

func (t tests) Run() int {
	root, err := course.Root(".")
	if err == nil {
		labs, err = course.Load(root)
	}
	if err == nil {
		grader, err = grade.New(context.Background(), labs, grade.Options{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer grader.Close()
	prover = prove.New(grader)
	return t.M.Run()
}

// The reference of every lab has full marks. One lab a day runs with the race detector (package rotation), which takes it four times as
// long; whoever changes a lab runs it with it, as its students do, and so does the night.
func TestReferencesHaveFullMarks(t *testing.T) {
	forEachLab(t, func(t *testing.T, s course.Selected) {
		requireFullMarks(t, s, submission.Source{Kind: course.Solution}, grade.Run{Together: true, Plain: !rotation.Today(numberOf(s.Lab), len(labs.Labs))})
	})
}

// numberOf is the place of a lab in the course, from 0.
func numberOf(lab course.Lab) int {
	return slices.IndexFunc(labs.Labs, func(l course.Lab) bool { return l.ID == lab.ID })
}

func requireFullMarks(t *testing.T, s course.Selected, src submission.Source, run grade.Run) {
	lab, points := gradeLab(t, src, s, run), 0
	for _, part := range s.Parts {
		points += part.Points
	}
	require.Positive(t, points)
	require.Equal(t, points, lab.Max)
	for _, part := range lab.Parts {
		for _, test := range part.Tests {
			if test.Points != test.Max {
				t.Errorf("%s: %s\n%s", test.Name, test.Status, explain(test))
			}
		}
	}
}

// Two runs of the reference with one seed are the same run. Each day has one of the labs (package rotation), without the race detector, which would
// take five times as long; the night soaks with it.
func TestReferencesReplay(t *testing.T) {
	const seeds = 4
	selected, err := labs.Select()
	require.NoError(t, err)
	for i, s := range selected {
		if !rotation.Today(i, len(selected)) {
			continue
		}
		t.Run(s.Lab.ID, func(t *testing.T) {
			t.Parallel()
			soaks, err := prover.RunSoak(t.Context(), submission.Source{Kind: course.Solution}, []course.Selected{s}, grade.Run{Seeds: seeds, Plain: true}, []int{1})
			require.NoError(t, err)
			for _, soak := range soaks {
				require.Equal(t, seeds, soak.Test.Seeds, "%s: %s", soak.Test.Name, soak.Test.Skipped)
				if len(soak.Test.Failed)+len(soak.Test.Diverged) > 0 {
					t.Errorf("%s: seeds %v failed, seeds %v were not the same a second time\n%s", soak.Test.Name, soak.Test.Failed, soak.Test.Diverged, explain(soak.Test))
				}
			}
		})
	}
}

// Other correct solutions, of other designs than the reference's, have full marks too: the tests demand what
// the handout says, and not what the reference happens to do. A patch is graded in the parts that it changes. Each day has a twenty-eighth of
// them (package rotation). One of them, in one lab a day, runs with the race detector, and the others without: most are patches, which share
// most of the reference's code.
func TestAlternativesHaveFullMarks(t *testing.T) {
	forEachLab(t, func(t *testing.T, s course.Selected) {
		all, err := prove.Alternatives(labs, s.Lab)
		require.NoError(t, err)
		if len(all) == 0 {
			t.Skip("this lab has no alternative")
		}
		first := rotation.Today(numberOf(s.Lab), len(labs.Labs))
		for i, a := range all {
			if !rotation.Today(i, rotation.FourWeeks) {
				continue
			}
			raced := first
			first = false
			t.Run(a.Name, func(t *testing.T) {
				t.Parallel()
				requireFullMarks(t, a.In(s), a.Source, grade.Run{Plain: !raced, Together: true})
			})
		}
	})
}

// The stubs compile, run to the end of every test, and score nothing: those of a lab that builds on another one, on its
// stubs and on its reference. They are read from where the lab keeps them
// pristine, so that this holds in the checkout of someone who has solved a part, too. Each day has half of the labs (package rotation).
func TestStubsScoreNothing(t *testing.T) {
	forEachLab(t, func(t *testing.T, s course.Selected) {
		rotation.Turn(t, numberOf(s.Lab), 2)
		stubs := filepath.Join(labs.Root, filepath.FromSlash(s.Lab.StubDir()))
		for _, name := range s.Lab.Files() {
			require.FileExists(t, filepath.Join(stubs, name), "copy the stub here, so that grade reset can restore it")
		}
		run := grade.Run{Plain: true, Silent: true}
		parts := gradeLab(t, submission.Source{Kind: course.Submission, Path: stubs}, s, run).Parts
		if len(s.Lab.Imports) > 0 {
			parts = append(parts, gradeLab(t, submission.Source{Kind: course.Submission, Path: stubs, Base: course.Solution}, s, run).Parts...)
		}
		for _, part := range parts {
			for _, test := range part.Tests {
				if test.Points != 0 {
					t.Errorf("%s gives a stub %d points", test.Name, test.Points)
				} else if !test.FindsWrong() {
					t.Errorf("%s does not find the stub wrong: %s\n%s", test.Name, test.Status, explain(test))
				}
			}
		}
	})
}

// forEachLab runs a parallel subtest for every lab.
func forEachLab(t *testing.T, test func(t *testing.T, s course.Selected)) {
	selected, err := labs.Select()
	require.NoError(t, err)
	for _, s := range selected {
		t.Run(s.Lab.ID, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func gradeLab(t *testing.T, src submission.Source, s course.Selected, run grade.Run) result.Lab {
	graded, err := grader.Grade(t.Context(), src, []course.Selected{s}, run)
	require.NoError(t, err)
	lab := graded.Labs[0]
	require.Empty(t, lab.Refused, "%v", lab.Compile)
	return lab
}

// explain is the first failure of a test in full.
func explain(t result.Test) string {
	if len(t.Failures) == 0 {
		return t.Skipped
	}
	return t.Failures[0].Text()
}
