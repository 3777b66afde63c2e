package generate

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// otherVariable uses another variable of the function that has the same type.
func (m *maker) otherVariable(id *ast.Ident, stack []ast.Node) {
	v, ok := m.info.Uses[id].(*types.Var)
	if !ok || v.IsField() || m.function == nil || !m.isPlain(v.Type()) || len(stack) == 0 || v.Parent() == m.types.Scope() {
		return
	}
	switch parent := stack[len(stack)-1].(type) {
	case *ast.KeyValueExpr:
		if parent.Key == id && m.info.Types[parent.Value].Type != nil && isFieldKey(m.info, id) {
			return
		}
	case *ast.AssignStmt:
		if slices.Contains(parent.Lhs, ast.Expr(id)) {
			return
		}
	case *ast.UnaryExpr:
		if parent.Op == token.AND {
			return
		}
	case *ast.RangeStmt:
		if parent.Key == id || parent.Value == id {
			return
		}
	}
	if other := m.next(v, m.variablesAt(id)); other != nil {
		m.replace(Variable, id, other.Name())
	}
}

func isFieldKey(info *types.Info, id *ast.Ident) bool {
	v, ok := info.Uses[id].(*types.Var)
	return ok && v.IsField()
}

// variablesAt lists the variables that are seen where an identifier stands, in the order of their declarations.
func (m *maker) variablesAt(id *ast.Ident) []*types.Var {
	var list []*types.Var
	scope := m.types.Scope().Innermost(id.Pos())
	for s := scope; s != nil && s != m.types.Scope(); s = s.Parent() {
		for _, name := range s.Names() {
			v, ok := s.Lookup(name).(*types.Var)
			if !ok || name == "_" || v.Pos() >= id.Pos() {
				continue
			}
			if _, seen := scope.LookupParent(name, id.Pos()); seen == v {
				list = append(list, v)
			}
		}
	}
	slices.SortFunc(list, func(a, b *types.Var) int { return int(a.Pos() - b.Pos()) })
	return list
}

// otherField uses another field of the same struct that has the same type.
func (m *maker) otherField(e *ast.SelectorExpr, parent ast.Node) {
	s, ok := m.info.Selections[e]
	if !ok || s.Kind() != types.FieldVal || len(s.Index()) != 1 {
		return
	}
	v := s.Obj().(*types.Var)
	if v.Pkg() != m.types || !m.isPlain(v.Type()) {
		return
	}
	t := s.Recv()
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	of, ok := t.Underlying().(*types.Struct)
	if !ok {
		return
	}
	var fields []*types.Var
	for f := range of.Fields() {
		fields = append(fields, f)
	}
	if other := m.next(v, fields); other != nil {
		m.replace(Variable, e.Sel, other.Name())
	}
}

// next is the variable of the same type that comes after v in a list, from its beginning on after its end.
func (m *maker) next(v *types.Var, list []*types.Var) *types.Var {
	list = slices.DeleteFunc(slices.Clone(list), func(o *types.Var) bool { return !types.Identical(o.Type(), v.Type()) })
	at := slices.Index(list, v)
	if at < 0 || len(list) < 2 {
		return nil
	}
	return list[(at+1)%len(list)]
}

// isPlain reports whether exchanging two variables of a type is more than a crash: they hold data, not a part of the machinery.
func (m *maker) isPlain(t types.Type) bool {
	if isNamed(t, "sync", "Mutex") || isNamed(t, "sync", "RWMutex") || isNamed(t, "context", "Context") || t == types.Universe.Lookup("error").Type() {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Signature, *types.Chan, *types.Pointer:
		return false
	}
	return true
}
