package generate

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"strings"
)

// diskCall matches the names of calls that write a record, or read one.
var diskCall = regexp.MustCompile(`^(?i:save|load)|^Delete$`)

// statement leaves out one statement of a list. The last one is that of a function's body.
func (m *maker) statement(s ast.Stmt, last bool) {
	switch s := s.(type) {
	case *ast.ExprStmt:
		if call, ok := s.X.(*ast.CallExpr); !ok || !m.isUnseen(call) {
			m.replace(Delete, s, "")
		}
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE && !onlyBlank(s) {
			m.replace(Delete, s, "")
		}
	case *ast.DeferStmt:
		if !m.isUnseen(s.Call) {
			m.replace(Delete, s, "")
		}
	case *ast.ReturnStmt:
		if !last || s.Results == nil { // nothing would be returned
			m.replace(Delete, s, "")
		}
	case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt:
		m.replace(Delete, s, "")
	case *ast.BranchStmt:
		if s.Tok == token.BREAK || s.Tok == token.CONTINUE {
			m.replace(Delete, s, "")
		}
	case *ast.ForStmt, *ast.RangeStmt:
		m.replace(DeleteBlock, s, "")
	case *ast.IfStmt:
		m.branches(s)
	case *ast.SwitchStmt:
		m.cases(s.Body)
	case *ast.TypeSwitchStmt:
		m.cases(s.Body)
	}
}

// branches leaves out an if, or its else. Where the body is one statement and the condition has no effect, leaving
// out that statement is the same.
func (m *maker) branches(s *ast.IfStmt) {
	if s.Else != nil {
		m.add(DeleteBlock, s.Body.End(), s.Else.End(), "")
	}
	if s.Else != nil || s.Init != nil || len(s.Body.List) != 1 || hasCall(s.Cond) || m.diskFails(s) {
		m.replace(DeleteBlock, s, "")
	}
}

func hasCall(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		if _, ok := n.(*ast.CallExpr); ok {
			found = true
		}
		return !found
	})
	return found
}

// cases leaves out one case at a time.
func (m *maker) cases(body *ast.BlockStmt) {
	for _, c := range body.List {
		if c := c.(*ast.CaseClause); c.List != nil {
			m.replace(DeleteBlock, c, "")
		}
	}
}

// onlyBlank reports whether an assignment is to blanks: only its effects matter, and they are a call's.
func onlyBlank(s *ast.AssignStmt) bool {
	for _, left := range s.Lhs {
		if id, ok := left.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	_, call := s.Rhs[0].(*ast.CallExpr)
	return !call
}

// returns makes a function return before each of its outermost statements, with zero values. It does not
// return between a Lock and its Unlock: a lock that is held for good says nothing of the statements after it.
func (m *maker) returns(f *ast.FuncDecl) {
	zero, ok := m.zeros(f)
	if !ok || len(f.Body.List) == 0 {
		return
	}
	locked := false
	for i, s := range f.Body.List {
		_, isReturn := s.(*ast.ReturnStmt)
		if !locked && !isReturn && (i == 0 || zero == "return") {
			// The last statement alone is deleted anyway.
			if i == 0 || i < len(f.Body.List)-1 {
				m.add(Return, s.Pos(), s.Pos(), zero+"; ")
			}
		}
		switch call := callOf(s); {
		case call == nil:
		case strings.HasSuffix(calleeName(call), "Unlock"):
			locked = false
		case strings.HasSuffix(calleeName(call), "Lock"):
			locked = true
		}
	}
}

// callOf is the call that a statement is, or that it defers: a deferred Unlock counts at once.
func callOf(s ast.Stmt) *ast.CallExpr {
	switch s := s.(type) {
	case *ast.ExprStmt:
		call, _ := s.X.(*ast.CallExpr)
		return call
	case *ast.DeferStmt:
		return s.Call
	}
	return nil
}

// zeros is a return statement with zero values; ok is false if one of the results is a pointer, a function or an
// interface other than error: its caller would only crash.
func (m *maker) zeros(f *ast.FuncDecl) (text string, ok bool) {
	results := m.info.Defs[f.Name].Type().(*types.Signature).Results()
	var values []string
	for v := range results.Variables() {
		switch t := v.Type().Underlying().(type) {
		case *types.Basic:
			switch {
			case t.Info()&types.IsString != 0:
				values = append(values, `""`)
			case t.Info()&types.IsBoolean != 0:
				values = append(values, "false")
			default:
				values = append(values, "0")
			}
		case *types.Slice, *types.Map:
			values = append(values, "nil")
		case *types.Struct:
			name, named := m.typeName(v.Type())
			if !named {
				return "", false
			}
			values = append(values, name+"{}")
		case *types.Interface:
			if v.Type() != types.Universe.Lookup("error").Type() {
				return "", false
			}
			values = append(values, "nil")
		default:
			return "", false
		}
	}
	return strings.TrimSpace("return " + strings.Join(values, ", ")), true
}

// typeName writes a type as this file can; ok is false if it cannot, as it does not import a package.
func (m *maker) typeName(t types.Type) (name string, ok bool) { return m.typeIn(m.name, t) }

func (p *Package) typeIn(file string, t types.Type) (name string, ok bool) {
	ok = true
	name = types.TypeString(t, func(other *types.Package) string {
		if other == p.types {
			return ""
		}
		for _, spec := range p.files[file].Imports {
			if strings.Trim(spec.Path.Value, `"`) == other.Path() {
				if spec.Name != nil {
					return spec.Name.Name
				}
				return other.Name()
			}
		}
		ok = false
		return other.Name()
	})
	// A type that is declared in a function is written alike, and may not be seen from here: the compiler tells.
	return name, ok
}
