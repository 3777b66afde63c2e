package prove

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// Alternative is another correct solution of a lab, of a design that the tests must allow.
type Alternative struct {
	Name    string // alternative, or the patch's name without .patch
	Differs string // what is different, and why that is correct: the patch's header
	Patch   bool   // it is the reference with a patch, and not a folder of its own
	Source  submission.Source

	files []string // of a patch: those that it changes
	parts []string // of a patch: the ids that its header names; nil for all parts that are built from files
}

// inParts names the parts in which an alternative is to be graded, if it is correct in these only: "parts: 5A, 5B".
var inParts = regexp.MustCompile(`(?m)^parts: *(\S.*?)[ \t]*$`)

// In selects the parts of a lab that the alternative is to be graded in: of a patch those that its header names. If it names none, those that
// are built from a file which the patch changes, as lab.yaml has it: the others are the reference's.
func (a Alternative) In(s course.Selected) course.Selected {
	if !a.Patch {
		return s
	}
	s.Parts = slices.DeleteFunc(slices.Clone(s.Parts), func(p course.Part) bool {
		if a.parts != nil {
			return !slices.Contains(a.parts, p.ID)
		}
		return !slices.ContainsFunc(p.Files, func(file string) bool { return slices.Contains(a.files, file) })
	})
	return s
}

// Alternatives lists the other correct solutions of a lab: the folder solutions/<lab>/alternative, and the reference with each of
// solutions/<lab>/alternatives/*.patch. Every patch must have a header and apply to the reference exactly. Each is to be graded
// as a submission that is built on the reference's other labs.
func Alternatives(c *course.Course, lab course.Lab) ([]Alternative, error) {
	var all []Alternative
	folder := filepath.Join(c.Root, filepath.FromSlash(lab.SolutionDir()), "alternative")
	if _, err := os.Stat(folder); err == nil {
		all = append(all, Alternative{Name: "alternative", Source: submission.Source{Kind: course.Submission, Path: folder, Base: course.Solution}})
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("prove: %w", err)
	}
	dir := filepath.Join(c.Root, filepath.FromSlash(lab.SolutionDir()), "alternatives")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("prove: %w", err)
	}
	for _, e := range entries {
		name, isPatch := strings.CutSuffix(e.Name(), ".patch")
		if !isPatch {
			return nil, fmt.Errorf("prove: %s/alternatives/%s is not a patch: its name must end in .patch", lab.SolutionDir(), e.Name())
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("prove: %w", err)
		}
		a, err := readAlternative(c, lab, name, text)
		if err != nil {
			return nil, fmt.Errorf("prove: %s/alternatives/%s: %w", lab.SolutionDir(), e.Name(), err)
		}
		all = append(all, a)
	}
	return all, nil
}

// readAlternative applies a patch to the reference.
func readAlternative(c *course.Course, lab course.Lab, name string, text []byte) (Alternative, error) {
	files, header, err := gitdiff.Parse(bytes.NewReader(text))
	if err != nil {
		return Alternative{}, fmt.Errorf("is not a unified diff: %w", err)
	}
	a := Alternative{Name: name, Patch: true, Differs: strings.Join(strings.Fields(inParts.ReplaceAllString(header, "")), " ")}
	for _, line := range inParts.FindAllStringSubmatch(header, -1) {
		a.parts = append(a.parts, listed(line[1])...)
	}
	switch {
	case a.Differs == "":
		return a, errors.New("has no header that says what is different and why it is correct")
	case len(files) == 0:
		return a, errors.New("changes nothing")
	}
	for _, id := range a.parts {
		if !slices.ContainsFunc(lab.Parts, func(p course.Part) bool { return p.ID == id }) {
			return a, fmt.Errorf("is for part %q, which %s does not have", id, lab.ID)
		}
	}
	changed, err := (submission.Source{Kind: course.Solution}).Read(c, nil, lab)
	if err != nil {
		return a, err
	}
	for _, f := range files {
		file := path.Base(f.NewName)
		full := lab.SolutionDir() + "/" + file
		if f.IsNew || f.IsDelete || f.IsRename || f.IsBinary || f.OldName != full || f.NewName != full || !slices.Contains(lab.Files(), file) {
			return a, fmt.Errorf("does not change one of the reference's files: %q to %q, want for example %s/%s",
				f.OldName, f.NewName, lab.SolutionDir(), lab.Files()[0])
		}
		a.files = append(a.files, file)
		if changed.Text[file], err = applyPatch(f, changed.Text[file]); err != nil {
			return a, fmt.Errorf("%s: %w", file, err)
		}
	}
	a.Source = submission.Source{
		Kind: course.Submission, Path: lab.SolutionDir() + "/alternatives/" + name, Base: course.Solution,
		Held: submission.Held{lab.ID: changed},
	}
	return a, nil
}
