package grade

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/report"
)

// Tests that share a process have the results that each has alone, whatever a student's code does in one of them.
func TestTogetherAsAlone(t *testing.T) {
	t.Parallel()
	c := smallCourse(t)
	g, err := New(t.Context(), c, Options{Jobs: 1}) // so that the first two tests are one batch
	require.NoError(t, err)
	defer g.Close()
	selected, err := c.Select("01")
	require.NoError(t, err)
	for _, tc := range []struct{ name, does, first, second string }{
		{"all is right", "", passes, passes},
		{"the first is wrong", `if s != "" { s = "?" }`, "Echo(", passes},
		{"the second is wrong", `if s == "" { s = "?" }`, passes, "Echo of nothing"},
		{"both are wrong", `s = "?"`, "Echo(", "Echo of nothing"},
		{"the second panics", `if s == "" { panic("empty") }`, passes, "panics: empty"},
		{"the second waits", `if s == "" { time.Sleep(day) }`, passes, "after 1s"},
		{"the second races", `if s == "" { n := 0; done := make(chan bool); go func() { n++; close(done) }(); n++; <-done }`, passes, "race"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			echo := "package echo\n\nimport \"time\"\n\nconst day = 24 * time.Hour\n\nfunc Echo(s string) string {\n\t" + tc.does + "\n\treturn s\n}\n"
			require.NoError(t, os.WriteFile(filepath.Join(c.Root, "solutions", "01-echo", "echo.go"), []byte(echo), 0o666))
			grade := func(together bool) result.Lab {
				run := Run{Timeout: time.Second, Together: together, Plain: !strings.Contains(tc.name, "race")}
				graded, err := g.Grade(t.Context(), submission.Source{Kind: course.Solution}, selected, run)
				require.NoError(t, err)
				require.Empty(t, graded.Labs[0].Refused, "%v", graded.Labs[0].Compile)
				return graded.Labs[0]
			}
			alone, together := grade(false), grade(true)
			times := cmpopts.IgnoreFields(result.Test{}, "Real")
			output := cmpopts.IgnoreFields(report.Failure{}, "Notes", "Seen") // stacks have addresses and times
			require.Empty(t, cmp.Diff(alone, together, times, output))
			tests := together.Parts[0].Tests
			for i, want := range []string{tc.first, tc.second} {
				if want == passes {
					require.Equal(t, report.Pass, tests[i].Status, "%+v", tests[i])
					continue
				}
				require.Equal(t, report.Fail, tests[i].Status)
				require.Contains(t, strings.ToLower(tests[i].Failures[0].Text()), strings.ToLower(want))
			}
		})
	}
}

const passes = "" // it passes

// smallCourse is a copy of the grader's own course, which the test may change.
func smallCourse(t *testing.T) *course.Course {
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(dir))
	c, err := course.Load(dir)
	require.NoError(t, err)
	return c
}

// A batch is a part of what is left, and one test once a test has failed. What is put back comes first.
func TestQueue(t *testing.T) {
	tests := make([]*result.Test, 10)
	for i := range tests {
		tests[i] = &result.Test{}
	}
	q := &queue{share: 4, tests: tests}
	require.Len(t, q.take(), 3)
	require.Len(t, q.take(), 2)
	batch := q.take()
	require.Equal(t, tests[5:7], batch)
	q.putBack(batch[1:])
	for i := 6; i < 10; i++ {
		require.Equal(t, tests[i:i+1], q.take())
	}
	require.Empty(t, q.take())
}
