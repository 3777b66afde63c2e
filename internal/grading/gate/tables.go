package gate

import "go/types"

// maxTypeDepth bounds how deep types are looked into; what is deeper counts as unsafe.
const maxTypeDepth = 20

// isImmutable reports whether a value of the type has no part that a copy of it would share.
func isImmutable(t types.Type, depth int) bool {
	if depth > maxTypeDepth {
		return false
	}
	if isNamed(t, "time", "Time") {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() != types.UnsafePointer
	case *types.Array:
		return isImmutable(u.Elem(), depth+1)
	case *types.Struct:
		for f := range u.Fields() {
			if !isImmutable(f.Type(), depth+1) {
				return false
			}
		}
		return keptByNature(t) == ""
	}
	return false
}

// isTable reports whether a type is made of values, functions, slices and maps only: what is safe as long as it is only read, and its
// functions remember nothing.
func isTable(t types.Type, depth int) bool {
	if depth > maxTypeDepth {
		return false
	}
	if isImmutable(t, depth) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Signature:
		return true
	case *types.Array:
		return isTable(u.Elem(), depth+1)
	case *types.Slice:
		return isTable(u.Elem(), depth+1)
	case *types.Map:
		return isTable(u.Key(), depth+1) && isTable(u.Elem(), depth+1)
	case *types.Struct:
		for f := range u.Fields() {
			if !isTable(f.Type(), depth+1) {
				return false
			}
		}
		return keptByNature(t) == ""
	}
	return false
}

// holdsFunc reports whether a table has functions; what is too deep counts as having some.
func holdsFunc(t types.Type, depth int) bool {
	if depth > maxTypeDepth {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Signature:
		return true
	case *types.Array:
		return holdsFunc(u.Elem(), depth+1)
	case *types.Slice:
		return holdsFunc(u.Elem(), depth+1)
	case *types.Map:
		return holdsFunc(u.Elem(), depth+1)
	case *types.Struct:
		for f := range u.Fields() {
			if holdsFunc(f.Type(), depth+1) {
				return true
			}
		}
	}
	return false
}
