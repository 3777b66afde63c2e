package generate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/types"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Compiles reports, for each of the mutants, what the compiler finds wrong with it: "" if nothing. A variable or an import that
// the mutant alone leaves without use is not wrong: whoever makes the mistake by hand removes it too.
func (p *Package) Compiles(mutants []Mutant) []string {
	found := make([]string, len(mutants))
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range mutants {
		all.Go(func() error {
			found[i] = p.compile(m)
			return nil
		})
	}
	_ = all.Wait() // no function fails
	return found
}

// compile type-checks one mutant. What is in the bodies of the other functions makes no difference to it.
func (p *Package) compile(m Mutant) string {
	changed, err := parser.ParseFile(p.fset, m.File, p.Text(m), parser.SkipObjectResolution)
	if err != nil {
		return err.Error()
	}
	var files []*ast.File
	for name, file := range p.all {
		if name == m.File {
			file = changed
		}
		files = append(files, withBody(file, m.Function))
	}
	first := ""
	config := types.Config{Importer: p.imports, Error: func(err error) {
		if e := err.(types.Error); first == "" && !p.isUnused(m, e) {
			first = fmt.Sprintf("%s: %s", p.fset.Position(e.Pos), e.Msg)
		}
	}}
	_, _ = config.Check("mutant", p.fset, files, nil) // its error is the first of those that Error is called with
	return first
}

// isUnused reports whether an error is that a variable or an import is not used any more. Not so for a variable that
// the statement around the edit declares for itself: a schema has no other use of it.
func (p *Package) isUnused(m Mutant, e types.Error) bool {
	if strings.Contains(e.Msg, " imported ") || strings.HasPrefix(e.Msg, `"`) {
		return strings.HasSuffix(e.Msg, " and not used")
	}
	if !strings.HasPrefix(e.Msg, "declared and not used") {
		return false
	}
	f := schemaFile{Package: p, name: m.File}
	around, _ := f.around(m)
	at := p.fset.Position(e.Pos).Offset // in the mutant's text, which is the reference's up to the edit
	return around == nil || at < p.fset.Position(around.Pos()).Offset || at > m.from
}

// withBody is a file in which only the functions of one name have a body, and those with type parameters, which must.
func withBody(file *ast.File, name string) *ast.File {
	out := *file
	out.Decls = nil
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && functionName(f) != name && f.Type.TypeParams == nil {
			bare := *f
			bare.Body = nil
			d = &bare
		}
		out.Decls = append(out.Decls, d)
	}
	return &out
}
