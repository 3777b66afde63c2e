package solutions

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/rotation"
)

// A submission of all labs that are solved has full marks, each lab built on the submission's own labs before it, as grade batch does it:
// all in one workspace, several at a time, after the course as it was handed out. A lab of which one file does not compile has the points
// of the other files. The grader's own small course has few imports, and no lab on which two others are built.
func TestClassOfReferences(t *testing.T) {
	rotation.Turn(t, 0, 2, "internal/grading/workspace", "internal/grading/gate")
	t.Setenv(workspace.BinariesEnv, "") // what another test built from the same files hides how these are built
	whole, err := labs.Select()
	require.NoError(t, err)
	_, err = grader.Warm(t.Context(), whole, "")
	require.NoError(t, err)

	handedIn := t.TempDir()
	for _, s := range whole {
		handIn(t, handedIn, s.Lab)
	}
	graded, err := grader.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: handedIn}, whole, grade.Run{Seeds: 1, Plain: true, Together: true})
	require.NoError(t, err)
	require.Len(t, graded.Labs, len(whole))
	for i, lab := range graded.Labs {
		require.Empty(t, lab.Refused, "%s: %v", whole[i].Lab.ID, lab.Compile)
		require.Equal(t, lab.Max, lab.Points, whole[i].Lab.ID)
	}

	part, err := labs.Select("2A")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(handedIn, filepath.FromSlash(part[0].Lab.Dir()), "phi.go"), []byte("package detector\n\nvar x int = \"\"\n"), 0o666))
	graded, err = grader.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: handedIn}, part, grade.Run{Seeds: 1, Plain: true, Together: true})
	require.NoError(t, err)
	require.Empty(t, graded.Labs[0].Refused, "%v", graded.Labs[0].Compile)
	require.Contains(t, graded.Labs[0].Notes[0], "phi.go is graded as the stub: it does not compile: labs/02-failure-detection/phi.go:3:13: ")
	require.Equal(t, part[0].Parts[0].Points, graded.Labs[0].Parts[0].Points)
}

// handIn copies a lab's reference to where a submission has it.
func handIn(t *testing.T, to string, lab course.Lab) {
	dir := filepath.Join(to, filepath.FromSlash(lab.Dir()))
	require.NoError(t, os.MkdirAll(dir, 0o777))
	for _, name := range lab.Files() {
		text, err := os.ReadFile(filepath.Join(labs.Root, "solutions", lab.ID, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o666))
	}
}
