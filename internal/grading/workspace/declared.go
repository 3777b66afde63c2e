package workspace

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// declarations are the exported names that a file declares, of functions and methods with their signature: what other
// packages can use of it. A file that cannot be read declares as much as could be read.
func declarations(text []byte) []string {
	file, _ := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if file == nil {
		return nil
	}
	var list []string
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() {
				list = append(list, "func "+receiver(d)+d.Name.Name+signature(d.Type))
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				for _, name := range specified(spec) {
					if name.IsExported() {
						list = append(list, d.Tok.String()+" "+name.Name)
					}
				}
			}
		}
	}
	return list
}

// specified are the names that a type, a constant or a variable is declared under.
func specified(spec ast.Spec) []*ast.Ident {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return []*ast.Ident{s.Name}
	case *ast.ValueSpec:
		return s.Names
	}
	return nil
}

// receiver is a method's, without the name it has there.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	return "(" + types.ExprString(d.Recv.List[0].Type) + ") "
}

// signature is a function's, without the names of parameters and results.
func signature(f *ast.FuncType) string {
	s := "(" + strings.Join(typesOf(f.Params), ", ") + ")"
	switch results := typesOf(f.Results); len(results) {
	case 0:
		return s
	case 1:
		return s + " " + results[0]
	default:
		return s + " (" + strings.Join(results, ", ") + ")"
	}
}

func typesOf(fields *ast.FieldList) []string {
	if fields == nil {
		return nil
	}
	var list []string
	for _, f := range fields.List {
		for range max(1, len(f.Names)) {
			list = append(list, types.ExprString(f.Type))
		}
	}
	return list
}
