package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
)

// A program for the page has in it only those declarations of the lab's test files that its scenarios need: not the other tests, and none
// of the libraries that only those import. The rest is overwritten with spaces, so that lines and columns stay as a failure cites them.

// scenarioOverlay returns the lab's test files with only what one test needs or, if that is "", what its scenarios need; nil if
// that cannot be told from the rest, such as in a file that does not parse.
func (w *Workspace) scenarioOverlay(p *Lab, test string) (overlay, error) {
	var roots []string
	if test != "" {
		roots = append(roots, test)
	}
	for _, part := range p.Parts {
		if part.Scenario != "" && test == "" {
			roots = append(roots, part.Scenario)
		}
	}
	dir := filepath.Join(w.Root, filepath.FromSlash(p.Dir()))
	tests, err := readTests(dir)
	if err != nil || len(roots) == 0 {
		return nil, err
	}
	keepNeeded(tests, roots)
	packages := map[string]*coursePackage{} // each is imported by many files, and read once
	of := func(path string) *coursePackage {
		if _, known := packages[path]; !known {
			packages[path] = w.coursePackage(path)
		}
		return packages[path]
	}
	var o overlay
	for _, f := range tests {
		if o == nil {
			o = overlay{}
		}
		o[filepath.Join(dir, f.name)] = f.pruned(of)
	}
	return o, nil
}

// A testFile is a file of tests, by its declarations.
type testFile struct {
	name    string
	text    []byte
	set     *token.FileSet
	file    *ast.File
	unknown map[*ast.Ident]bool // names of imports, of other files and of the language
	decls   []*testDecl
}

// A testDecl is a declaration at the top of a file.
type testDecl struct {
	node  ast.Decl
	names []string        // what it declares; of a method nothing
	of    string          // of a method: the type
	uses  map[string]bool // names at the top of a file that it mentions, and perhaps some others
	kept  bool
}

// readTests reads the test files of a folder: none if one of them does not parse.
func readTests(dir string) ([]*testFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	var tests []*testFile
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("workspace: %w", err)
		}
		f, err := newTestFile(filepath.Base(name), text)
		if err != nil {
			return nil, nil //nolint:nilerr // the compiler says what is wrong with it
		}
		tests = append(tests, f)
	}
	return tests, nil
}

func newTestFile(name string, text []byte) (*testFile, error) {
	f := &testFile{name: name, text: text, set: token.NewFileSet(), unknown: map[*ast.Ident]bool{}}
	var err error
	if f.file, err = parser.ParseFile(f.set, name, text, parser.ParseComments); err != nil {
		return nil, err
	}
	for _, id := range f.file.Unresolved { //nolint:staticcheck // to resolve by types takes what the file imports
		f.unknown[id] = true
	}
	for _, node := range f.file.Decls {
		d := &testDecl{node: node, uses: map[string]bool{}}
		switch n := node.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil {
				d.names = []string{n.Name.Name}
			} else if d.of = typeOf(n.Recv.List[0].Type); d.of == "" {
				return nil, errors.New("a receiver without a type")
			}
		case *ast.GenDecl:
			if n.Tok == token.IMPORT {
				continue
			}
			d.names = declared(n)
		}
		f.mentions(d)
		f.decls = append(f.decls, d)
	}
	return f, nil
}

// declared are the names that a declaration of constants, variables or types declares.
func declared(n *ast.GenDecl) (names []string) {
	for _, spec := range n.Specs {
		for _, id := range specified(spec) {
			names = append(names, id.Name)
		}
	}
	return names
}

// typeOf is the name of the type of a method.
func typeOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.StarExpr:
		return typeOf(x.X)
	case *ast.IndexExpr:
		return typeOf(x.X)
	case *ast.IndexListExpr:
		return typeOf(x.X)
	}
	return ""
}

// mentions notes the names that a declaration mentions and does not declare itself. A field in a literal may be among them.
func (f *testFile) mentions(d *testDecl) {
	ast.Inspect(d.node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && f.unknown[x] {
				d.uses[n.Sel.Name] = true // of the lab's own package, perhaps, which its test files add to
			}
		case *ast.Ident:
			if n.Obj == nil || f.file.Scope.Lookup(n.Name) == n.Obj { //nolint:staticcheck // as above
				d.uses[n.Name] = true
			}
		}
		return true
	})
}

