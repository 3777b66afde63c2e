package advice

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// MAC finds a message authentication code that is compared byte by byte until the
// first difference.
var MAC = &analysis.Analyzer{
	Name: "mac",
	Doc:  "report MACs that are not compared by hmac.Equal",
	Run: func(pass *analysis.Pass) (any, error) {
		m := &macWalk{pass: pass, vars: map[types.Object]bool{}, makers: map[*types.Func]bool{}}
		// What holds a MAC depends on which functions return one, and the other way round.
		for before := -1; before != len(m.vars)+len(m.makers); {
			before = len(m.vars) + len(m.makers)
			m.learn()
		}
		for _, file := range pass.Files {
			ast.Inspect(file, m.look)
		}
		return nil, nil
	},
}

type macWalk struct {
	pass   *analysis.Pass
	vars   map[types.Object]bool // a hash of hmac.New, or a MAC
	makers map[*types.Func]bool  // return one
}

func (m *macWalk) learn() {
	for obj, decl := range functions(m.pass) {
		ast.Inspect(decl.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.ReturnStmt:
				for _, r := range n.Results {
					if m.isMAC(r) {
						m.makers[obj] = true
					}
				}
			}
			return true
		})
	}
	for _, file := range m.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
				for i, rhs := range a.Rhs {
					if id, ok := a.Lhs[i].(*ast.Ident); ok && m.isMAC(rhs) {
						if obj := m.pass.TypesInfo.ObjectOf(id); obj != nil {
							m.vars[obj] = true
						}
					}
				}
			}
			return true
		})
	}
}

// isMAC reports whether an expression is a MAC, or the hash that makes one.
func (m *macWalk) isMAC(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return m.vars[m.pass.TypesInfo.Uses[e]]
	case *ast.SliceExpr:
		return m.isMAC(e.X)
	case *ast.CallExpr:
		if tv, ok := m.pass.TypesInfo.Types[e.Fun]; ok && tv.IsType() { // string(mac), [32]byte(mac)
			return len(e.Args) == 1 && m.isMAC(e.Args[0])
		}
		f := callee(m.pass.TypesInfo, e)
		if is(f, "crypto/hmac", "New") || m.makers[f] {
			return true
		}
		sel, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Sum" && m.isMAC(sel.X) ||
			is(f, "encoding/hex", "EncodeToString") && m.isMAC(e.Args[0])
	}
	return false
}

func (m *macWalk) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.EQL || n.Op == token.NEQ {
			m.check(n, n.X, n.Y)
		}
	case *ast.CallExpr:
		f := callee(m.pass.TypesInfo, n)
		if len(n.Args) == 2 && (is(f, "bytes", "Equal", "Compare") || is(f, "slices", "Equal", "Compare") || is(f, "reflect", "DeepEqual")) {
			m.check(n, n.Args...)
		}
	}
	return true
}

func (m *macWalk) check(n ast.Node, operands ...ast.Expr) {
	mac := false
	for _, e := range operands {
		if tv := m.pass.TypesInfo.Types[e]; tv.IsNil() {
			return
		}
		mac = mac || m.isMAC(e)
	}
	if mac {
		m.pass.Report(analysis.Diagnostic{Pos: n.Pos(), Message: "a MAC is compared as if it were any value: the time that takes tells a forger how much of a guess is right. Use hmac.Equal."})
	}
}
