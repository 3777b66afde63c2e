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

// Mutant is one wrong idea: a patch against one file of a lab's reference.
type Mutant struct {
	Name   string   // the patch's name without .patch
	Lab    string   // id of the lab
	Wrong  string   // what is wrong, as the header says it
	DiesBy string   // the test that must notice
	Breaks []string // the clauses of the lab's rules that it breaks: 12a
	File   string   // the file of the reference that it changes

	patch *gitdiff.File
}

// Part is the id of the part whose test must notice the mutant.
func (m Mutant) Part(lab course.Lab) string {
	for _, p := range lab.Parts {
		if slices.ContainsFunc(p.Tests, func(t course.Test) bool { return t.Name == m.DiesBy }) {
			return p.ID
		}
	}
	return ""
}

var diesBy = regexp.MustCompile(`(?m)^dies by: *(\S+)[ \t]*$`)

// breaks names the clauses of rules.yaml that a mutant breaks: "breaks: 12a, 14".
var breaks = regexp.MustCompile(`(?m)^breaks: *([0-9a-z, ]+?)[ \t]*$`)

// Mutants reads the patches of a lab in the order of their names. Every patch
// must have a header and apply to the reference exactly.
func Mutants(c *course.Course, lab course.Lab) ([]Mutant, error) {
	dir := lab.SolutionDir() + "/mutants"
	entries, err := os.ReadDir(filepath.Join(c.Root, filepath.FromSlash(dir)))
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("prove: %w", err)
	}
	var mutants []Mutant
	for _, e := range entries {
		name, isPatch := strings.CutSuffix(e.Name(), ".patch")
		if !isPatch {
			continue
		}
		m, err := readMutant(c, lab, name)
		if err != nil {
			return nil, fmt.Errorf("prove: %s/%s: %w", dir, e.Name(), err)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
}

func readMutant(c *course.Course, lab course.Lab, name string) (Mutant, error) {
	solution := filepath.Join(c.Root, filepath.FromSlash(lab.SolutionDir()))
	text, err := os.ReadFile(filepath.Join(solution, "mutants", name+".patch"))
	if err != nil {
		return Mutant{}, err
	}
	m, err := parseMutant(lab, name, text)
	if err != nil {
		return Mutant{}, err
	}
	reference, err := os.ReadFile(filepath.Join(solution, m.File))
	if err != nil {
		return Mutant{}, err
	}
	_, err = m.apply(reference)
	return m, err
}

// listed splits a list of a patch's header: "12a, 14".
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// parseMutant reads a patch with its header.
func parseMutant(lab course.Lab, name string, text []byte) (Mutant, error) {
	files, header, err := gitdiff.Parse(bytes.NewReader(text))
	if err != nil {
		return Mutant{}, fmt.Errorf("is not a unified diff: %w", err)
	}
	m := Mutant{Name: name, Lab: lab.ID}
	match := diesBy.FindAllStringSubmatch(header, -1)
	for _, clauses := range breaks.FindAllStringSubmatch(header, -1) {
		m.Breaks = append(m.Breaks, listed(clauses[1])...)
	}
	m.Wrong = strings.Join(strings.Fields(breaks.ReplaceAllString(diesBy.ReplaceAllString(header, ""), "")), " ")
	switch {
	case m.Wrong == "":
		return Mutant{}, fmt.Errorf("has no header that says what is wrong")
	case len(match) != 1:
		return Mutant{}, fmt.Errorf("has %d lines of the form \"dies by: TestName\", want 1", len(match))
	case len(files) != 1:
		return Mutant{}, fmt.Errorf("changes %d files, want 1: one fault, one file", len(files))
	}
	m.DiesBy, m.patch = match[0][1], files[0]
	if m.Part(lab) == "" {
		return Mutant{}, fmt.Errorf("dies by %s, which is no test of %s", m.DiesBy, lab.ID)
	}
	m.File = path.Base(m.patch.NewName)
	full := lab.SolutionDir() + "/" + m.File
	if m.patch.IsNew || m.patch.IsDelete || m.patch.IsRename || m.patch.IsBinary ||
		m.patch.OldName != full || m.patch.NewName != full || !slices.Contains(lab.Files(), m.File) {
		return Mutant{}, fmt.Errorf("does not change one of the reference's files: %q to %q, want for example %s/%s",
			m.patch.OldName, m.patch.NewName, lab.SolutionDir(), lab.Files()[0])
	}
	return m, nil
}

// Source is the reference with the mutant in it. The error says that the patch does not apply, or that
// this checkout lacks a file of the reference.
func (m Mutant) Source(c *course.Course) (submission.Source, error) {
	whole, err := c.Select(m.Lab)
	if err != nil {
		return submission.Source{}, err
	}
	held := submission.Held{}
	for _, lab := range c.Needs(whole[0].Lab) {
		if held[lab.ID], err = (submission.Source{Kind: course.Solution}).Read(c, whole, lab); err != nil {
			return submission.Source{}, err
		}
	}
	files := held[m.Lab].Text
	files[m.File], err = m.apply(files[m.File])
	return submission.Source{Kind: course.Mutant, Path: m.Lab + "/" + m.Name, Held: held}, err
}

// apply returns the reference's file with the patch applied, exactly or not at all.
func (m Mutant) apply(reference []byte) ([]byte, error) {
	return applyPatch(m.patch, reference)
}

// applyPatch returns a file with a patch applied, exactly or not at all.
func applyPatch(patch *gitdiff.File, file []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := gitdiff.Apply(&out, bytes.NewReader(file), patch); err != nil {
		return nil, fmt.Errorf("does not apply to the reference any more: %w", err)
	}
	if bytes.Equal(out.Bytes(), file) {
		return nil, errors.New("changes nothing")
	}
	return out.Bytes(), nil
}
