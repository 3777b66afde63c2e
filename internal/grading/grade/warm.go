package grade

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
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
	notPage := func(name string, _ fs.DirEntry) bool { return !strings.HasSuffix(name, ".md") } // pages for people change no grade
	if err := workspace.HashTree(sum, w.Root, notPage); err != nil {
		return "", fmt.Errorf("grade: %w", err)
	}
	for _, name := range sources {
		dir := filepath.Join(g.builder.Course().Root, "internal", "grading", name)
		if err := workspace.HashTree(sum, dir, decides); err != nil {
			return "", fmt.Errorf("grade: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// decides reports whether a file of the grader's sources, or something in a folder of theirs, may decide a grade.
func decides(name string, e fs.DirEntry) bool {
	if e.IsDir() {
		return e.Name() != "testdata"
	}
	return !strings.HasSuffix(name, ".md") && !course.IsTest(e.Name())
}
