package course

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	folderForm = regexp.MustCompile(`^\d\d-[a-z][a-z0-9-]*$`)
	partForm   = regexp.MustCompile(`^[1-9]\d?[A-Z]$`)
	goName     = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	testForm   = regexp.MustCompile(`^Test[A-Z0-9]\w*$`)
	playForm   = regexp.MustCompile(`^TestPlay([1-9]\d?[A-Z])$`)
	fileForm   = regexp.MustCompile(`^[a-z][a-z0-9_]*\.go$`)
)

// checker holds a lab.yaml against the rules of the course and the lab's folder.
type checker struct {
	file   string // for messages
	dir    string // the lab's folder on disk
	folder string // its name

	parts map[string]bool
	tests map[string]bool // every test listed so far
	plays map[string]bool // the tests that only a person plays
}

func (c *checker) fail(line int, format string, args ...any) error {
	return &problem{file: c.file, line: line, what: fmt.Sprintf(format, args...)}
}

func (c *checker) lab(r rawLab) error {
	c.parts, c.tests, c.plays = map[string]bool{}, map[string]bool{}, map[string]bool{}
	switch {
	case !folderForm.MatchString(c.folder):
		return c.fail(0, "folder %q is not named like 01-links: two digits, a hyphen, a word", c.folder)
	case r.ID.line == 0:
		return c.fail(0, "id is missing, want %q", c.folder)
	case r.ID.value != c.folder:
		return c.fail(r.ID.line, "id is %q, want the folder's name, %q", r.ID.value, c.folder)
	case strings.TrimSpace(r.Title.value) == "":
		return c.fail(r.Title.line, "title is missing")
	case !goName.MatchString(r.Package.value) || token.IsKeyword(r.Package.value):
		return c.fail(r.Package.line, "package %q is not the name of a Go package", r.Package.value)
	case len(r.Parts) == 0:
		return c.fail(0, "parts is missing")
	}
	sum := 0
	for _, p := range r.Parts {
		if err := c.part(p); err != nil {
			return err
		}
		sum += p.Points.value
	}
	if sum != PointsPerLab {
		return c.fail(0, "the points of the parts add up to %d, want %d", sum, PointsPerLab)
	}
	return c.sources(r)
}

func (c *checker) part(p rawPart) error {
	id := p.ID.value
	number := strings.TrimLeft(c.folder[:2], "0")
	switch {
	case id == "":
		return c.fail(p.ID.line, "a part has no id")
	case !partForm.MatchString(id) || id[:len(id)-1] != number:
		return c.fail(p.ID.line, "part %q is not named like %sA: the lab's number and a capital letter", id, number)
	case c.parts[id]:
		return c.fail(p.ID.line, "part %s is there twice", id)
	case strings.TrimSpace(p.Title.value) == "":
		return c.fail(p.ID.line, "part %s has no title", id)
	case p.Points.value <= 0:
		return c.fail(max(p.Points.line, p.ID.line), "part %s has no points", id)
	case len(p.Files) == 0:
		return c.fail(p.ID.line, "part %s names no file that the student edits", id)
	case len(p.Tests) == 0:
		return c.fail(p.ID.line, "part %s has no tests", id)
	}
	c.parts[id] = true
	for _, f := range p.Files {
		if err := c.editable(f); err != nil {
			return err
		}
	}
	for _, h := range p.Hints {
		if strings.TrimSpace(h.value) == "" {
			return c.fail(h.line, "part %s has an empty hint", id)
		}
	}
	sum := 0
	for _, t := range p.Tests {
		if err := c.test(id, t, p.ID.line); err != nil {
			return err
		}
		sum += t.Points.value
	}
	if sum != p.Points.value {
		return c.fail(p.Points.line, "part %s has %d points but its tests add up to %d", id, p.Points.value, sum)
	}
	return nil
}

// editable checks one file that the student may edit. Its name must be plain,
// so that it can neither leave the folder nor be ours.
func (c *checker) editable(f located[string]) error {
	if !fileForm.MatchString(f.value) || strings.HasSuffix(f.value, "_test.go") {
		return c.fail(f.line, "%q cannot be a file that the student edits: want a name like link.go", f.value)
	}
	info, err := os.Lstat(filepath.Join(c.dir, f.value))
	if err != nil {
		return c.fail(f.line, "file %s is missing from the lab's folder", f.value)
	}
	if !info.Mode().IsRegular() {
		return c.fail(f.line, "file %s is not a regular file", f.value)
	}
	return nil
}

func (c *checker) test(part string, t rawTest, partLine int) error {
	name, line := t.Name.value, max(t.Name.line, partLine)
	switch {
	case name == "":
		return c.fail(line, "a test of part %s has no name", part)
	case !testForm.MatchString(name):
		return c.fail(line, "%q is not the name of a Go test", name)
	case !strings.HasSuffix(name, part):
		return c.fail(line, "test %s does not end in its part, %s", name, part)
	case c.tests[name]:
		return c.fail(line, "test %s is there twice", name)
	case t.Points.value <= 0:
		return c.fail(line, "test %s has no points", name)
	}
	c.tests[name] = true
	return nil
}

// sources holds the lists against the lab's Go files: every test listed exists,
// every test that exists is listed, and the package is the one named. A scenario that only a person plays, such as
// TestPlay4A, is not graded and not listed.
func (c *checker) sources(r rawLab) error {
	found := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(c.dir, "*_test.go"))
	if err != nil {
		return c.fail(0, "%v", err)
	}
	for _, path := range paths {
		tests, err := c.declared(path, r.Package.value)
		if err != nil {
			return err
		}
		for _, name := range tests {
			if m := playForm.FindStringSubmatch(name); m != nil && c.parts[m[1]] && !c.tests[name] {
				c.plays[name] = true
				continue
			}
			if !c.tests[name] {
				return c.fail(0, "test %s of %s has no points: list it under its part", name, filepath.Base(path))
			}
			found[name] = true
		}
	}
	for _, p := range r.Parts {
		for _, t := range p.Tests {
			if !found[t.Name.value] {
				return c.fail(t.Name.line, "test %s is in no _test.go file of the lab", t.Name.value)
			}
		}
	}
	return nil
}

// declared lists the tests that a test file declares.
func (c *checker) declared(path, pkg string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, c.fail(0, "%s does not parse: %v", filepath.Base(path), err)
	}
	if name := strings.TrimSuffix(file.Name.Name, "_test"); name != pkg {
		return nil, c.fail(0, "package is %q but %s belongs to package %s", pkg, filepath.Base(path), name)
	}
	var tests []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Recv == nil && testForm.MatchString(f.Name.Name) && f.Name.Name != "TestMain" {
			tests = append(tests, f.Name.Name)
		}
	}
	return tests, nil
}

// scenario is Part.Scenario.
func (c *checker) scenario(p Part) string {
	if name := "TestPlay" + p.ID; c.plays[name] {
		return name
	}
	for _, t := range p.Tests {
		if strings.HasPrefix(t.Name, "TestAnySchedule") {
			return t.Name
		}
	}
	return ""
}
