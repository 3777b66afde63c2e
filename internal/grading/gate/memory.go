package gate

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"

	"distlabs/internal/grading/plain"
	"distlabs/internal/harness/globals"
)

// sharedMemory refuses memory that the nodes of a lab would share: package variables that change or can be reached by
// reference, and variables of other packages.
func (c *checker) sharedMemory() string {
	if c.pkg == nil {
		return ""
	}
	for _, v := range c.packageVars() {
		if which := c.declaredToChange(v); which != "" {
			return c.shared(v.obj, which)
		}
	}
	return c.first(func(n ast.Node, parents []ast.Node) string {
		id, ok := n.(*ast.Ident)
		if !ok {
			return c.location(n, parents)
		}
		v, ok := c.info.Uses[id].(*types.Var)
		if !ok || v.IsField() || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() {
			return c.location(n, parents)
		}
		if v.Pkg() != c.pkg {
			return c.foreign(id, v, parents)
		}
		if how := c.useChanges(id, parents); how != "" {
			return c.shared(v, fmt.Sprintf("%s in line %d", how, c.line(id.Pos())))
		}
		return ""
	})
}

func (c *checker) shared(v types.Object, which string) string {
	p := c.set.PositionFor(v.Pos(), false)
	return globals.Shared(p.Filename, p.Line, plain.Word(v.Name()), which)
}

// packageVar is a package variable with what its declaration says.
type packageVar struct {
	obj   *types.Var
	value ast.Expr // nil if it has none, or one of several that a call returns
	call  bool     // one of several that a call returns
}

// packageVars lists the package variables that have a name, in the order of files and lines.
func (c *checker) packageVars() []packageVar {
	var vars []packageVar
	for _, file := range c.files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					obj, ok := c.info.Defs[name].(*types.Var)
					if !ok || name.Name == "_" {
						continue
					}
					v := packageVar{obj: obj, call: len(spec.Values) == 1 && len(spec.Names) > 1}
					if len(spec.Values) == len(spec.Names) {
						v.value = spec.Values[i]
					}
					vars = append(vars, v)
				}
			}
		}
	}
	return vars
}

// declaredToChange completes "which …" for a variable that no way of using it could make safe; "" for the others.
func (c *checker) declaredToChange(v packageVar) string {
	t := v.obj.Type()
	if kept := keptByNature(t); kept != "" {
		return kept
	}
	switch t.Underlying().(type) {
	case *types.Interface:
		switch {
		case v.value == nil && !v.call: // nil for good, as nothing may assign to it
		case v.value != nil && c.isPointer(v.value):
			return "is a pointer"
		case v.value == nil || !c.fixed(v.value):
			return mayChange
		}
	case *types.Signature:
		if v.call || v.value != nil && !c.plainFunc(v.value) {
			return mayRemember
		}
	case *types.Pointer, *types.Chan:
		if v.call || v.value != nil {
			return "is a " + kindOf(t)
		}
	default:
		switch {
		case !isTable(t):
			return "holds references to what could change"
		case v.call:
			return c.risk(t)
		case v.value != nil:
			return c.parts(v.value, t)
		}
	}
	return ""
}

// keptByNature says that a type is made to be changed by several goroutines.
func keptByNature(t types.Type) string {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return ""
	}
	if _, ok := named.Underlying().(*types.Struct); ok {
		switch path := named.Obj().Pkg().Path(); path {
		case "sync", "sync/atomic", "math/rand", "math/rand/v2", "container/list", network:
			return "is a " + named.Obj().Pkg().Name() + "." + named.Obj().Name()
		}
	}
	return ""
}

