package grade

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// sources are the packages of this wing that decide a grade: this one and all that it is built on.
var sources = []string{"course", "filelock", "gate", "grade", "plain", "result", "sandbox", "submission", "tidy", "workspace"}

// Warm builds the labs as they are handed out, so that a checkout that
// does not build is found before a whole class is graded, and so that the many
// builds that follow find all that they share in the build cache. It returns a
// hash of what every grade depends on besides the submission: tests, harness,
// network, stubs, the labs built on (see submission.Source) and the grader's own sources.
func (g *Grader) Warm(ctx context.Context, selected []course.Selected, base course.Origin) (hash string, err error) {
	src := submission.Stubs()
	src.Base = base
	w, err := g.builder.Assemble(src, selected)
	if err != nil {
		return "", err
	}
	defer w.Remove()
	for _, s := range selected {
		r, err := g.Build(ctx, w, s.Lab.ID, "")
		if err != nil {
			return "", err
		}
		if why := r.Refused(); why != "" {
			return "", fmt.Errorf("grade: %s of this checkout %s", s.Lab.ID, why)
		}
	}
	sum := sha256.New()
	if err := hashTree(sum, w.Root, func(string) bool { return true }); err != nil {
		return "", fmt.Errorf("grade: %w", err)
	}
	for _, name := range sources {
		dir := filepath.Join(g.builder.Course().Root, "internal", "grading", name)
		if err := hashTree(sum, dir, func(name string) bool { return !course.IsTest(name) }); err != nil {
			return "", fmt.Errorf("grade: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// hashTree writes the names and texts of the files below dir that keep wants;
// a folder that is not there has none. Pages for people change no grade.
func hashTree(sum io.Writer, dir string, keep func(name string) bool) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir && os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "testdata" && !keep("_test.go"):
			return filepath.SkipDir
		case !e.Type().IsRegular() || strings.HasSuffix(e.Name(), ".md") || !keep(e.Name()):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		_, err = fmt.Fprintf(sum, "%d:%s\n%d:%s\n", len(name), filepath.ToSlash(name), len(text), text)
		return err
	})
}
