package grade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// buildLimit ends a build that hangs; the first one fills the build cache.
const buildLimit = 10 * time.Minute

// workspace is a scratch copy of the course with a source laid over it: the
// only place in which a source is built and run.
//
// Files are copied, never linked: a test could write through a link.
type workspace struct {
	g      *Grader
	dir    string
	course string // the copy's root, inside dir
	view   string // an empty folder, inside dir
	labs   map[string]*prepared
	plain  bool // build without the race detector: to search, not to judge
}

// prepared is one lab of a workspace.
type prepared struct {
	lab     course.Lab
	base    []BaseResult
	notes   []string
	refused string
	compile []string
	binary  string                         // "" until it is built
	hang    atomic.Pointer[report.Failure] // of a test's process that was stopped before any test began
}

// assemble copies the course, reads the source's files for the selected labs,
// passes them through the gate, and lays them over the copy.
func (g *Grader) assemble(src Source, selected []course.Selected) (*workspace, error) {
	return g.assembleSome(src, selected, selected)
}

// assembleEach returns the workspace of each selected lab. One serves all, unless the labs
// that others build on are not the source's own: the same lab would have to be there twice.
func (g *Grader) assembleEach(src Source, selected []course.Selected) (each []*workspace, remove func(), err error) {
	var made []*workspace
	remove = func() {
		for _, w := range made {
			w.remove()
		}
	}
	groups, apart := [][]course.Selected{nil}, make([]int, len(selected)) // apart: the group of each lab
	for i, s := range selected {
		if src.Base != "" && len(g.needs(s.Lab)) > 1 {
			groups, apart[i] = append(groups, []course.Selected{s}), len(groups)
		} else {
			groups[0] = append(groups[0], s)
		}
	}
	for _, group := range groups {
		var w *workspace
		if len(group) > 0 {
			if w, err = g.assembleSome(src, selected, group); err != nil {
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

// assembleSome is assemble for some of the selected labs.
func (g *Grader) assembleSome(src Source, selected, some []course.Selected) (*workspace, error) {
	dir, err := os.MkdirTemp(g.scratch, "work-")
	if err != nil {
		return nil, fmt.Errorf("grade: %w", err)
	}
	w := &workspace{g: g, dir: dir, course: filepath.Join(dir, "course"), view: filepath.Join(dir, "view"), labs: map[string]*prepared{}}
	err = w.fill(src, selected, some)
	if err == nil && g.box.user {
		err = w.share()
	}
	if err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

// share lets the users of the tests' processes read the copy of the course, whatever this user's umask is.
func (w *workspace) share() error {
	if err := os.Chmod(w.dir, 0o711); err != nil {
		return fmt.Errorf("grade: %w", err)
	}
	return filepath.WalkDir(w.course, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
}

func (w *workspace) fill(src Source, selected, some []course.Selected) error {
	for _, sub := range []string{"home", "tmp", "view"} {
		if err := os.MkdirAll(filepath.Join(w.dir, sub), 0o777); err != nil {
			return fmt.Errorf("grade: %w", err)
		}
	}
	if err := w.copyCourse(); err != nil {
		return fmt.Errorf("grade: scratch workspace: %w", err)
	}
	if src.Kind == Submission {
		if err := w.stubs(); err != nil {
			return err
		}
	}
	for _, s := range some {
		p := &prepared{lab: s.Lab}
		w.labs[s.Lab.ID] = p
		for _, lab := range w.g.needs(s.Lab) {
			if err := w.lay(src, selected, lab, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// lay puts the source's files of a lab in place, for p: that lab itself or one
// that builds on it. p remembers what was ignored or refused.
func (w *workspace) lay(src Source, selected []course.Selected, lab course.Lab, p *prepared) error {
	if lab.ID != p.lab.ID {
		src = src.base()
		p.base = append(p.base, BaseResult{Lab: lab.ID, Kind: src.Kind})
	}
	files, err := src.read(w.g.course, selected, lab)
	if err != nil {
		return err
	}
	p.notes = append(p.notes, files.Notes...)
	if files.Absent && lab.ID != p.lab.ID {
		p.notes = append(p.notes, fmt.Sprintf("%s builds on %s, which is not in the submission: its stubs are used", p.lab.ID, lab.ID))
		p.base[len(p.base)-1].Kind = Stub
		return nil
	}
	refused := files.Refused
	if refused == "" && !w.g.gateOpen {
		refused = gate(lab, files.Text)
	}
	if refused != "" {
		if p.refused == "" {
			p.refused = refused
		}
		return nil
	}
	for name, text := range files.Text {
		if err := os.WriteFile(filepath.Join(w.course, "labs", lab.ID, name), text, 0o666); err != nil {
			return fmt.Errorf("grade: scratch workspace: %w", err)
		}
	}
	return nil
}

// needs lists the lab and the labs that its submissions may import.
func (g *Grader) needs(lab course.Lab) []course.Lab {
	labs := []course.Lab{lab}
	for _, other := range g.course.Labs {
		if slices.Contains(lab.Imports, course.Module+"/"+other.Dir()) {
			labs = append(labs, other)
		}
	}
	return labs
}

// harness holds the packages that a lab's tests are built from; the grader's own stay out of a workspace.
const harness = "internal/harness"

// copyCourse copies what a lab's test binary is built from. Solutions and the
// grader itself stay out of a submission's sight.
func (w *workspace) copyCourse() error {
	root := w.g.course.Root
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(root, w.course, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	ours := func(name string) bool { return !isTest(name) }
	if err := copyTree(root, w.course, "labrpc", ours); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyTree(root, w.course, harness, ours); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, lab := range w.g.course.Labs {
		editable := lab.Files()
		graded := func(name string) bool { return !isGo(name) || isTest(name) || slices.Contains(editable, name) }
		if err := copyTree(root, w.course, lab.Dir(), graded); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies the regular files under dir that keep wants. Folders whose
// name begins with a dot are left out, and testdata except a lab's own.
func copyTree(from, to, dir string, keep func(name string) bool) error {
	return filepath.WalkDir(filepath.Join(from, filepath.FromSlash(dir)), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			foreign := e.Name() == "testdata" && !strings.HasPrefix(dir, "labs/")
			if strings.HasPrefix(e.Name(), ".") || foreign {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o777)
		}
		if !e.Type().IsRegular() || !keep(e.Name()) {
			return nil
		}
		return copyFile(from, to, name)
	})
}

func copyFile(from, to, name string) error {
	text, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o777); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, name), text, 0o666)
}

// ErrKilled is why a build ended that nothing is known to be wrong with.
var ErrKilled = errors.New("the build was killed, and not by the grader: was there enough memory? Try again, with fewer --jobs")

// build makes the lab's test binary, unless the lab was refused. A build that fails although the
// pristine lab's does not is a refusal too; the error is any other failure.
func (w *workspace) build(ctx context.Context, p *prepared) error {
	if p.refused != "" || p.binary != "" {
		return nil
	}
	release, err := w.g.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	binary := filepath.Join(w.dir, p.lab.ID+".test")
	out, err := w.compile(ctx, p.lab, binary)
	if err != nil {
		return err
	}
	if out.exit == 0 && out.stopped == "" {
		p.binary = binary
		return os.Chmod(binary, 0o755)
	}
	os.Remove(binary)
	fault := "the build was stopped: it " + out.stopped
	if out.stopped == "" {
		if p.compile, err = compileErrors(p.lab, string(out.output)); err == nil {
			p.refused = "does not compile: " + p.compile[0]
			return nil
		}
		fault = err.Error()
		if out.exit < 0 || strings.HasSuffix(fault, ": signal: killed") { // the go command, or what it started
			if !w.g.building.spent(out) {
				return fmt.Errorf("grade: building %s: %w", p.lab.ID, ErrKilled)
			}
			fault = fmt.Sprintf("the build was stopped: it used more than %v of processor time", w.g.building.cpu)
		}
	}
	sound, err := w.pristineBuilds(ctx, p.lab)
	switch {
	case err != nil:
		return err
	case !sound:
		return fmt.Errorf("grade: building %s failed (try grade doctor): %s", p.lab.ID, fault)
	}
	p.refused = "does not compile: " + fault
	if p.standsOn(fault) {
		p.refused += " (--base reference builds on the reference's)"
	}
	return nil
}

// standsOn reports whether a compile error is in a lab that this one builds on.
func (p *prepared) standsOn(fault string) bool {
	return slices.ContainsFunc(p.base, func(b BaseResult) bool { return strings.HasPrefix(fault, course.Lab{ID: b.Lab}.Dir()+"/") })
}

// compile runs the go command, once more if it lacked modules.
func (w *workspace) compile(ctx context.Context, lab course.Lab, binary string) (outcome, error) {
	compile := command{
		path: w.g.tools.command(), args: testArgs(binary, lab.Dir(), !w.plain), dir: w.course,
		env:   w.g.tools.env(filepath.Join(w.dir, "home"), filepath.Join(w.dir, "tmp")),
		limit: buildLimit, limits: w.g.building,
	}
	out, err := w.g.process(ctx, compile)
	if err == nil && out.exit != 0 && bytes.Contains(out.output, []byte(modulesMissing)) {
		if err := w.g.tools.fetchModules(ctx, w.g.course.Root); err != nil {
			return out, err
		}
		out, err = w.g.process(ctx, compile)
	}
	return out, err
}

// pristineBuilds tells whose fault it is that a build failed without a compile error in the lab's files: the
// submission's, if the lab as it was handed out builds.
func (w *workspace) pristineBuilds(ctx context.Context, lab course.Lab) (bool, error) {
	whole, err := w.g.course.Select(lab.ID)
	if err != nil {
		return false, err
	}
	clean, err := w.g.assemble(Source{Kind: WorkingTree}, whole)
	if err != nil {
		return false, err
	}
	defer clean.remove()
	if err := clean.stubs(); err != nil {
		return false, err
	}
	out, err := clean.compile(ctx, lab, filepath.Join(clean.dir, "pristine.test"))
	return err == nil && out.exit == 0 && out.stopped == "", err
}

func (w *workspace) remove() {
	if w != nil {
		removeAll(w.dir)
	}
}
