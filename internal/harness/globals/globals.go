// Package globals finds package variables by which the nodes of a lab would share memory.
//
// All nodes of a test run in one process. A package variable that changes is therefore a network that loses nothing,
// delays nothing and survives every crash: code that uses one proves nothing about a distributed system.
//
// The check here reads syntax only, so that a plain go test can afford it. The grader's gate (internal/grading/gate)
// applies the same rule with types and is stricter; whatever is refused here is refused there.
package globals

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shared is the sentence about a package variable that all nodes would share. which completes "which …".
func Shared(file string, line int, name, which string) string {
	return fmt.Sprintf("%s:%d: nodes share no memory, but all of them would share the package variable %s, which %s: keep it in your struct",
		file, line, name, which)
}

// Foreign is the sentence about a variable of another package that a submission changes.
func Foreign(file string, line int, name string) string {
	return fmt.Sprintf("%s:%d: %s is a variable of another package, which all nodes share: a submission may not change it", file, line, name)
}

// CheckDir checks the Go files of a folder, without its tests. It returns one sentence, or "" if it finds nothing or
// cannot read the folder.
func CheckDir(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				return ""
			}
		}
	}
	return Check(files)
}

// Check checks the files of one package, by name. A file that does not parse is left to the compiler.
func Check(files map[string][]byte) string {
	c := checker{set: token.NewFileSet(), vars: map[string]*variable{}}
	var parsed []*ast.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// With the parser's own resolution: it tells a local variable from a package variable of the same name.
		file, err := parser.ParseFile(c.set, name, files[name], 0) //nolint:staticcheck
		if err != nil {
			return ""
		}
		parsed = append(parsed, file)
		c.declare(file)
	}
	for _, file := range parsed {
		c.use(file)
	}
	slices.SortFunc(c.found, func(a, b finding) int { return int(a.pos - b.pos) })
	if len(c.found) == 0 {
		return ""
	}
	return c.found[0].says
}

// variable is a package variable.
type variable struct {
	pos  token.Pos
	file *ast.File
	//lint:ignore SA1019 the resolution of one package by syntax alone is what a plain go test can afford
	obj  *ast.Object
	done bool // it was reported
}

type finding struct {
	pos  token.Pos
	says string
}

type checker struct {
	set   *token.FileSet
	vars  map[string]*variable
	found []finding
}

// at is the file and line of a position; a directive does not move it.
func (c *checker) at(pos token.Pos) (string, int) {
	p := c.set.PositionFor(pos, false)
	return p.Filename, p.Line
}

// report notes that a package variable is shared.
func (c *checker) report(name, which string) {
	v := c.vars[name]
	if v.done {
		return
	}
	v.done = true
	file, line := c.at(v.pos)
	c.found = append(c.found, finding{v.pos, Shared(file, line, name, which)})
}

// declare collects the package variables of a file, and reports those that can only be meant to change.
func (c *checker) declare(file *ast.File) {
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			for i, name := range spec.Names {
				if name.Name == "_" {
					continue
				}
				c.vars[name.Name] = &variable{pos: name.Pos(), file: file, obj: name.Obj}
				var value ast.Expr
				if len(spec.Values) == len(spec.Names) {
					value = spec.Values[i]
				}
				if which := changing(spec.Type, value); which != "" {
					c.report(name.Name, which)
				}
			}
		}
	}
}

// changing tells what makes a variable one that is meant to change; "" if nothing in its declaration does.
func changing(typ, value ast.Expr) string {
	if lit, ok := value.(*ast.CompositeLit); ok && typ == nil {
		typ = lit.Type
	}
	if call, ok := value.(*ast.CallExpr); ok && len(call.Args) > 0 {
		if name, ok := call.Fun.(*ast.Ident); ok && name.Obj == nil {
			if _, isChan := call.Args[0].(*ast.ChanType); isChan && name.Name == "make" {
				return "is a channel"
			}
			if name.Name == "new" {
				return "is a pointer"
			}
		}
	}
	if u, ok := value.(*ast.UnaryExpr); ok && u.Op == token.AND {
		return "is a pointer"
	}
	switch t := typ.(type) {
	case *ast.ChanType:
		return "is a channel"
	case *ast.StarExpr:
		if value != nil {
			return "is a pointer"
		}
	case *ast.SelectorExpr:
		if pkg, ok := t.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") && pkg.Obj == nil {
			return "is a " + pkg.Name + "." + t.Sel.Name
		}
	case *ast.IndexExpr:
		return changing(t.X, nil) // atomic.Pointer[T]
	}
	return ""
}

// use finds where a file changes package variables, its own package's and others'.
func (c *checker) use(file *ast.File) {
	imported := map[string]bool{}
	for _, spec := range file.Imports {
		name := strings.Trim(spec.Path.Value, "\"`")
		name = name[strings.LastIndexByte(name, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imported[name] = true
	}
	inInit := false // and not in a function literal there, which may run later
	changed := func(e ast.Expr, how string) {
		switch root, whole := rootOf(e); {
		case root == nil || inInit && how == "is changed" && c.isVar(file, root): // no node has begun; the gate says with what it may be filled
		case c.isVar(file, root):
			_, line := c.at(root.Pos())
			c.report(root.Name, fmt.Sprintf("%s in line %d", how, line))
		case whole != nil && root.Obj == nil && imported[root.Name]:
			at, line := c.at(root.Pos())
			c.found = append(c.found, finding{root.Pos(), Foreign(at, line, root.Name+"."+whole.Sel.Name)})
		}
	}
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			if inInit {
				inInit = false
				ast.Inspect(n.Body, visit)
				inInit = true
				return false
			}
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					changed(e, "is changed")
				}
			}
		case *ast.IncDecStmt:
			changed(n.X, "is changed")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				changed(n.Key, "is changed")
				changed(n.Value, "is changed")
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed(n.X, "has its address taken")
			}
		case *ast.CallExpr:
			name, ok := n.Fun.(*ast.Ident)
			if ok && name.Obj == nil && len(n.Args) > 0 && (name.Name == "delete" || name.Name == "clear" || name.Name == "copy") {
				changed(n.Args[0], "is changed")
			}
		}
		return true
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		inInit = ok && f.Recv == nil && f.Name.Name == "init"
		ast.Inspect(d, visit)
	}
}

// rootOf finds the variable that an expression is a part of: x of x.f[i]. whole is the innermost selector, of x.f.
func rootOf(e ast.Expr) (root *ast.Ident, whole *ast.SelectorExpr) {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x, whole
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e, whole = x.X, x
		default:
			return nil, nil
		}
	}
}

// isVar reports whether a name means a package variable there.
func (c *checker) isVar(file *ast.File, name *ast.Ident) bool {
	v := c.vars[name.Name]
	if v == nil {
		return false
	}
	if name.Obj == nil {
		return v.file != file // of another file: not resolved
	}
	return name.Obj == v.obj
}
