package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxStandIns is how often a build is repeated with stubs in place of files that do not compile.
const maxStandIns = 4

// standIn puts the stubs in place of the submission's files in which the compiler found errors, and notes it: so a
// mistake in one file costs what that file is for, and not the whole lab. It reports whether the lab is to be built
// again: not if every file that the submission has would be a stub.
func (w *Workspace) standIn(p *Lab) (bool, error) {
	if p.standIns >= maxStandIns {
		return false, nil
	}
	p.standIns++
	var broken, notes []string
	for _, line := range p.Compile {
		at, _, _ := strings.Cut(line, ":")
		name, ok := strings.CutPrefix(filepath.ToSlash(at), p.Dir()+"/")
		if !ok || !p.own[name] || slices.Contains(broken, name) {
			continue
		}
		broken = append(broken, name)
		notes = append(notes, fmt.Sprintf("%s is graded as the stub: it does not compile: %s", name, line))
	}
	own := 0
	for _, mine := range p.own {
		if mine {
			own++
		}
	}
	if len(broken) == 0 || own == len(broken) {
		return false, nil
	}
	for _, name := range broken {
		stub := filepath.Join(w.b.course.Root, filepath.FromSlash(p.StubDir()), name)
		text, err := os.ReadFile(stub)
		if errors.Is(err, fs.ErrNotExist) { // this course keeps none: labs/ has them
			text, err = os.ReadFile(filepath.Join(w.b.course.Root, filepath.FromSlash(p.Dir()), name))
		}
		if err == nil {
			err = w.write(p.ID, map[string][]byte{name: text})
		}
		if err != nil {
			return false, fmt.Errorf("workspace: %w", err)
		}
		p.own[name] = false
	}
	p.Notes = append(p.Notes, notes...)
	return true, nil
}
