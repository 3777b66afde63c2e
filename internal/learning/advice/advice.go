// Package advice reads a student's code, as go vet does, for what no test can
// name as well: the line where a habit of ordinary Go goes wrong on machines that
// crash and lose messages. It is advice. It never costs a point, and where it is
// not sure it is silent.
package advice

import (
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
)

// Analyzers is all of them, in the order in which their advice is given. Each runs under
// any driver of golang.org/x/tools/go/analysis, too.
var Analyzers = []*analysis.Analyzer{Lock, Goroutine, Clock, Random, MapOrder, MAC}

const labrpc = "distlabs/labrpc"

// Advice is one piece of it.
type Advice struct {
	File string // from the course's root, with slashes
	Line int
	Text string // what is there, why it matters, what to do instead
}

func (a Advice) String() string { return fmt.Sprintf("%s:%d: %s", a.File, a.Line, a.Text) }

// NotCompiled says that code does not compile: the compiler's advice comes first.
type NotCompiled struct{ First string }

func (e NotCompiled) Error() string { return "the code does not compile: " + e.First }

// Check reads the packages of the folders, which are relative to root. If one of them does not compile, the error is a
// NotCompiled, beside the advice on the others; any other error is about this checkout or machine.
func Check(ctx context.Context, root string, dirs ...string) ([]Advice, error) {
	return check(&packages.Config{Context: ctx, Dir: root}, dirs)
}

func check(cfg *packages.Config, dirs []string) ([]Advice, error) {
	// Dependencies come as export data, which the build cache has: reading their source would take seconds.
	cfg.Mode = packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo |
		packages.NeedTypesSizes | packages.NeedImports | packages.NeedExportFile | packages.NeedModule
	cfg.BuildFlags = []string{"-race", "-trimpath"} // as the grader builds: a cache of another build would be cold
	var patterns []string
	for _, dir := range dirs {
		patterns = append(patterns, "./"+filepath.ToSlash(dir))
	}
	pkgs, err := packages.Load(cfg, patterns...)
	if err != nil {
		return nil, fmt.Errorf("advice: %w", err)
	}
	var broken error
	pkgs = slices.DeleteFunc(pkgs, func(p *packages.Package) bool {
		if len(p.Errors) > 0 && broken == nil {
			broken = NotCompiled{First: firstError(cfg.Dir, p.Errors)}
		}
		return len(p.Errors) > 0 || p.Types == nil
	})
	if len(pkgs) == 0 {
		return nil, broken
	}
	graph, err := checker.Analyze(Analyzers, pkgs, nil)
	if err != nil {
		return nil, fmt.Errorf("advice: %w", err)
	}
	var all []Advice
	for _, act := range graph.Roots {
		if act.Err != nil {
			return nil, fmt.Errorf("advice: %s: %w", act.Analyzer.Name, act.Err)
		}
		for _, d := range act.Diagnostics {
			pos := act.Package.Fset.Position(d.Pos)
			file, err := filepath.Rel(cfg.Dir, pos.Filename)
			if err != nil {
				file = pos.Filename
			}
			all = append(all, Advice{File: filepath.ToSlash(file), Line: pos.Line, Text: d.Message})
		}
	}
	slices.SortStableFunc(all, func(a, b Advice) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	return slices.Compact(all), broken
}

// firstError is the first error that has a place in a file, from the course's root.
func firstError(root string, list []packages.Error) string {
	first := list[0]
	for _, e := range list {
		if e.Kind != packages.ListError {
			first = e
			break
		}
	}
	return strings.ReplaceAll(first.Error(), root+string(filepath.Separator), "")
}

// callee is the function or method that a call names; nil for a function value,
// a conversion or a built-in. A generic function is its own origin.
func callee(info *types.Info, call *ast.CallExpr) *types.Func {
	f, ok := info.Uses[calleeName(call)].(*types.Func)
	if !ok {
		return nil
	}
	return f.Origin()
}

// calleeName is the name in a call, without its package, its receiver and its
// type arguments; nil if there is none.
func calleeName(call *ast.CallExpr) *ast.Ident {
	fun := ast.Unparen(call.Fun)
	switch x := fun.(type) {
	case *ast.IndexExpr:
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	switch x := fun.(type) {
	case *ast.Ident:
		return x
	case *ast.SelectorExpr:
		return x.Sel
	}
	return nil
}

// is reports whether f is the function or method of the package, whatever it is a method of.
func is(f *types.Func, pkg string, names ...string) bool {
	return f != nil && f.Pkg() != nil && f.Pkg().Path() == pkg && slices.Contains(names, f.Name())
}

// isSend reports whether the call puts a message on the wire.
func isSend(f *types.Func) bool {
	return is(f, labrpc, "Send", "Call") && f.Signature().Recv() == nil
}

// functions is every function of the package by its object.
func functions(pass *analysis.Pass) map[*types.Func]*ast.FuncDecl {
	all := map[*types.Func]*ast.FuncDecl{}
	for _, file := range pass.Files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				if obj, ok := pass.TypesInfo.Defs[f.Name].(*types.Func); ok {
					all[obj] = f
				}
			}
		}
	}
	return all
}

// reaching is the functions of the package in which found is true of some node, or
// which call such a function. skip ends the search below a node.
func reaching(pass *analysis.Pass, funcs map[*types.Func]*ast.FuncDecl, found, skip func(ast.Node) bool) map[*types.Func]bool {
	reach := map[*types.Func]bool{}
	for again := true; again; {
		again = false
		for obj, decl := range funcs {
			if reach[obj] {
				continue
			}
			if reaches(pass, decl.Body, reach, found, skip) {
				reach[obj], again = true, true
			}
		}
	}
	return reach
}

// reaches reports whether found is true of some node below n, or one calls a
// function that is in reach.
func reaches(pass *analysis.Pass, n ast.Node, reach map[*types.Func]bool, found, skip func(ast.Node) bool) bool {
	yes := false
	ast.Inspect(n, func(n ast.Node) bool {
		if n == nil || yes || skip != nil && skip(n) {
			return false
		}
		if found(n) {
			yes = true
		}
		if call, ok := n.(*ast.CallExpr); ok && reach[callee(pass.TypesInfo, call)] {
			yes = true
		}
		return !yes
	})
	return yes
}

// lineOf is a position as the advice names it.
func lineOf(pass *analysis.Pass, pos token.Pos) string {
	p := pass.Fset.Position(pos)
	return fmt.Sprintf("%s:%d", filepath.Base(p.Filename), p.Line)
}
