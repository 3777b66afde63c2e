package grade

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
)

// Held is what was read of a submission, by lab: the selected labs and those
// that they build on. It is all that grading needs of it.
type Held map[string]Files

// Hold reads the permitted files of a submission's folder. The error is about
// this machine; whatever is wrong with the submission is in Held.
func (g *Grader) Hold(dir string, selected []course.Selected) (Held, error) {
	held := Held{}
	for _, s := range selected {
		for _, lab := range g.needs(s.Lab) {
			files, err := readSubmission(dir, selected, lab)
			if err != nil {
				return nil, err
			}
			held[lab.ID] = files
		}
	}
	return held, nil
}

// Permits lists the names of the files that a submission may have for the
// selected labs and those that they build on.
func (g *Grader) Permits(selected []course.Selected) []string {
	var names []string
	for _, s := range selected {
		for _, lab := range g.needs(s.Lab) {
			names = append(names, lab.Files()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Empty reports whether the submission has no file of any lab.
func (h Held) Empty() bool {
	for _, files := range h {
		if !files.Absent {
			return false
		}
	}
	return true
}

// Hash is the SHA-256 of the permitted files, hexadecimal.
func (h Held) Hash() string { return h.sum(false) }

// Key is the SHA-256 of all that a result can depend on: also what is said of
// files that were ignored or refused.
func (h Held) Key() string { return h.sum(true) }

func (h Held) sum(all bool) string {
	// Every string is written with its length, so that no two lists of files are written alike.
	sum := sha256.New()
	write := func(parts ...string) {
		for _, p := range parts {
			fmt.Fprintf(sum, "%d:%s\n", len(p), p)
		}
	}
	for _, lab := range slices.Sorted(maps.Keys(h)) {
		files := h[lab]
		for _, name := range slices.Sorted(maps.Keys(files.Text)) {
			write(lab, name, string(files.Text[name]))
		}
		if all {
			write(append([]string{"said", files.Refused}, files.Notes...)...)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Ungraded is the result of a submission that could not be graded at all; why
// is one sentence.
func (g *Grader) Ungraded(src Source, selected []course.Selected, why string) *Result {
	r := newResult(g.tools.Version, src, selected)
	r.Isolation, r.Barriers = g.box.Level, g.box.Barriers
	r.Ungraded = plain(why)
	r.score()
	return r
}

// GoVersion is the version of the Go toolchain that builds.
func (g *Grader) GoVersion() string { return g.tools.Version }

// Jobs is how many processes run at a time.
func (g *Grader) Jobs() int { return g.jobs }

// Scratch makes a folder that is gone when the grader is closed, if not before.
func (g *Grader) Scratch() (string, error) {
	dir, err := os.MkdirTemp(g.scratch, "held-")
	if err != nil {
		return "", fmt.Errorf("grade: %w", err)
	}
	return dir, nil
}

// Stubs is a submission without a file: every lab is graded as it is handed out.
func Stubs() Source { return Source{Kind: Submission, Held: Held{}} }

// Warm builds the labs as they are handed out, so that a checkout that
// does not build is found before a whole class is graded, and so that the many
// builds that follow find all that they share in the build cache. It returns a
// hash of what every grade depends on besides the submission: tests, harness,
// network, stubs, the labs built on (see Source.Base) and the grader's own sources.
func (g *Grader) Warm(ctx context.Context, selected []course.Selected, base SourceKind) (hash string, err error) {
	src := Stubs()
	src.Base = base
	w, err := g.assemble(src, selected)
	if err != nil {
		return "", err
	}
	defer w.remove()
	for _, s := range selected {
		p := w.labs[s.Lab.ID]
		g.tell(Progress{Stage: StageBuild, Lab: s.Lab.ID})
		if err := w.build(ctx, p); err != nil {
			return "", err
		}
		if p.refused != "" {
			return "", fmt.Errorf("grade: %s of this checkout %s", s.Lab.ID, p.refused)
		}
	}
	sum := sha256.New()
	any := func(string) bool { return true }
	if err := hashTree(sum, w.course, any); err != nil {
		return "", fmt.Errorf("grade: %w", err)
	}
	for _, ours := range []string{"grading/grade", "grading/course"} {
		if err := hashTree(sum, filepath.Join(g.course.Root, "internal", filepath.FromSlash(ours)), func(name string) bool { return !isTest(name) }); err != nil {
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

func joinSeeds(seeds []uint64) string {
	text := make([]string, len(seeds))
	for i, seed := range seeds {
		text[i] = strconv.FormatUint(seed, 10)
	}
	return strings.Join(text, ",")
}
