package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// maxStandIns is how often a build is repeated with stubs in place of files that do not compile.
const maxStandIns = 4

// standIn puts the stubs in place of the submission's files in which the compiler found errors, and notes it: so a
// mistake in one file costs what that file is for, and not the whole lab. Where the compiler found errors only in the
// tests, they use something that a file no longer declares as it was handed out: that file is at fault. standIn reports
// whether the lab is to be built again: not if every file that the submission has would be a stub.
func (w *Workspace) standIn(p *Lab) (bool, error) {
	if p.standIns >= maxStandIns {
		return false, nil
	}
	p.standIns++
	broken := p.broken()
	if len(broken) == 0 {
		var err error
		if broken, err = w.departing(p); err != nil {
			return false, err
		}
	}
	left := 0
	for name, own := range p.own {
		if own && broken[name] == "" {
			left++
		}
	}
	if len(broken) == 0 || left == 0 {
		return false, nil
	}
	stubs := p.stubs()
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		text, err := w.stub(p.Lab, name)
		if err == nil {
			err = w.write(p.ID, map[string][]byte{name: text})
		}
		if err != nil {
			return false, fmt.Errorf("workspace: %w", err)
		}
		p.own[name] = false
		p.Notes = append(p.Notes, fmt.Sprintf("%s is graded as the stub: %s%s", name, stubs, broken[name]))
	}
	return true, nil
}

// broken are the submission's files in which the compiler found errors, each with a sentence.
func (p *Lab) broken() map[string]string {
	broken := map[string]string{}
	for _, line := range p.Compile {
		at, _, _ := strings.Cut(line, ":")
		name, ok := strings.CutPrefix(filepath.ToSlash(at), p.Dir()+"/")
		if ok && p.own[name] && broken[name] == "" {
			broken[name] = "it does not compile: " + line
		}
	}
	return broken
}

// stubs says of which files the stubs are already in place, as the beginning of a sentence: what does not compile now
// may need what was declared there. It is empty if there are none.
func (p *Lab) stubs() string {
	var names []string
	for name, own := range p.own {
		if !own {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "with the stub of " + strings.Join(names, ", ") + ", "
}

// departing are the submission's files that lack a declaration of their stub's which others may use, each with a sentence.
func (w *Workspace) departing(p *Lab) (map[string]string, error) {
	has := map[string]bool{}
	for name := range p.own {
		text, err := os.ReadFile(filepath.Join(w.Root, filepath.FromSlash(p.Dir()), name))
		if err != nil {
			return nil, fmt.Errorf("workspace: %w", err)
		}
		for _, d := range declarations(text) {
			has[d] = true
		}
	}
	departing := map[string]string{}
	for name, own := range p.own {
		if !own {
			continue
		}
		text, err := w.stub(p.Lab, name)
		if err != nil {
			return nil, fmt.Errorf("workspace: %w", err)
		}
		for _, d := range declarations(text) {
			if !has[d] && departing[name] == "" {
				departing[name] = fmt.Sprintf("it lacks %s, which the tests use: %s", d, p.Compile[0])
			}
		}
	}
	return departing, nil
}

// stub reads a file of a lab as it is handed out.
func (w *Workspace) stub(lab course.Lab, name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(w.b.course.Root, filepath.FromSlash(lab.StubDir()), name))
	if errors.Is(err, fs.ErrNotExist) { // this course keeps none: labs/ has them
		return os.ReadFile(filepath.Join(w.b.course.Root, filepath.FromSlash(lab.Dir()), name))
	}
	return text, err
}
