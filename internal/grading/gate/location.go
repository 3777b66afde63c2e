package gate

import (
	"go/ast"
	"go/types"
	"iter"
)

const sharedZone = "a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time"

// location refuses time zones but as an argument to a function of package time: a *time.Location can be overwritten, and
// every time.Time carries one from node to node.
func (c *checker) location(n ast.Node, parents []ast.Node) string {
	if id, ok := n.(*ast.Ident); ok {
		for arg := range c.info.Instances[id].TypeArgs.Types() { // which a function may have by inference, out of a method's result
			if holdsLocation(arg, met{}) {
				return c.at(n.Pos()) + sharedZone
			}
		}
	}
	e, ok := n.(ast.Expr)
	if !ok || c.info.Types[e].Type == nil || !holdsLocation(c.info.Types[e].Type, met{}) {
		return ""
	}
	if sel, ok := e.(*ast.SelectorExpr); ok && isTime(c.info.Uses[sel.Sel]) {
		if _, isFunc := c.info.Uses[sel.Sel].(*types.Func); isFunc {
			if call, ok := parents[len(parents)-1].(*ast.CallExpr); ok && call.Fun == sel && !holdsLocation(resultOf(c.info.Types[sel].Type), met{}) {
				return "" // time.Date(…), t.In(…)
			}
		}
		if v, ok := c.info.Uses[sel.Sel].(*types.Var); ok && v.Parent() == v.Pkg().Scope() {
			if call, ok := parents[len(parents)-1].(*ast.CallExpr); ok && call.Fun != sel {
				if fun, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && isTime(c.info.Uses[fun.Sel]) {
					return ""
				}
			}
		}
	}
	return c.at(n.Pos()) + sharedZone
}

func isTime(obj types.Object) bool {
	return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == "time"
}

func resultOf(t types.Type) types.Type {
	if s, ok := t.(*types.Signature); ok {
		return s.Results()
	}
	return t
}

// holdsLocation reports whether a *time.Location, or one itself, is in a type, where a submission could take it out. A named
// type is not looked into: the expression that takes it out of one has a type of its own.
func holdsLocation(t types.Type, seen met) bool {
	if seen.again(t) {
		return false
	}
	if len(seen) > maxTypes {
		return true
	}
	in := func(t types.Type) bool { return holdsLocation(t, seen) }
	inAny := func(vars iter.Seq[*types.Var]) bool {
		for v := range vars {
			if in(v.Type()) {
				return true
			}
		}
		return false
	}
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		return isLocation(t)
	case *types.Pointer:
		return in(t.Elem())
	case *types.Slice:
		return in(t.Elem())
	case *types.Array:
		return in(t.Elem())
	case *types.Chan:
		return in(t.Elem())
	case *types.Map:
		return in(t.Key()) || in(t.Elem())
	case *types.Tuple:
		return inAny(t.Variables())
	case *types.Signature:
		return in(t.Params()) || in(t.Results())
	case *types.Struct:
		return inAny(t.Fields())
	}
	return false
}

func isLocation(t types.Type) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return isNamed(t, "time", "Location")
}
