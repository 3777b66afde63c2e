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

// kind is what a type may be made of; each has what those before it have.
type kind int

const (
	values kind = iota // nothing that a copy would share
	proved             // functions and errors, which are safe if they remember nothing and cannot change
	tables             // slices and maps, which are safe as long as they are only read
)

// isImmutable reports whether a value of the type has no part that a copy of it would share.
func isImmutable(t types.Type) bool { return isMadeOf(t, values, met{}) }

// isCopy reports whether a table's part of the type may be handed out: its functions and errors are proved where the table is declared.
func isCopy(t types.Type) bool { return isMadeOf(t, proved, met{}) }

// isTable reports whether a type is one of what is safe as long as it is only read, and its functions and errors are proved. An interface
// is not: the table in it could be taken out unseen.
func isTable(t types.Type) bool { return !types.IsInterface(t) && isMadeOf(t, tables, met{}) }

func isMadeOf(t types.Type, most kind, seen met) bool {
	if t == nil {
		return false // of code that does not compile
	}
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
		return isMadeOf(u.Elem(), most, seen)
	case *types.Struct:
		for f := range u.Fields() {
			if !isMadeOf(f.Type(), most, seen) {
				return false
			}
		}
		return keptByNature(t) == ""
	case *types.Signature:
		return most >= proved
	case *types.Interface:
		return most >= proved && isError(t)
	case *types.Slice:
		return most >= tables && isMadeOf(u.Elem(), most, seen)
	case *types.Map:
		return most >= tables && isMadeOf(u.Key(), most, seen) && isMadeOf(u.Elem(), most, seen)
	}
	return false
}

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

// risk is unproved, once for each type: a table may have thousands of rows of one.
func (c *checker) risk(t types.Type) string {
	how, known := c.risks[t]
	if !known {
		how = unproved(t, met{})
		c.risks[t] = how
	}
	return how
}

// parts completes "which …" for a table that has a function or an error which its literal does not prove safe; "" if all are safe. t is
// the type of the place that e fills, which may be an interface where e's own is none.
func (c *checker) parts(e ast.Expr, t types.Type) string {
	how := c.risk(t)
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
