package main

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/submission"
)

// A soak that is interrupted tells of the tests that had run all seeds, and of no other.
func TestInterruptedSoak(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(dir))
	hand(t, filepath.Join(dir, "solutions", "01-echo", "shout.go"), "package echo\n\nfunc Shout(string) string { select {} }\n")
	c, err := course.Load(dir)
	require.NoError(t, err)
	selected, err := c.Select("01")
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	g, err := grade.New(t.Context(), c, grade.Options{Progress: func(p grade.Progress) {
		if p.Stage == grade.StageTested && p.Test == "TestEchoes1A" {
			interrupt()
		}
	}})
	require.NoError(t, err)
	defer g.Close()
	run := grade.Run{Seeds: 2, Timeout: time.Hour, Plain: true}
	soaks, err := prove.New(g).RunSoak(ctx, submission.Source{Kind: course.Solution}, course.Named(selected, regexp.MustCompile("Echoes|Shouts")), run, []int{1, 2})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, soaks, 1)
	require.Equal(t, "TestEchoes1A", soaks[0].Test.Name)
	require.True(t, soaks[0].Clean(2), soaks[0])
}
