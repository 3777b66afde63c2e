package gate

import (
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reviewed are the exported names of allowed packages by which reflection or an unsafe.Pointer can be reached, each with
// why that is no way through the gate.
var reviewed = map[string]string{
	"sync/atomic.CompareAndSwapPointer": "the type check refuses its mention",
	"sync/atomic.LoadPointer":           "the type check refuses its mention",
	"sync/atomic.StorePointer":          "the type check refuses its mention",
	"sync/atomic.SwapPointer":           "the type check refuses its mention",
}

// No allowed package, the network included, hands out reflection or an unsafe.Pointer, by whatever chain of
// fields, results, parameters of callbacks, methods and type parameters. A new Go may change that: look at what it says,
// and take the package off the list unless the type check stops every use.
func TestReach(t *testing.T) {
	p := packages(t)
	found := map[string]string{}
	for _, path := range allowed {
		pkg, err := p.Import(path)
		require.NoError(t, err)
		for _, name := range pkg.Scope().Names() {
			obj := pkg.Scope().Lookup(name)
			if path == network && !slices.Contains(nodes, name) {
				continue // refused by name
			}
			if !obj.Exported() {
				continue
			}
			if chain := chainTo(obj); chain != "" {
				found[path+"."+name] = chain
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		require.Contains(t, reviewed, name, "%s: %s", name, found[name])
		t.Logf("%s: %s: %s", name, found[name], reviewed[name])
	}
	for name := range reviewed {
		require.Contains(t, found, name, "is no longer there: take it off the list")
	}
}

// The scan finds what it is for, in the packages that were on the list and those that could be thought harmless.
func TestReachFinds(t *testing.T) {
	p := packages(t)
	for path, name := range map[string]string{"sync/atomic": "LoadPointer"} {
		pkg, err := p.Import(path)
		require.NoError(t, err)
		require.NotEmpty(t, chainTo(pkg.Scope().Lookup(name)))
	}
	std := exports(t, "encoding/json", "reflect")
	for path, name := range map[string]string{"encoding/json": "UnsupportedValueError", "reflect": "TypeOf"} {
		pkg, err := std.Import(path)
		require.NoError(t, err)
		require.NotEmpty(t, chainTo(pkg.Scope().Lookup(name)), path)
	}
}

// chainTo follows everything that can be got from an object, breadth first, and returns the way to something hidden; "" if
// there is none.
func chainTo(obj types.Object) string {
	type step struct {
		typ   types.Type
		chain string
	}
	seen := map[types.Type]bool{}
	queue := []step{{obj.Type(), obj.Name()}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if s.typ == nil || seen[s.typ] {
			continue
		}
		seen[s.typ] = true
		next := func(t types.Type, how string) { queue = append(queue, step{t, s.chain + how}) }
		switch t := s.typ.(type) {
		case *types.Basic:
			if t.Kind() == types.UnsafePointer {
				return s.chain + " is an unsafe.Pointer"
			}
		case *types.Alias:
			next(types.Unalias(t), "")
		case *types.Named:
			if ofReflect(t.Obj().Pkg()) {
				return s.chain + " is a " + t.String()
			}
			next(t.Underlying(), "")
			for arg := range t.TypeArgs().Types() {
				next(arg, "[…]")
			}
			for param := range t.TypeParams().TypeParams() {
				next(param.Constraint(), "[constraint]")
			}
			methods := types.NewMethodSet(types.NewPointer(t)) // of embedded types too
			for i := range methods.Len() {
				if m := methods.At(i).Obj(); m.Exported() {
					next(m.Type(), "."+m.Name()+"()")
				}
			}
		case *types.Pointer:
			next(t.Elem(), "")
		case *types.Slice:
			next(t.Elem(), "[]")
		case *types.Array:
			next(t.Elem(), "[]")
		case *types.Chan:
			next(t.Elem(), "<-")
		case *types.Map:
			next(t.Key(), "[key]")
			next(t.Elem(), "[]")
		case *types.Tuple:
			for v := range t.Variables() {
				next(v.Type(), "")
			}
		case *types.Signature:
			for param := range t.TypeParams().TypeParams() {
				next(param.Constraint(), "[constraint]")
			}
			next(t.Params(), "(…)")
			next(t.Results(), "")
		case *types.Struct:
			for f := range t.Fields() {
				if f.Exported() {
					next(f.Type(), "."+f.Name())
				}
			}
		case *types.Interface:
			for m := range t.Methods() {
				if m.Exported() {
					next(m.Type(), "."+m.Name()+"()")
				}
			}
			for e := range t.EmbeddedTypes() {
				next(e, "")
			}
		case *types.Union:
			for term := range t.Terms() {
				next(term.Type(), "")
			}
		}
	}
	return ""
}

// The variables of the allowed packages are memory that all nodes share. Those that a submission may read cannot change.
func TestVariablesOfAllowedPackages(t *testing.T) {
	var kept []string
	for _, path := range allowed {
		pkg, err := packages(t).Import(path)
		require.NoError(t, err)
		for _, name := range pkg.Scope().Names() {
			v, ok := pkg.Scope().Lookup(name).(*types.Var)
			if ok && v.Exported() && !isError(v.Type()) && !isImmutable(v.Type()) {
				kept = append(kept, path+"."+name)
			}
		}
	}
	// Check refuses any other use of these two than as an argument to a function of package time.
	require.Equal(t, "time.Local time.UTC", strings.Join(kept, " "))
}
