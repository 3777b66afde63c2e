package newlab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/selfcheck"
)

// What the template makes is a lab that keeps every promise.
func TestTemplatePassesSelfcheck(t *testing.T) {
	root := copyOfCourse(t)
	c, err := course.Load(root)
	require.NoError(t, err)
	lab, err := New("08-key-range")
	require.NoError(t, err)
	require.Equal(t, Lab{ID: "08-key-range", Number: "8", Part: "8A", Title: "Key range", Package: "keyrange"}, lab)
	names, err := Write(c, lab)
	require.NoError(t, err)
	require.Contains(t, names, "labs/08-key-range/.stub/server.go")

	c, err = course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("08")
	require.NoError(t, err)
	g, err := grade.New(t.Context(), c, grade.Options{})
	require.NoError(t, err)
	defer g.Close()
	count := 0
	require.NoError(t, selfcheck.Run(t.Context(), selfcheck.Options{Course: c, Grader: g, Labs: selected, Mutants: -1, Each: func(check selfcheck.Check) {
		count++
		require.Empty(t, check.Problems, check.Promise)
	}}))
	require.Greater(t, count, 4)

	_, err = Write(c, lab)
	require.EqualError(t, err, "newlab: lab 08 is labs/08-key-range already: choose another number")
}

// copyOfCourse is a course without labs, with what a lab is built from.
func copyOfCourse(t *testing.T) string {
	root := t.TempDir()
	for _, dir := range []string{"labrpc", "internal/harness", "labs/02-failure-detection", "solutions/02-failure-detection"} {
		require.NoError(t, os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("../../..", dir))))
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../../..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(root, name), text, 0o666))
	}
	return root
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "8-sharding", "08", "08-Sharding", "00-zero", "08-sharding/..", "08_sharding"} {
		_, err := New(name)
		require.EqualError(t, err, `newlab: "`+name+`" is not the name of a lab: want one like 08-sharding`)
	}
}
