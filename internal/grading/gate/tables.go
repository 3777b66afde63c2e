package gate

import (
	"cmp"
	"go/ast"
	"go/types"
)

// maxTypes bounds how many types a type may be made of; one of more counts as unsafe.
const maxTypes = 1000

// met are the types that a walk has looked into. Each is looked into once, so that a type which mentions itself ends, and one which
// mentions another twice takes no longer.
type met map[types.Type]bool

// again reports whether the walk has met the type before, and notes that it has now.
func (m met) again(t types.Type) bool {
	before := m[t]
	m[t] = true
	return before
}

// isImmutable reports whether a value of the type has no part that a copy of it would share.
func isImmutable(t types.Type) bool { return isMadeOf(t, met{}, false) }

// isTable reports whether a type is made of values, functions, errors, slices and maps only: what is safe as long as it is only read,
// its functions remember nothing and its errors cannot change.
func isTable(t types.Type) bool { return isMadeOf(t, met{}, true) }

// isMadeOf reports whether a type is made of values only; with shared, also of what a table may have.
func isMadeOf(t types.Type, seen met, shared bool) bool {
	if seen.again(t) || isNamed(t, "time", "Time") {
		return true
	}
	if len(seen) > maxTypes {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() != types.UnsafePointer
	case *types.Array:
		return isMadeOf(u.Elem(), seen, shared)
	case *types.Struct:
		for f := range u.Fields() {
			if !isMadeOf(f.Type(), seen, shared) {
				return false
			}
		}
		return keptByNature(t) == ""
	case *types.Signature:
		return shared
	case *types.Interface:
		return shared && isError(t)
	case *types.Slice:
		return shared && isMadeOf(u.Elem(), seen, shared)
	case *types.Map:
		return shared && isMadeOf(u.Key(), seen, shared) && isMadeOf(u.Elem(), seen, shared)
	}
	return false
}

// isValue reports whether what a table has of the type may be handed out.
func isValue(t types.Type) bool { return isImmutable(t) || isError(t) }

const (
	mayRemember = "holds a function that may remember something"
	mayChange   = "holds a value that could change (an error made by errors.New could not)"
)

// unproved completes "which …" for a table of a type that does not prove it safe: it has functions or errors. "" for the others.
func unproved(t types.Type, seen met) string {
	if seen.again(t) {
		return ""
	}
	if isError(t) {
		return mayChange
	}
	switch u := t.Underlying().(type) {
	case *types.Signature:
		return mayRemember
	case *types.Array:
		return unproved(u.Elem(), seen)
	case *types.Slice:
		return unproved(u.Elem(), seen)
	case *types.Map:
		return cmp.Or(unproved(u.Key(), seen), unproved(u.Elem(), seen))
	case *types.Struct:
		for f := range u.Fields() {
			if how := unproved(f.Type(), seen); how != "" {
				return how
			}
		}
	}
	return ""
}

// parts completes "which …" for a table that has a function or an error which its literal does not prove safe; "" if all are safe. t is
// the type of the place that e fills, which may be an interface where e's own is none.
func (c *checker) parts(e ast.Expr, t types.Type) string {
	how := unproved(t, met{})
	if how == "" || c.info.Types[e].IsNil() || isError(t) && c.fixed(e) || isSignature(t) && c.plainFunc(e) {
		return ""
	}
	if types.IsInterface(t) {
		return how // a literal of a type of its own, which may be a map
	}
	switch lit := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		return c.elements(lit, t)
	case *ast.CallExpr:
		if name, ok := c.builtin(lit); ok && name == "make" {
			return ""
		}
	}
	return how
}

// elements is parts for all that a literal of type t has.
func (c *checker) elements(lit *ast.CompositeLit, t types.Type) string {
	for i, elt := range lit.Elts {
		var key ast.Expr
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			key, elt = kv.Key, kv.Value
		}
		how := ""
		switch u := t.Underlying().(type) {
		case *types.Array:
			how = c.parts(elt, u.Elem())
		case *types.Slice:
			how = c.parts(elt, u.Elem())
		case *types.Map:
			how = cmp.Or(c.parts(key, u.Key()), c.parts(elt, u.Elem()))
		case *types.Struct:
			how = c.parts(elt, c.fieldType(u, i, key))
		}
		if how != "" {
			return how
		}
	}
	return ""
}

// fieldType is the type of the field that element i of a struct's literal fills, by its name if it has one; error for code
// that does not compile.
func (c *checker) fieldType(s *types.Struct, i int, name ast.Expr) types.Type {
	if id, ok := name.(*ast.Ident); ok {
		if f, ok := c.info.Uses[id].(*types.Var); ok && f.IsField() {
			return f.Type()
		}
	} else if name == nil && i < s.NumFields() {
		return s.Field(i).Type()
	}
	return anyError
}
