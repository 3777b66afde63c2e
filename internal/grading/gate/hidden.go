package gate

import (
	"go/ast"
	"go/token"
	"go/types"

	"distlabs/internal/grading/plain"
)

// hidden refuses every expression and every name whose type is or contains a type of package reflect or unsafe.Pointer. With
// either a pointer can be given another type, and from there the whole memory of the process is open: the key of the results,
// the tests, every function of the program. Neither package can be imported; but a package that can be may hand out
// their types, as encoding/json does in one of its errors.
func (c *checker) hidden() string {
	return c.first(func(n ast.Node, _ []ast.Node) string {
		var typ types.Type
		switch n := n.(type) {
		case *ast.Ident:
			if obj := c.info.Defs[n]; obj != nil {
				typ = obj.Type()
			} else if obj := c.info.Uses[n]; obj != nil {
				typ = obj.Type()
			}
			if instance, ok := c.info.Instances[n]; ok {
				for arg := range instance.TypeArgs.Types() {
					if name := c.hiddenIn(arg); name != "" {
						return c.refuseHidden(n.Pos(), name)
					}
				}
			}
		case ast.Expr:
			typ = c.info.Types[n].Type
		}
		if obj := c.info.Implicits[n]; obj != nil {
			if name := c.hiddenIn(obj.Type()); name != "" {
				return c.refuseHidden(n.Pos(), name)
			}
		}
		if name := c.hiddenIn(typ); name != "" {
			return c.refuseHidden(n.Pos(), name)
		}
		return ""
	})
}

func (c *checker) refuseHidden(pos token.Pos, name string) string {
	return c.at(pos) + "this has to do with " + name + ": a submission may not use packages reflect and unsafe, however it gets at their types"
}

// hiddenIn names what is hidden in a type; "" if nothing is.
func (c *checker) hiddenIn(t types.Type) string {
	if t == nil || !c.holdsHidden(t) {
		return ""
	}
	return plain.Word(types.TypeString(t, nil))
}

// holdsHidden reports whether a type is or contains a type of package reflect or unsafe.Pointer. Fields without a capital
// letter count only in the submission's own types: those of other packages are out of reach.
func (c *checker) holdsHidden(t types.Type) bool {
	return reaches(t, c.pkg, c.holds)
}

// reaches is holdsHidden for code of the package own; known remembers.
func reaches(t types.Type, own *types.Package, known map[types.Type]bool) bool {
	if holds, ok := known[t]; ok {
		return holds
	}
	// Whatever was seen of a type that holds nothing holds nothing either. The parts of one that does are not known
	// yet: where types contain each other, one of them was left half looked at.
	seen := map[types.Type]bool{}
	holds := search(t, own, known, seen)
	if known[t] = holds; !holds {
		for part := range seen {
			known[part] = false
		}
	}
	return holds
}

func search(t types.Type, own *types.Package, known, seen map[types.Type]bool) bool {
	if holds, ok := known[t]; ok {
		return holds
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	holds := false
	each := func(t types.Type) { holds = holds || search(t, own, known, seen) }
	tuple := func(t *types.Tuple) {
		for v := range t.Variables() {
			each(v.Type())
		}
	}
	switch t := t.(type) {
	case *types.Basic:
		holds = t.Kind() == types.UnsafePointer
	case *types.Alias:
		each(types.Unalias(t))
	case *types.Named:
		holds = ofReflect(t.Obj().Pkg())
		for arg := range t.TypeArgs().Types() {
			each(arg)
		}
		each(t.Underlying())
	case *types.Pointer:
		each(t.Elem())
	case *types.Slice:
		each(t.Elem())
	case *types.Array:
		each(t.Elem())
	case *types.Chan:
		each(t.Elem())
	case *types.Map:
		each(t.Key())
		each(t.Elem())
	case *types.Signature:
		tuple(t.Params())
		tuple(t.Results())
	case *types.Tuple:
		tuple(t)
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Pkg() == own {
				each(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			each(m.Type())
		}
		for e := range t.EmbeddedTypes() {
			each(e)
		}
	case *types.Union:
		for term := range t.Terms() {
			each(term.Type())
		}
	case *types.TypeParam:
		each(t.Constraint())
	}
	return holds
}

// ofReflect reports whether a package's types tell or change what others hide.
func ofReflect(p *types.Package) bool {
	return p != nil && (p.Path() == "reflect" || p.Path() == "internal/reflectlite" || p.Path() == "internal/abi")
}
