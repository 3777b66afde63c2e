package generate

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

var opposite = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.GEQ, token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR,
}

var shifted = map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}

// negate negates a condition.
func (m *maker) negate(cond ast.Expr) {
	switch x := cond.(type) {
	case *ast.UnaryExpr:
		if x.Op == token.NOT {
			m.replace(Negate, cond, m.source(x.X))
			return
		}
	case *ast.BinaryExpr:
		if op, ok := opposite[x.Op]; ok {
			m.replace(Negate, cond, fmt.Sprintf("%s %s %s", m.source(x.X), op, m.source(x.Y)))
			return
		}
	case *ast.CallExpr, *ast.Ident, *ast.SelectorExpr, *ast.IndexExpr:
		m.replace(Negate, cond, "!"+m.source(cond))
		return
	}
	m.replace(Negate, cond, "!("+m.source(cond)+")")
}

// logic leaves out one operand of a chain of && or ||. The node is the outermost of its chain.
func (m *maker) logic(e *ast.BinaryExpr) {
	var chain []ast.Expr
	var flatten func(ast.Expr)
	flatten = func(x ast.Expr) {
		if b, ok := x.(*ast.BinaryExpr); ok && b.Op == e.Op {
			flatten(b.X)
			flatten(b.Y)
			return
		}
		chain = append(chain, x)
	}
	flatten(e)
	for i := range chain {
		var rest []string
		for j, x := range chain {
			if j != i {
				rest = append(rest, m.source(x))
			}
		}
		// The operand stays where it is never computed, so that no variable is without use.
		shown := strings.Join(rest, " "+e.Op.String()+" ")
		unit := map[token.Token]string{token.LAND: "true || ", token.LOR: "false && "}[e.Op]
		m.replaceShown(DropOperand, e, "("+unit+"("+m.source(chain[i])+")) "+e.Op.String()+" "+shown, shown)
	}
}

// comparison shifts a comparison of whole numbers, durations or times by one.
func (m *maker) comparison(e *ast.BinaryExpr) {
	if op, ok := shifted[e.Op]; ok && (isInteger(m.info.TypeOf(e.X)) || isString(m.info.TypeOf(e.X))) {
		m.replace(Compare, e, fmt.Sprintf("%s %s %s", m.source(e.X), op, m.source(e.Y)))
	}
	m.narrowed(e)
}

// edges shifts a.Before(b) and a.After(b), which compare times.
func (m *maker) edges(call *ast.CallExpr) {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) != 1 || !isNamed(m.info.TypeOf(s.X), "time", "Time") {
		return
	}
	switch s.Sel.Name {
	case "Before":
		m.replace(Compare, call, fmt.Sprintf("!%s.After(%s)", m.source(s.X), m.source(call.Args[0])))
	case "After":
		m.replace(Compare, call, fmt.Sprintf("!%s.Before(%s)", m.source(s.X), m.source(call.Args[0])))
	}
}

// narrowed compares two whole numbers in fewer bits, as a type that is too small does.
func (m *maker) narrowed(e *ast.BinaryExpr) {
	if _, ok := opposite[e.Op]; !ok || !m.counts(e.X) || !m.counts(e.Y) {
		return
	}
	for _, bits := range []int{8, 16} {
		small := smaller(m.info.TypeOf(e.X), bits)
		m.replace(narrow(bits), e, fmt.Sprintf("%s(%s) %s %s(%s)", small, m.source(e.X), e.Op, small, m.source(e.Y)))
	}
}

// counts reports whether an expression is a whole number that grows as things are counted: no constant, no length
// of time, no name of a node, none of an enumeration, and no length.
func (m *maker) counts(e ast.Expr) bool {
	tv := m.info.Types[e]
	if tv.Value != nil || !isInteger(tv.Type) || hasCall(e) {
		return false
	}
	n, named := tv.Type.(*types.Named)
	return !named || n.Obj().Pkg() == m.types && len(m.constantsOf(n)) == 0
}

func narrow(bits int) Operator {
	if bits == 8 {
		return Narrow8
	}
	return Narrow16
}

// smaller is the integer type of so many bits, with a sign if t has one.
func smaller(t types.Type, bits int) string {
	if t.Underlying().(*types.Basic).Info()&types.IsUnsigned != 0 {
		return fmt.Sprintf("uint%d", bits)
	}
	return fmt.Sprintf("int%d", bits)
}

// constantsOf lists the package's constants of a type, in the order in which they are declared.
func (m *maker) constantsOf(t types.Type) []*types.Const {
	var list []*types.Const
	scope := m.types.Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && types.Identical(c.Type(), t) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *types.Const) int { return int(a.Pos() - b.Pos()) })
	return list
}

func isInteger(t types.Type) bool { return is(t, types.IsInteger) }
func isString(t types.Type) bool  { return is(t, types.IsString) }

func is(t types.Type, info types.BasicInfo) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&info != 0
}
