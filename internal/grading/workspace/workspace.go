package workspace

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/tidy"
)

// Workspace is a scratch copy of the course with a source copied over it: the
// only place in which a source is built and run.
//
// Files are copied, never linked: a test could write through a link.
type Workspace struct {
	Root  string // the copy's root
	View  string // an empty folder, for the launcher of confined processes
	Plain bool   // build without the race detector: to search, not to judge

	// Unchecked leaves out the checks of unsafe pointers that come with the race detector. Submissions have no such pointers,
	// and the checks take a seventh of the time, but the first build compiles the standard library once more, for a minute.
	Unchecked bool

	b    *Builder
	dir  string // holds Root, View and whatever is made here
	labs map[string]*Lab
}

// Lab is one lab of a workspace.
type Lab struct {
	course.Lab
	Base    []Base   // the labs that it is built on
	Notes   []string // what was ignored or is missing, a sentence each
	Refused string   // why nothing of it can be run: one sentence; "" if it can
	Compile []string // the compiler's errors, when that is why
	Binary  string   // the test binary; "" until it is built

	built options // how Binary was built
	check bool    // it is a student's: the gate reads it with types too
	read  bool    // it is a student's: the go command's list of it is read

	own      map[string]bool // of a submission: its files that are in place; nil of any other source
	standIns int             // how often stubs were put in place of some
}

// Base says where a lab came from that another was built on.
type Base struct {
	Lab  string // its id
	Kind course.Origin
}

// Lab is the selected lab of that id.
func (w *Workspace) Lab(id string) *Lab { return w.labs[id] }

// Assemble copies the course, reads the source's files for the selected labs,
// passes them through the gate, and lays them over the copy.
func (b *Builder) Assemble(src submission.Source, selected []course.Selected) (*Workspace, error) {
	return b.assembleSome(src, selected, selected)
}

// AssembleEach returns the workspace of each selected lab. One serves all, unless the labs
// that others build on are not the source's own: the same lab would have to be there twice.
func (b *Builder) AssembleEach(src submission.Source, selected []course.Selected) (each []*Workspace, remove func(), err error) {
	var made []*Workspace
	remove = func() {
		for _, w := range made {
			w.Remove()
		}
	}
	groups, apart := [][]course.Selected{nil}, make([]int, len(selected)) // apart: the group of each lab
	for i, s := range selected {
		if src.Base != "" && len(b.course.Needs(s.Lab)) > 1 {
			groups, apart[i] = append(groups, []course.Selected{s}), len(groups)
		} else {
			groups[0] = append(groups[0], s)
		}
	}
	for _, group := range groups {
		var w *Workspace
		if len(group) > 0 {
			if w, err = b.assembleSome(src, selected, group); err != nil {
				remove()
				return nil, nil, err
			}
		}
		made = append(made, w)
	}
	for _, at := range apart {
		each = append(each, made[at])
	}
	return each, remove, nil
}

// assembleSome is Assemble for some of the selected labs.
func (b *Builder) assembleSome(src submission.Source, selected, some []course.Selected) (*Workspace, error) {
	dir, err := b.scratch.Folder("work-")
	if err != nil {
		return nil, err
	}
	w := &Workspace{b: b, dir: dir, Root: filepath.Join(dir, "course"), View: filepath.Join(dir, "view"), labs: map[string]*Lab{}}
	err = w.fill(src, selected, some)
	if err == nil && b.box.OtherUsers() {
		err = w.share()
	}
	if err != nil {
		w.Remove()
		return nil, err
	}
	return w, nil
}

// share lets the users of the tests' processes read the copy of the course, whatever this user's umask is.
func (w *Workspace) share() error {
	if err := os.Chmod(w.dir, 0o711); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	return filepath.WalkDir(w.Root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}

func (w *Workspace) fill(src submission.Source, selected, some []course.Selected) error {
	for _, sub := range []string{"tmp", "view"} {
		if err := os.MkdirAll(filepath.Join(w.dir, sub), 0o777); err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
	}
	if err := newHome(filepath.Join(w.dir, "home")); err != nil {
		return err
	}
	labs := w.needs(some)
	if err := w.copyCourse(labs); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	if src.Kind == course.Submission {
		if err := w.stubs(labs); err != nil {
			return err
		}
	}
	for _, s := range some {
		foreign := src.Kind == course.Submission || src.Kind == course.WorkingTree
		p := &Lab{Lab: s.Lab, check: foreign && !w.b.open, read: foreign && !w.b.unread}
		w.labs[s.Lab.ID] = p
		for _, lab := range w.b.course.Needs(s.Lab) {
			if err := w.lay(src, selected, lab, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// needs lists the labs that the test binaries of some labs are built from, in the order of the course.
func (w *Workspace) needs(some []course.Selected) []course.Lab {
	needed := map[string]bool{}
	for _, s := range some {
		for _, lab := range w.b.course.Needs(s.Lab) {
			needed[lab.ID] = true
		}
	}
	var labs []course.Lab
	for _, lab := range w.b.course.Labs {
		if needed[lab.ID] {
			labs = append(labs, lab)
		}
	}
	return labs
}

// lay puts the source's files of a lab in place, for p: that lab itself or one
// that builds on it. p remembers what was ignored or refused.
func (w *Workspace) lay(src submission.Source, selected []course.Selected, lab course.Lab, p *Lab) error {
	if lab.ID != p.ID {
		src = src.Under()
		p.Base = append(p.Base, Base{Lab: lab.ID, Kind: src.Kind})
	}
	files, err := src.Read(w.b.course, selected, lab)
	if err != nil {
		return err
	}
	p.Notes = append(p.Notes, files.Notes...)
	if files.Absent && lab.ID != p.ID {
		p.Notes = append(p.Notes, fmt.Sprintf("%s builds on %s, which is not in the submission: its stubs are used", p.ID, lab.ID))
		p.Base[len(p.Base)-1].Kind = course.Stub
		return nil
	}
	refused := files.Refused
	if refused == "" && !w.b.open {
		refused = gate.Look(lab, files.Text)
	}
	if refused != "" {
		if p.Refused == "" {
			p.Refused = refused
		}
		return nil
	}
	if src.Kind == course.Submission && lab.ID == p.ID {
		p.own = map[string]bool{}
		for name := range files.Text {
			p.own[name] = true
		}
	}
	return w.write(lab.ID, files.Text)
}

// Own makes the folder in which one process may write, and no other's: it has home, tmp and traces in it.
func (w *Workspace) Own() (string, error) {
	own, err := os.MkdirTemp(w.dir, "own-")
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	for _, name := range []string{"home", "tmp", "traces"} {
		if err := os.Mkdir(filepath.Join(own, name), 0o777); err != nil {
			return "", fmt.Errorf("workspace: %w", err)
		}
	}
	return own, nil
}

// Put writes files of a lab into the copy, in place of those that are there.
func (w *Workspace) Put(lab *Lab, files map[string][]byte) error { return w.write(lab.ID, files) }

func (w *Workspace) write(lab string, files map[string][]byte) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.Root, "labs", lab, name), text, 0o666); err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
	}
	return nil
}

// Remove removes the workspace. A nil Workspace has nothing to remove.
func (w *Workspace) Remove() {
	if w != nil {
		_ = tidy.RemoveAll(w.dir) // what remains goes with the scratch folder, which tells
	}
}
