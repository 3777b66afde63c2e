package gate

import (
	"go/ast"
	"go/types"
	"slices"
)

// maxHops bounds over how many names in a row a table is followed; one that is handed on further counts as changed.
const maxHops = 20

// follower finds what becomes of a table that gets further names: local variables, parameters and results.
type follower struct {
	parent   map[ast.Node]ast.Node
	uses     map[types.Object][]*ast.Ident // in the order of files and lines
	required map[string]bool               // the names of the methods of interfaces
	judged   map[types.Object]bool         // true also while it is being judged: the package is refused for any false
	hops     int
}

// follow reads the package, once.
func (c *checker) follow() *follower {
	if c.follows != nil {
		return c.follows
	}
	f := &follower{parent: map[ast.Node]ast.Node{}, uses: map[types.Object][]*ast.Ident{}, required: map[string]bool{}, judged: map[types.Object]bool{}}
	c.first(func(n ast.Node, parents []ast.Node) string {
		if len(parents) > 0 {
			f.parent[n] = parents[len(parents)-1]
		}
		id, ok := n.(*ast.Ident)
		if !ok {
			return ""
		}
		obj := c.info.Uses[id]
		if fun, ok := obj.(*types.Func); ok {
			obj = fun.Origin()
		}
		if obj != nil {
			f.uses[obj] = append(f.uses[obj], id)
		}
		if fun, ok := c.info.Defs[id].(*types.Func); ok && isInterfaceMethod(fun) {
			f.required[fun.Name()] = true
		}
		return ""
	})
	c.follows = f
	return f
}

func isInterfaceMethod(f *types.Func) bool {
	recv := f.Signature().Recv()
	return recv != nil && types.IsInterface(recv.Type())
}

// parents lists what is around a node, as first does.
func (f *follower) parents(n ast.Node) []ast.Node {
	var all []ast.Node
	for p := f.parent[n]; p != nil; p = f.parent[p] {
		all = append(all, p)
	}
	slices.Reverse(all)
	return all
}

// staysReadOnly reports whether e, a table or a part of one, gets a further name here, of which every use only reads it.
func (c *checker) staysReadOnly(e ast.Expr, parent ast.Node, above []ast.Node) bool {
	switch p := parent.(type) {
	case *ast.AssignStmt:
		i := slices.Index(p.Rhs, e)
		return i >= 0 && i < len(p.Lhs) && c.nameReads(p.Lhs[i])
	case *ast.ValueSpec:
		i := slices.Index(p.Values, e)
		return i >= 0 && i < len(p.Names) && c.nameReads(p.Names[i])
	case *ast.RangeStmt:
		return p.X == e && (p.Value == nil || c.nameReads(p.Value))
	case *ast.CallExpr:
		i, f := slices.Index(p.Args, e), c.ownFunc(p.Fun)
		if i < 0 || f == nil || f.Signature().Params().Len() == 0 {
			return false
		}
		params := f.Signature().Params()
		if last := params.Len() - 1; f.Signature().Variadic() && i >= last && !p.Ellipsis.IsValid() && types.IsInterface(params.At(last).Type().(*types.Slice).Elem()) {
			return false
		}
		return c.onlyReads(params.At(min(i, params.Len()-1)))
	case *ast.ReturnStmt:
		for _, n := range slices.Backward(above) {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.FuncDecl:
				f, ok := c.info.Defs[n.Name].(*types.Func)
				return ok && c.resultReads(f)
			}
		}
	}
	return false
}

// nameReads is onlyReads for the variable that an expression names, if it is one.
func (c *checker) nameReads(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	if !ok {
		return false
	}
	if id.Name == "_" {
		return true
	}
	v, ok := c.info.ObjectOf(id).(*types.Var)
	return ok && c.onlyReads(v)
}

// ownFunc is the function or method of the package that is called; nil if it is anything else or is not known before run time.
func (c *checker) ownFunc(fun ast.Expr) *types.Func {
	var id *ast.Ident
	switch fun := ast.Unparen(fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		if sel := c.info.Selections[fun]; sel == nil || sel.Kind() != types.MethodVal {
			return nil
		}
		id = fun.Sel
	default:
		return nil
	}
	f, ok := c.info.Uses[id].(*types.Func)
	if !ok || f.Pkg() != c.pkg || isInterfaceMethod(f) {
		return nil
	}
	return f.Origin()
}

// onlyReads reports whether every use of a variable of a function only reads the table that it holds.
func (c *checker) onlyReads(v *types.Var) bool {
	if v.Pkg() != c.pkg {
		return false // a method of another package's
	}
	if k := v.Kind(); k != types.LocalVar && k != types.ParamVar && k != types.RecvVar || !isTable(v.Type()) {
		return false // a named result goes to the caller
	}
	return c.judge(v, func(id *ast.Ident, parents []ast.Node) bool { return c.useChanges(id, parents) == "" })
}

// pointerReads reports whether a method only reads what its receiver, a pointer, points to: each use of the receiver is a read of a
// field, or a call of such a method.
func (c *checker) pointerReads(recv *types.Var) bool {
	if p, ok := recv.Type().(*types.Pointer); !ok || !isTable(p.Elem()) {
		return false
	}
	return c.judge(recv, func(id *ast.Ident, parents []ast.Node) bool {
		sel, ok := parents[len(parents)-1].(*ast.SelectorExpr)
		return ok && sel.X == id && c.useChanges(id, parents) == ""
	})
}

// resultReads reports whether every use of a function is a call, of which the only result is only read. Not of one that others may
// call: an exported one, or one that an interface may stand for; and not if the result has a name, by which a deferred call could change it.
func (c *checker) resultReads(f *types.Func) bool {
	results := f.Signature().Results()
	if f.Exported() || results.Len() != 1 || results.At(0).Name() != "" || !isTable(results.At(0).Type()) || f.Signature().Recv() != nil && c.follow().required[f.Name()] {
		return false
	}
	return c.judge(f, func(id *ast.Ident, parents []ast.Node) bool {
		var fun ast.Expr = id
		i := len(parents) - 1
		if sel, ok := parents[i].(*ast.SelectorExpr); ok && sel.Sel == id {
			fun, i = sel, i-1
		}
		call, ok := parents[i].(*ast.CallExpr)
		return ok && call.Fun == fun && c.valueChanges(call, parents[:i]) == ""
	})
}

// judge reports whether all uses of a name are good.
func (c *checker) judge(obj types.Object, good func(id *ast.Ident, parents []ast.Node) bool) bool {
	f := c.follow()
	if reads, ok := f.judged[obj]; ok {
		return reads
	}
	if f.hops == maxHops {
		return false
	}
	f.hops++
	defer func() { f.hops-- }()
	f.judged[obj] = true
	for _, id := range f.uses[obj] {
		if !good(id, f.parents(id)) {
			f.judged[obj] = false
			break
		}
	}
	return f.judged[obj]
}
