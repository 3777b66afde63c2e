package gate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"runtime"
	"slices"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
)

// Source is a lab as it will be built.
type Source struct {
	Lab   course.Lab
	Files map[string][]byte         // the submission's files and, for those that it lacks, the stubs
	Stubs map[string][]byte         // the lab as it is handed out; may be nil
	Tests map[string][]byte         // the lab's tests; may be nil
	Labs  map[string]*types.Package // by import path: the labs that it builds on
}

// Verdict is what Check thinks of a lab.
type Verdict struct {
	// Refused is why it is refused: file, line and rule; "" lets it pass.
	Refused string
	// Doubt is the error for which the gate could not read it; "" if it could. The compiler will find it too. If
	// it does not, the gate and the compiler understand different programs, and nothing of it may run.
	Doubt string
	// Types is the package that was read; nil with Doubt.
	Types *types.Package `json:"-"`
}

// Check reads a lab with types, after Look let it pass.
func (p *Packages) Check(src Source) Verdict {
	c := &checker{src: src, set: token.NewFileSet(), holds: map[types.Type]bool{}, risks: map[types.Type]string{}}
	for _, name := range slices.Sorted(maps.Keys(src.Files)) {
		file, err := parser.ParseFile(c.set, name, src.Files[name], parser.SkipObjectResolution)
		if err != nil {
			return Verdict{Doubt: firstLine(err)}
		}
		c.files = append(c.files, file)
	}
	c.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Instances: map[*ast.Ident]types.Instance{}, Selections: map[*ast.SelectorExpr]*types.Selection{}, Implicits: map[ast.Node]types.Object{}}
	config := types.Config{Importer: within{p, src.Labs}, Sizes: types.SizesFor("gc", runtime.GOARCH), Error: func(error) {}, GoVersion: goVersion}
	pkg, err := config.Check(course.Module+"/"+src.Lab.Dir(), c.set, c.files, c.info)
	c.pkg = pkg
	// What follows also looks at as much as could be typed of a package with errors: a student gets the reason at once.
	for _, rule := range []func() string{c.names, c.hidden, c.sharedMemory} {
		if refused := rule(); refused != "" {
			return Verdict{Refused: refused}
		}
	}
	if err != nil {
		return Verdict{Doubt: firstLine(err)}
	}
	return Verdict{Types: pkg}
}

// goVersion is the language that the course is written in; "" would be the newest that the type checker knows.
const goVersion = "go1.26"

// checker is a lab that is being read.
type checker struct {
	src   Source
	set   *token.FileSet
	files []*ast.File
	info  *types.Info
	pkg   *types.Package
	holds map[types.Type]bool   // what holdsHidden found, by type
	risks map[types.Type]string // what unproved said, by type

	follows *follower // nil until a table gets a second name
}

// at begins a sentence: file and line.
func (c *checker) at(pos token.Pos) string {
	p := c.set.PositionFor(pos, false)
	return fmt.Sprintf("%s:%d: ", p.Filename, p.Line)
}

func (c *checker) line(pos token.Pos) int { return c.set.PositionFor(pos, false).Line }

// first calls f for every node in the order of files and lines until it returns a sentence. parents begins with the file.
func (c *checker) first(f func(n ast.Node, parents []ast.Node) string) string {
	said := ""
	for _, file := range c.files {
		var parents []ast.Node
		ast.Inspect(file, func(n ast.Node) bool {
			if n == nil {
				parents = parents[:len(parents)-1]
				return true
			}
			if said != "" {
				return false
			}
			if said = f(n, parents); said != "" {
				return false
			}
			parents = append(parents, n)
			return true
		})
		if said != "" {
			return said
		}
	}
	return ""
}

func firstLine(err error) string { return plain.Word(err.Error()) }
