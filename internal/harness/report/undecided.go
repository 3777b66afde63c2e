package report

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Undecided lists the places in a student's files where a run depends on more than its seed: the global functions of math/rand, a range
// over a map, a select with several cases. It reads syntax only, so it may miss some, and a map that nothing is sent by is
// harmless. The places are file:line with what happens there, in the order of the files.
func Undecided(files map[string][]byte) (places []string) {
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if file, _ := parser.ParseFile(set, name, files[name], parser.SkipObjectResolution); file != nil {
			parsed = append(parsed, file)
		}
	}
	names := mapNames(parsed)
	for _, file := range parsed {
		random := importedAs(file, "math/rand", "math/rand/v2")
		ast.Inspect(file, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && random[exprText(sel.X)] && !strings.HasPrefix(sel.Sel.Name, "New") {
					what = exprText(sel) + " draws from the global random numbers: use node.Rand()"
				}
			case *ast.RangeStmt:
				if isMap(n.X, names) {
					what = "ranges over the map " + exprText(n.X) + ": its order differs from run to run"
				}
			case *ast.SelectStmt:
				cases := 0
				for _, c := range n.Body.List {
					if c.(*ast.CommClause).Comm != nil {
						cases++
					}
				}
				if cases > 1 {
					what = "selects among several cases: if two are ready, the choice is random"
				}
			}
			if what != "" {
				at := set.Position(n.Pos())
				places = append(places, fmt.Sprintf("%s:%d %s", filepath.Base(at.Filename), at.Line, what))
			}
			return true
		})
	}
	return places
}

// UndecidedIn is Undecided for the files of the place's package, without its tests. What is certain comes first: random numbers, then
// maps, then selects.
func (p Place) UndecidedIn() []string {
	if runtime.GOOS == "js" { // as in parse
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
	if err != nil {
		return nil
	}
	files := map[string][]byte{}
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, "_test.go") {
			files[path] = text
		}
	}
	places := Undecided(files)
	rank := func(place string) int {
		return slices.IndexFunc([]string{" draws from ", " ranges over ", " selects among "}, func(w string) bool { return strings.Contains(place, w) })
	}
	slices.SortStableFunc(places, func(a, b string) int { return rank(a) - rank(b) })
	return places
}

// importedAs returns the names under which a file imports the packages.
func importedAs(file *ast.File, paths ...string) map[string]bool {
	names := map[string]bool{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		switch {
		case err != nil || !slices.Contains(paths, path):
		case spec.Name != nil:
			names[spec.Name.Name] = true
		default:
			names["rand"] = true
		}
	}
	return names
}

// mapNames returns the names of fields and variables that are declared as maps.
func mapNames(files []*ast.File) map[string]bool {
	names := map[string]bool{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				if _, ok := n.Type.(*ast.MapType); ok {
					for _, name := range n.Names {
						names[name.Name] = true
					}
				}
			case *ast.ValueSpec:
				if _, ok := n.Type.(*ast.MapType); ok {
					for _, name := range n.Names {
						names[name.Name] = true
					}
				}
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					if i < len(n.Lhs) && len(n.Lhs) == len(n.Rhs) && makesMap(right) {
						if name, ok := n.Lhs[i].(*ast.Ident); ok {
							names[name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	return names
}

// makesMap reports whether an expression is make(map[…]…) or a literal of a map.
func makesMap(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		_, ok := e.Type.(*ast.MapType)
		return ok
	case *ast.CallExpr:
		if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "make" && len(e.Args) > 0 {
			_, ok := e.Args[0].(*ast.MapType)
			return ok
		}
	}
	return false
}

// isMap reports whether an expression that is ranged over is a map, as far as its name tells.
func isMap(e ast.Expr, names map[string]bool) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return names[e.Name]
	case *ast.SelectorExpr:
		return names[e.Sel.Name]
	}
	return makesMap(e)
}
