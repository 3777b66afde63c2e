// Package handout makes what students receive: a folder that builds and tests
// on its own, with the stubs, tests and pages of some labs and all that they
// need of the course, without solutions and without mutants.
package handout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// ErrUsage is wrapped by errors about what was asked.
var ErrUsage = errors.New("usage")

type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == ErrUsage }

// Options say what to hand out.
type Options struct {
	Out  string       // the folder to make
	Labs []course.Lab // the labs that students are to solve
	// WithBase puts the references of labs that Labs build on, and that are not among them, in the place of
	// their stubs: for students who have not solved those, or whose solution is not to matter.
	WithBase bool
}

// Handout is what was made.
type Handout struct {
	Labs  []course.Lab // to solve
	Bases []course.Lab // that these build on: stubs, or with WithBase references
	Files int
}

// maker makes one handout.
type maker struct {
	o    Options
	root string // of the course
	dir  string // of the handout while it is made
	made Handout
}

// Make makes the handout, whole or not at all: it is built before it is put in place.
func Make(ctx context.Context, c *course.Course, o Options) (*Handout, error) {
	if entries, err := os.ReadDir(o.Out); !errors.Is(err, fs.ErrNotExist) && (err != nil || len(entries) > 0) {
		return nil, usageError(o.Out + " is there already: name a new folder")
	}
	m := &maker{o: o, root: c.Root}
	m.choose(c)
	parent := filepath.Dir(filepath.Clean(o.Out))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, fmt.Errorf("handout: %w", err)
	}
	dir, err := os.MkdirTemp(parent, ".handout-")
	if err != nil {
		return nil, fmt.Errorf("handout: %w", err)
	}
	defer os.RemoveAll(dir) // of no effect once it is moved
	if m.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("handout: %w", err)
	}
	if err := m.fill(ctx); err != nil {
		return nil, fmt.Errorf("handout: %w", err)
	}
	os.Remove(o.Out) // if it is an empty folder
	if err := errors.Join(os.Chmod(dir, 0o755), os.Rename(dir, o.Out)); err != nil {
		return nil, fmt.Errorf("handout: %w", err)
	}
	return &m.made, nil
}

// choose lists the labs to solve and those that they build on.
func (m *maker) choose(c *course.Course) {
	m.made.Labs = m.o.Labs
	queue := slices.Clone(m.o.Labs)
	for len(queue) > 0 {
		lab := queue[0]
		queue = queue[1:]
		for _, other := range c.Labs {
			is := func(l course.Lab) bool { return l.ID == other.ID }
			if slices.Contains(lab.Imports, course.Module+"/"+other.Dir()) && !slices.ContainsFunc(m.made.Labs, is) && !slices.ContainsFunc(m.made.Bases, is) {
				m.made.Bases = append(m.made.Bases, other)
				queue = append(queue, other)
			}
		}
	}
}

func (m *maker) fill(ctx context.Context) error {
	if err := m.labs(); err != nil {
		return err
	}
	if err := m.packages(ctx); err != nil {
		return err
	}
	for _, name := range []string{"LICENSE", ".gitignore", "go.sum"} {
		if err := m.copy(name, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := m.copy("go.mod", "go.mod"); err != nil {
		return err
	}
	if err := m.readme(); err != nil {
		return err
	}
	if err := m.pages(); err != nil {
		return err
	}
	if err := m.tidy(ctx); err != nil {
		return err
	}
	// Compiles all that a student will, the tests too.
	return m.run(ctx, m.dir, "vet", "./...")
}

// labs copies the labs to solve, and those that they build on.
func (m *maker) labs() error {
	for _, lab := range m.made.Labs {
		if err := m.lab(lab, false); err != nil {
			return err
		}
	}
	for _, lab := range m.made.Bases {
		if err := errors.Join(m.lab(lab, m.o.WithBase), m.mark(lab)); err != nil {
			return err
		}
	}
	return nil
}

// lab copies a lab's folder: pages, tests, and either stubs or the reference.
func (m *maker) lab(lab course.Lab, reference bool) error {
	from := m.stubsOf(lab)
	if reference {
		from = lab.SolutionDir()
	}
	for _, name := range lab.Files() {
		if err := m.copy(from+"/"+name, lab.Dir()+"/"+name); err != nil {
			return err
		}
	}
	root := filepath.Join(m.root, filepath.FromSlash(lab.Dir()))
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(m.root, path)
		if err != nil {
			return err
		}
		top := filepath.Dir(path) == root
		switch {
		// Pristine stubs belong to the lab; other folders with a dot are somebody's own.
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != filepath.Join(m.root, filepath.FromSlash(lab.StubDir())):
			return filepath.SkipDir
		case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), "."):
			return nil
		case top && strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go"):
			return nil // the lab's own are copied already; others are somebody's own
		}
		name = filepath.ToSlash(name)
		return m.copy(name, name)
	})
}

// mark notes in lab.yaml that the lab is there because another one builds on it.
func (m *maker) mark(lab course.Lab) error {
	name := filepath.Join(m.dir, filepath.FromSlash(lab.Dir()), "lab.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, "\nbase: true\n"...), 0o666)
}

// stubsOf is where the lab's stubs are as they were before anybody wrote in them.
func (m *maker) stubsOf(lab course.Lab) string {
	if _, err := os.Stat(filepath.Join(m.root, filepath.FromSlash(lab.StubDir()))); err == nil {
		return lab.StubDir()
	}
	return lab.Dir()
}

// copy copies a file of the course.
func (m *maker) copy(from, to string) error {
	text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(from)))
	if err != nil {
		return err
	}
	return m.write(to, text)
}

func (m *maker) write(name string, text []byte) error {
	path := filepath.Join(m.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	m.made.Files++
	return os.WriteFile(path, text, 0o666)
}

// run runs the go command, whose output is told if it fails.
func (m *maker) run(ctx context.Context, dir string, args ...string) error {
	_, err := m.output(ctx, dir, args...)
	return err
}

func (m *maker) output(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath") // as the grader builds
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