func (c *checker) isPointer(e ast.Expr) bool {
	t := c.info.Types[e].Type
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

func kindOf(t types.Type) string {
	if _, ok := t.Underlying().(*types.Chan); ok {
		return "channel"
	}
	return "pointer"
}

// fixed reports whether the value of an interface is one that cannot change: nil, an error of the errors package, another
// error variable, or a value without references.
func (c *checker) fixed(e ast.Expr) bool {
	e = ast.Unparen(e)
	tv := c.info.Types[e]
	if tv.IsNil() || tv.Value != nil {
		return true
	}
	if v := c.variable(e); v != nil && types.IsInterface(v.Type()) {
		return v.Parent() == v.Pkg().Scope() && isError(v.Type()) // itself refused if it could change
	}
	call, ok := e.(*ast.CallExpr)
	if ok && c.info.Types[call.Fun].IsType() && len(call.Args) == 1 && types.IsInterface(tv.Type) {
		return c.fixed(call.Args[0])
	}
	if ok {
		switch c.callee(call) {
		case "errors.New":
			return true
		case "fmt.Errorf":
			return c.fixedText(call)
		}
	}
	return tv.Type != nil && !types.IsInterface(tv.Type) && isImmutable(tv.Type)
}

// fixedText reports whether a call of fmt.Errorf makes an error that cannot change. The error may keep the arguments (%w), and one that
// wraps twice hands out the list in which it has what it wraps.
func (c *checker) fixedText(call *ast.CallExpr) bool {
	if len(call.Args) == 0 || call.Ellipsis.IsValid() {
		return false
	}
	format := c.info.Types[call.Args[0]].Value
	if format == nil || format.Kind() != constant.String {
		return false
	}
	text := constant.StringVal(format)
	if len(wrapping.FindAllString(text, 2)) > 1 || indexed.MatchString(text) {
		return false
	}
	return !slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return !c.fixed(a) })
}

var (
	wrapping = regexp.MustCompile(`%[^a-zA-Z%]*w`)  // the verb %w; fmt wants no error for it
	indexed  = regexp.MustCompile(`%[^a-zA-Z%]*\[`) // a verb that names its argument
)

// variable is the variable that an expression names, or nil.
func (c *checker) variable(e ast.Expr) *types.Var {
	switch e := e.(type) {
	case *ast.Ident:
		v, _ := c.info.Uses[e].(*types.Var)
		return v
	case *ast.SelectorExpr:
		if v, ok := c.info.Uses[e.Sel].(*types.Var); ok && !v.IsField() {
			return v
		}
	}
	return nil
}

// callee names the function of another package that is called; "" if it is anything else.
func (c *checker) callee(call *ast.CallExpr) string {
	fun := ast.Unparen(call.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	f, ok := c.info.Uses[sel.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || f.Signature().Recv() != nil {
		return ""
	}
	return f.Pkg().Path() + "." + f.Name()
}

// plainFunc reports whether a function value can keep nothing between its calls: a declared function, or a literal outside
// every function, which has no variables around it but the package's.
func (c *checker) plainFunc(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return true
	case *ast.Ident:
		_, isFunc := c.info.Uses[e].(*types.Func)
		return isFunc || c.info.Types[e].IsNil()
	case *ast.SelectorExpr:
		// Not a method of a value: it would keep the value.
		sel := c.info.Selections[e]
		_, isFunc := c.info.Uses[e.Sel].(*types.Func)
		return isFunc && (sel == nil || sel.Kind() == types.MethodExpr)
	case *ast.IndexExpr:
		return c.plainFunc(e.X)
	}
	return false
}

// foreign judges the use of a variable of another package.
func (c *checker) foreign(id *ast.Ident, v *types.Var, parents []ast.Node) string {
	name := plain.Word(v.Pkg().Name() + "." + v.Name())
	p := c.set.PositionFor(id.Pos(), false)
	if how := c.useChanges(id, parents); how != "" && !isLocation(v.Type()) {
		return globals.Foreign(p.Filename, p.Line, name)
	}
	if isLocation(v.Type()) {
		return c.location(parents[len(parents)-1], parents[:len(parents)-1])
	}
	if !isError(v.Type()) && !isImmutable(v.Type()) {
		return globals.Foreign(p.Filename, p.Line, name)
	}
	return ""
}

func isNamed(t types.Type, path, name string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == name && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == path
}

func isError(t types.Type) bool { return types.Identical(t, anyError) }

var anyError = types.Universe.Lookup("error").Type()