// keepNeeded marks the roots, what begins by itself, and what those mention, and so on. The methods of a type go with it.
func keepNeeded(tests []*testFile, roots []string) {
	roots = append([]string{"TestMain", "init"}, roots...)
	var all []*testDecl
	byName := map[string][]*testDecl{}
	for _, f := range tests {
		for _, d := range f.decls {
			all = append(all, d)
			for _, name := range d.names {
				byName[name] = append(byName[name], d)
			}
			if d.of != "" {
				byName[d.of] = append(byName[d.of], d)
			}
		}
	}
	for _, d := range all { // a method of a type that no test file declares
		if d.of != "" && !slices.ContainsFunc(byName[d.of], func(t *testDecl) bool { return t.of == "" }) {
			roots = append(roots, d.of)
		}
	}
	for len(roots) > 0 {
		name := roots[0]
		roots = roots[1:]
		for _, d := range byName[name] {
			if !d.kept {
				d.kept = true
				for use := range d.uses {
					roots = append(roots, use)
				}
			}
		}
		delete(byName, name)
	}
}

// A coursePackage is what a package of the course is called, and the names that it exports, with those that its own test files add.
type coursePackage struct {
	name    string
	exports map[string]bool
}

// pruned is the file without what is not kept, and without the imports that only this needs. of tells about a package of the course; nil if
// the path is that of another one.
func (f *testFile) pruned(of func(path string) *coursePackage) []byte {
	used := map[string]bool{}
	out := bytes.Clone(f.text)
	blank := func(from, to token.Pos) {
		for i := f.set.PositionFor(from, false).Offset; i < f.set.PositionFor(to, false).Offset; i++ {
			if out[i] != '\n' && out[i] != '\r' {
				out[i] = ' '
			}
		}
	}
	some := false
	for _, d := range f.decls {
		if !d.kept {
			blank(start(d.node), d.node.End())
			continue
		}
		some = true
		ast.Inspect(d.node, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && f.unknown[id] {
				used[id.Name] = true
			}
			return true
		})
	}
	for _, node := range f.file.Decls {
		group, ok := node.(*ast.GenDecl)
		if !ok || group.Tok != token.IMPORT {
			continue
		}
		for _, spec := range group.Specs {
			if spec := spec.(*ast.ImportSpec); some && needed(spec, used, of) {
				continue
			}
			if group.Lparen.IsValid() {
				blank(spec.Pos(), spec.End())
			} else {
				blank(group.Pos(), group.End())
			}
		}
	}
	return out
}

// start is where a declaration begins, with the comment before it: a directive may be in that.
func start(node ast.Decl) token.Pos {
	switch n := node.(type) {
	case *ast.FuncDecl:
		if n.Doc != nil {
			return n.Doc.Pos()
		}
	case *ast.GenDecl:
		if n.Doc != nil {
			return n.Doc.Pos()
		}
	}
	return node.Pos()
}

// versionElement is the last element of a module's path that is no name: /v2, or .v3 at the end of one.
var versionElement = regexp.MustCompile(`(/v[0-9]+|\.v[0-9]+)$`)

// needed reports whether an import is one of a file that uses these names.
func needed(spec *ast.ImportSpec, used map[string]bool, of func(path string) *coursePackage) bool {
	from, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return true
	}
	known := of(from)
	name := path.Base(versionElement.ReplaceAllString(from, ""))
	switch {
	case spec.Name != nil:
		name = spec.Name.Name
	case known != nil:
		name = known.name
	}
	switch name {
	case "_":
		return true
	case ".":
		if known != nil {
			for name := range used {
				if known.exports[name] {
					return true
				}
			}
		}
		return known == nil
	}
	return used[name]
}

// coursePackage reads a package of the course.
func (w *Workspace) coursePackage(from string) *coursePackage {
	dir, ok := strings.CutPrefix(from, course.Module+"/")
	if !ok {
		return nil
	}
	p := &coursePackage{exports: map[string]bool{}}
	set := token.NewFileSet()
	files, err := fs.Glob(os.DirFS(w.Root), dir+"/*.go")
	if err != nil {
		return nil
	}
	for _, name := range files {
		file, err := parser.ParseFile(set, filepath.Join(w.Root, filepath.FromSlash(name)), nil, 0)
		if err != nil {
			return nil
		}
		if strings.HasSuffix(file.Name.Name, "_test") {
			continue
		}
		p.name = file.Name.Name
		for id := range file.Scope.Objects { //nolint:staticcheck // the names at the top of the file
			if ast.IsExported(id) {
				p.exports[id] = true
			}
		}
	}
	return p
}
