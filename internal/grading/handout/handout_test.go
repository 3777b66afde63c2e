package handout

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/rotation"
)

// A real lab's handout builds and tests on its own: the stubs fail, the reference copied over them
// passes; nothing of any solution is in it, and its go.mod is tidy.
func TestHandoutStandsAlone(t *testing.T) {
	rotation.Turn(t, 0, 2)
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("02")
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "handout")
	made, err := Make(context.Background(), c, Options{Out: out, Labs: []course.Lab{selected[0].Lab}})
	require.NoError(t, err)
	require.Len(t, made.Labs, 1)

	texts := map[string]bool{} // every reference that is no stub
	for _, lab := range c.Labs {
		for _, name := range lab.Files() {
			reference := read(t, filepath.Join(root, lab.SolutionDir(), name))
			if !bytes.Equal(reference, read(t, filepath.Join(root, (&maker{root: root}).stubsOf(lab), name))) {
				texts[string(reference)] = true
			}
		}
	}
	require.NotEmpty(t, texts)
	require.NoError(t, filepath.WalkDir(out, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if strings.HasSuffix(filepath.ToSlash(path), "internal/grading/newlab/template") {
			return fs.SkipDir // the template of a new lab, which is in the command: no lab's reference
		}
		require.NotContains(t, []string{"solutions", "mutants", ".labs", ".git"}, e.Name())
		if !e.IsDir() {
			require.NotEqual(t, ".patch", filepath.Ext(path))
			require.False(t, texts[string(read(t, path))], "%s is a reference", path)
		}
		return nil
	}))

	lab := selected[0].Lab
	test := lab.Tests()[0].Name
	run := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = out, append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off") // what the grader has built is then in the build cache
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	text, err := run("test", "-race", "-run", "^"+test+"$", "./"+lab.Dir())
	require.Error(t, err)
	require.Contains(t, text, "--- FAIL: "+test)
	for _, name := range lab.Files() {
		require.NoError(t, os.WriteFile(filepath.Join(out, lab.Dir(), name), read(t, filepath.Join(root, lab.SolutionDir(), name)), 0o666))
	}
	text, err = run("test", "-race", "-run", "^"+test+"$", "./"+lab.Dir())
	require.NoError(t, err, text)
	// The page's commands are for someone who has just begun.
	for _, name := range lab.Files() {
		require.NoError(t, os.WriteFile(filepath.Join(out, lab.Dir(), name), read(t, filepath.Join(root, lab.StubDir(), name)), 0o666))
	}
	text, err = run("mod", "tidy", "-diff")
	require.NoError(t, err, text)
	grade := filepath.Join(t.TempDir(), "grade")
	text, err = run("build", "-o", grade, "./"+command)
	require.NoError(t, err, text)
	tryCommands(t, out, grade)
}

func read(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}
