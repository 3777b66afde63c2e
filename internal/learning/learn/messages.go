package learn

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"distlabs/internal/grading/course"
)

func isMethod(obj types.Object) bool {
	f, ok := obj.(*types.Func)
	return ok && f.Signature().Recv() != nil
}

// messages is lab 05's wire.go with what the student added to lab 04's: fields of
// structs that both have, and declarations that only the student has. It is nil if
// nothing was added. All of this is insertion: what lab 05's file says stays.
func (s *serverSource) messages(c *course.Course) ([]byte, error) {
	stub, err := Stub(c, File{carryFrom, wire})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(File{CarryTo, wire}.in(c))
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	fset := token.NewFileSet()
	base, err := parser.ParseFile(fset, wire, stub, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("learn: the stub of wire.go: %w", err)
	}
	target, err := parser.ParseFile(fset, filepath.Base(wire), text, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("learn: labs/%s/%s does not parse, so nothing was changed: %w", CarryTo, wire, err)
	}
	before, have := structs(base), structs(target)
	edits := map[int][]byte{} // by offset in text
	for name, mine := range structs(s.files[wire]) {
		there, ok := have[name]
		if !ok {
			continue
		}
		for _, field := range mine.Fields.List {
			if added := s.newField(field, before[name], there); added != nil {
				at := fset.Position(there.Fields.Closing).Offset
				edits[at] = append(edits[at], added...)
				s.notes = append(s.notes, fmt.Sprintf("%s keeps the field that you added: %s", name, bytes.TrimSpace(added)))
			}
		}
	}
	known := declared(base, target)
	imports := map[string]*ast.ImportSpec{}
	for _, d := range s.files[wire].Decls {
		names := declares(d)
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return known[n] }) {
			continue
		}
		edits[len(text)] = append(edits[len(text)], fmt.Sprintf("\n%s\n", s.slice(wire, d))...)
		s.importsOf(s.files[wire], d, imports)
		s.notes = append(s.notes, fmt.Sprintf("%s came along from %s", names[0], wire))
	}
	if len(edits) == 0 {
		return nil, nil
	}
	merged, err := format.Source(insert(text, edits))
	if err != nil {
		return nil, fmt.Errorf("learn: wire.go cannot be merged: %w", err)
	}
	return withImports(merged, imports)
}

// newField is the text of a field that neither the stub nor lab 05 has, or nil.
func (s *serverSource) newField(field *ast.Field, stub, there *ast.StructType) []byte {
	for _, id := range field.Names {
		if stub != nil && hasField(stub, id.Name) || hasField(there, id.Name) {
			return nil
		}
	}
	if len(field.Names) == 0 {
		return nil // embedded: no message of ours has one
	}
	from := s.pkg.Fset.Position(field.Pos()).Offset
	return fmt.Appendf(nil, "\n%s\n", s.text[wire][from:s.pkg.Fset.Position(field.End()).Offset])
}

func hasField(t *ast.StructType, name string) bool {
	return slices.ContainsFunc(t.Fields.List, func(f *ast.Field) bool {
		return slices.ContainsFunc(f.Names, func(id *ast.Ident) bool { return id.Name == name })
	})
}

// structs lists a file's struct types by name.
func structs(f *ast.File) map[string]*ast.StructType {
	found := map[string]*ast.StructType{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if t, ok := spec.Type.(*ast.StructType); ok {
				found[spec.Name.Name] = t
			}
		}
		return true
	})
	return found
}

// declares lists the names that a declaration makes, a method as T.Name.
func declares(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil && len(d.Recv.List) == 1 {
			name = types.ExprString(d.Recv.List[0].Type) + "." + name
		}
		return []string{name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, spec.Name.Name)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

func declared(files ...*ast.File) map[string]bool {
	names := map[string]bool{}
	for _, f := range files {
		for _, d := range f.Decls {
			for _, name := range declares(d) {
				names[name] = true
			}
		}
	}
	return names
}

// insert puts texts at offsets.
func insert(text []byte, edits map[int][]byte) []byte {
	var out []byte
	from := 0
	for _, at := range slices.Sorted(maps.Keys(edits)) {
		out = append(append(out, text[from:at]...), edits[at]...)
		from = at
	}
	return append(out, text[from:]...)
}
