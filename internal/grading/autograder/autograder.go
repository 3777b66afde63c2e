// Package autograder makes the archive from which Gradescope builds a container
// that grades some labs.
package autograder

import (
	"archive/zip"
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/export"
)

//go:embed assets
var assets embed.FS

// Options say how the container grades.
type Options struct {
	Go         string // the version of Go to install where there is none: go1.26.0
	Sum        string // the SHA-256 of its archive for Linux, hexadecimal; "": it is not checked
	Visibility string // of the tests, one of export.GradescopeVisibilities; "": visible
}

var (
	goVersion = regexp.MustCompile(`^go1\.\d+(\.\d+|rc\d+)?$`)
	sha256Sum = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check finds a wrong value.
func (o Options) Check() error {
	switch {
	case !goVersion.MatchString(o.version()):
		return fmt.Errorf("autograder: %q is no released version of Go, such as go1.26.0", o.Go)
	case o.Sum != "" && !sha256Sum.MatchString(o.Sum):
		return fmt.Errorf("autograder: %q is no SHA-256 in hexadecimal", o.Sum)
	case !slices.Contains(export.GradescopeVisibilities, cmp.Or(o.Visibility, "visible")):
		return fmt.Errorf("autograder: visibility %q is none of %s", o.Visibility, strings.Join(export.GradescopeVisibilities, ", "))
	}
	return nil
}

// version is Go without what follows in the name of a build with experiments.
func (o Options) version() string {
	name, _, _ := strings.Cut(o.Go, " ")
	return name
}

// Write writes the archive for the selected labs and parts. At its root are
// setup.sh and run_autograder, as Gradescope wants them, and course/: the source
// of the grader and of the network, and the pristine labs that are graded, with
// those that they build on. Solutions and mutants are not in it: a submission
// runs in the container.
//
// The archive is a function of the course's files: the same ones give the same bytes.
func Write(w io.Writer, c *course.Course, selected []course.Selected, o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	z := zip.NewWriter(w)
	if err := writeScripts(z, selected, o); err != nil {
		return err
	}
	if err := writeCourse(z, c, selected); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("autograder: %w", err)
	}
	return nil
}

func writeScripts(z *zip.Writer, selected []course.Selected, o Options) error {
	values := struct{ Labs, Go, Sum, Visibility string }{strings.Join(names(selected), " "), o.version(), "''", cmp.Or(o.Visibility, "visible")}
	if o.Sum != "" {
		values.Sum = o.Sum
	}
	scripts, err := template.ParseFS(assets, "assets/*")
	if err != nil {
		return fmt.Errorf("autograder: %w", err)
	}
	for _, name := range []string{"env.sh", "run_autograder", "setup.sh"} {
		var text bytes.Buffer
		if err := scripts.ExecuteTemplate(&text, name, values); err != nil {
			return fmt.Errorf("autograder: %w", err)
		}
		if err := add(z, name, text.Bytes(), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// names are the labs, or the parts of a lab of which not all are selected.
func names(selected []course.Selected) []string {
	var list []string
	for _, s := range selected {
		if s.Whole() {
			list = append(list, s.Lab.ID)
			continue
		}
		for _, p := range s.Parts {
			list = append(list, p.ID)
		}
	}
	return list
}

// writeCourse adds what the grader is built from and what it grades with.
func writeCourse(z *zip.Writer, c *course.Course, selected []course.Selected) error {
	source := func(name string) bool { return !strings.HasSuffix(name, "_test.go") }
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := addFile(z, c.Root, name); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("autograder: %w", err)
		}
	}
	for _, dir := range []string{"cmd/grade", "internal", "labrpc"} {
		if _, err := os.Stat(filepath.Join(c.Root, filepath.FromSlash(dir))); os.IsNotExist(err) && dir == "labrpc" {
			continue // a course need not have a network
		}
		if err := addTree(z, c.Root, dir, source); err != nil {
			return fmt.Errorf("autograder: %w", err)
		}
	}
	for _, lab := range needed(c, selected) {
		if err := addLab(z, c.Root, lab); err != nil {
			return fmt.Errorf("autograder: %w", err)
		}
	}
	return nil
}

// addLab adds a lab with its stubs: the pristine ones, where the lab keeps them,
// and not what someone has written in this checkout.
func addLab(z *zip.Writer, root string, lab course.Lab) error {
	editable := lab.Files()
	if err := addTree(z, root, lab.Dir(), func(name string) bool { return !slices.Contains(editable, name) }); err != nil {
		return err
	}
	for _, name := range editable {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(lab.StubDir()), name))
		if os.IsNotExist(err) {
			text, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(lab.Dir()), name))
		}
		if err != nil {
			return err
		}
		if err := add(z, path.Join("course", lab.Dir(), name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// needed lists the selected labs and those that they may import, in the order of the course.
func needed(c *course.Course, selected []course.Selected) []course.Lab {
	want := map[string]bool{}
	var visit func(lab course.Lab)
	visit = func(lab course.Lab) {
		if want[lab.ID] {
			return
		}
		want[lab.ID] = true
		for _, other := range c.Labs {
			if slices.Contains(lab.Imports, course.Module+"/"+other.Dir()) {
				visit(other)
			}
		}
	}
	for _, s := range selected {
		visit(s.Lab)
	}
	var labs []course.Lab
	for _, lab := range c.Labs {
		if want[lab.ID] {
			labs = append(labs, lab)
		}
	}
	return labs
}

// addTree adds the regular files under dir that keep wants. Folders whose name
// begins with a dot are left out, and testdata except a lab's own.
func addTree(z *zip.Writer, root, dir string, keep func(name string) bool) error {
	return fs.WalkDir(os.DirFS(root), dir, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			foreign := e.Name() == "testdata" && !strings.HasPrefix(dir, "labs/")
			if strings.HasPrefix(e.Name(), ".") || foreign {
				return fs.SkipDir
			}
			return nil
		case !e.Type().IsRegular() || !keep(e.Name()):
			return nil
		}
		return addFile(z, root, name)
	})
}

func addFile(z *zip.Writer, root, name string) error {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	return add(z, path.Join("course", name), text, 0o644)
}

// add adds a file with a time that says nothing.
func add(z *zip.Writer, name string, text []byte, mode fs.FileMode) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(mode)
	file, err := z.CreateHeader(header)
	if err != nil {
		return fmt.Errorf("autograder: %w", err)
	}
	if _, err := file.Write(text); err != nil {
		return fmt.Errorf("autograder: %w", err)
	}
	return nil
}
