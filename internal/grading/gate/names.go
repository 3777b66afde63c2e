package gate

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"distlabs/internal/grading/plain"
)

// names refuses declarations by which a submission would change what the tests' words mean, and the parts of the network that
// are for tests.
func (c *checker) names() string {
	if c.pkg == nil {
		return ""
	}
	taken, all := c.testNames()
	scope := c.pkg.Scope()
	objects := make([]types.Object, 0, scope.Len())
	for _, name := range scope.Names() {
		objects = append(objects, scope.Lookup(name))
	}
	slices.SortFunc(objects, func(a, b types.Object) int { return int(a.Pos() - b.Pos()) })
	for _, obj := range objects {
		name := obj.Name()
		switch {
		case types.Universe.Lookup(name) != nil:
			return c.at(obj.Pos()) + fmt.Sprintf("the name %s is Go's own: a submission may not give it another meaning for the whole package", name)
		case taken[name] && (all || obj.Exported()):
			return c.at(obj.Pos()) + fmt.Sprintf("the tests declare the name %s: give yours another one", plain.Word(name))
		}
	}
	if refused := c.equalConstants(scope); refused != "" {
		return refused
	}
	return c.first(func(n ast.Node, _ []ast.Node) string {
		id, ok := n.(*ast.Ident)
		if !ok {
			return ""
		}
		obj := c.info.Uses[id]
		if obj == nil || obj.Pkg() == nil || obj.Pkg().Path() != network || obj.Parent() != obj.Pkg().Scope() || slices.Contains(nodes, obj.Name()) {
			return ""
		}
		return c.at(id.Pos()) + fmt.Sprintf("labrpc.%s is for tests: a submission may use of labrpc only what a node has (%s)", obj.Name(), strings.Join(nodes, ", "))
	})
}

// testNames lists the names that the lab's tests declare for their package. All of them count if that is the student's own
// package; if the tests import it under the name ".", those with a capital letter do.
func (c *checker) testNames() (taken map[string]bool, all bool) {
	taken = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.src.Tests)) {
		file, err := parser.ParseFile(token.NewFileSet(), name, c.src.Tests[name], parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		all = all || file.Name.Name == c.src.Lab.Package && len(file.Decls) > len(file.Imports)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					taken[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						taken[spec.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							taken[n.Name] = true
						}
					}
				}
			}
		}
	}
	delete(taken, "init")
	delete(taken, "_")
	return taken, all
}

// equalConstants refuses two constants of the lab's own that are equal: Before and After, say, for every order to be right.
func (c *checker) equalConstants(scope *types.Scope) string {
	seen := map[string]*types.Const{}
	for _, name := range c.stubConstants() {
		obj, ok := scope.Lookup(name).(*types.Const)
		if !ok || obj.Val().Kind() == constant.Unknown {
			continue
		}
		named, ok := obj.Type().(*types.Named)
		if !ok || named.Obj().Pkg() != c.pkg {
			continue
		}
		key := named.Obj().Name() + " " + obj.Val().ExactString()
		if other := seen[key]; other != nil {
			return c.at(obj.Pos()) + fmt.Sprintf("the constants %s and %s are equal: they must stay different", other.Name(), name)
		}
		seen[key] = obj
	}
	return ""
}

// stubConstants lists the constants with a capital letter that the lab was handed out with.
func (c *checker) stubConstants() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.src.Stubs)) {
		file, err := parser.ParseFile(token.NewFileSet(), name, c.src.Stubs[name], parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, spec := range g.Specs {
					for _, n := range spec.(*ast.ValueSpec).Names {
						if n.IsExported() {
							names = append(names, n.Name)
						}
					}
				}
			}
		}
	}
	return names
}
