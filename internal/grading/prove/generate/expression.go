package generate

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// copies matches the names of the reference's own functions that return a copy of what they are given.
var copies = regexp.MustCompile(`^(?i:clone|copy)`)

// expression applies the operators that are about one expression. The stack leads to it.
func (m *maker) expression(e ast.Expr, stack []ast.Node) {
	var parent ast.Node
	if len(stack) > 0 {
		parent = stack[len(stack)-1]
	}
	if m.constant(e, parent) {
		return
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		switch e.Op {
		case token.LAND, token.LOR:
			if outer, ok := parent.(*ast.BinaryExpr); !ok || outer.Op != e.Op {
				m.logic(e)
			}
		case token.ADD, token.SUB, token.MUL, token.QUO, token.REM:
			m.arithmetic(e)
		default:
			m.comparison(e)
		}
	case *ast.CallExpr:
		m.call(e, parent)
	case *ast.Ident:
		m.otherVariable(e, stack)
	case *ast.SelectorExpr:
		m.otherField(e, parent)
	}
}

// arithmetic changes a sum, a difference, a product or a quotient.
func (m *maker) arithmetic(e *ast.BinaryExpr) {
	x, y := m.source(e.X), m.source(e.Y)
	number := is(m.info.TypeOf(e), types.IsNumeric)
	m.replace(DropOperand, e, x)
	switch {
	case !number:
	case e.Op == token.ADD:
		m.replace(Arithmetic, e, x+" - "+y)
	case e.Op == token.SUB:
		m.replace(Arithmetic, e, x+" + "+y)
		m.replace(Swap, e, y+" - ("+x+")")
	}
	if e.Op != token.ADD || !m.counts(e.X) {
		return
	}
	t := m.info.TypeOf(e)
	if name, ok := m.typeName(t); ok {
		for _, bits := range []int{8, 16} {
			m.replace(narrow(bits), e, fmt.Sprintf("%s(%s(%s))", name, smaller(t, bits), m.source(e)))
		}
	}
}

// increment keeps a counter in fewer bits.
func (m *maker) increment(s *ast.IncDecStmt) { m.keepNarrow(s, s.X, s.Tok.String()[:1]+" 1") }

// assignment exchanges += and -=, and keeps a sum in fewer bits.
func (m *maker) assignment(s *ast.AssignStmt) {
	switch s.Tok {
	case token.ADD_ASSIGN, token.SUB_ASSIGN:
		other := token.SUB_ASSIGN
		if s.Tok == token.SUB_ASSIGN {
			other = token.ADD_ASSIGN
		}
		if is(m.info.TypeOf(s.Lhs[0]), types.IsNumeric) {
			m.add(Arithmetic, s.TokPos, s.TokPos+2, other.String())
		}
		m.keepNarrow(s, s.Lhs[0], s.Tok.String()[:1]+" ("+m.source(s.Rhs[0])+")")
	}
}

func (m *maker) keepNarrow(s ast.Stmt, x ast.Expr, change string) {
	t := m.info.TypeOf(x)
	if !m.counts(x) {
		return
	}
	name, ok := m.typeName(t)
	if !ok {
		return
	}
	for _, bits := range []int{8, 16} {
		m.replace(narrow(bits), s, fmt.Sprintf("%s = %s(%s(%s %s))", m.source(x), name, smaller(t, bits), m.source(x), change))
	}
}

// call applies the operators that are about calls.
func (m *maker) call(e *ast.CallExpr, parent ast.Node) {
	name := calleeName(e)
	_, isStatement := parent.(*ast.ExprStmt)
	f := m.callee(e)
	builtin := m.builtin(e)
	m.edges(e)
	switch {
	case builtin == "min" || builtin == "max":
		other := map[string]string{"min": "max", "max": "min"}[builtin]
		m.replace(MinMax, e.Fun, other)
		if len(e.Args) == 2 {
			m.replace(DropOperand, e, m.source(e.Args[0]))
			m.replace(DropOperand, e, m.source(e.Args[1]))
		}
		return
	case builtin == "append":
		m.appendedCopy(e)
		return
	case builtin == "copy" && isStatement:
		if types.Identical(m.info.TypeOf(e.Args[0]), m.info.TypeOf(e.Args[1])) {
			m.replace(Alias, e, m.source(e.Args[0])+" = "+m.source(e.Args[1]))
		}
		return
	case builtin != "":
		return
	case !isStatement && diskCall.MatchString(name) && !strings.HasPrefix(strings.ToLower(name), "load"):
		m.dropSave(e)
	case name == "Clone" || copies.MatchString(name):
		m.notCopied(e, f)
	}
	m.swapArguments(e)
}

// builtin is the name of the built-in function that is called, or "".
func (m *maker) builtin(e *ast.CallExpr) string {
	if id, ok := ast.Unparen(e.Fun).(*ast.Ident); ok {
		if b, ok := m.info.Uses[id].(*types.Builtin); ok {
			return b.Name()
		}
	}
	return ""
}

// dropSave takes a write to the disk for done.
func (m *maker) dropSave(e *ast.CallExpr) {
	switch t := m.info.TypeOf(e); {
	case t == types.Universe.Lookup("error").Type():
		m.replace(DropSave, e, "error(nil)")
	case is(t, types.IsBoolean):
		m.replace(DropSave, e, "true")
	}
}

// notCopied uses what a call copies instead of the copy.
func (m *maker) notCopied(e *ast.CallExpr, f *types.Func) {
	t := m.info.TypeOf(e)
	switch {
	case len(e.Args) == 1 && types.Identical(t, m.info.TypeOf(e.Args[0])):
		m.replace(Alias, e, m.source(e.Args[0]))
	case len(e.Args) == 0 && f != nil:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && types.Identical(t, m.info.TypeOf(s.X)) {
			m.replace(Alias, e, m.source(s.X))
		}
	}
}

// appendedCopy is notCopied for append([]T(nil), x...) and append([]T{}, x...).
func (m *maker) appendedCopy(e *ast.CallExpr) {
	if len(e.Args) != 2 || !e.Ellipsis.IsValid() || !types.Identical(m.info.TypeOf(e), m.info.TypeOf(e.Args[1])) {
		return
	}
	empty := false
	switch x := e.Args[0].(type) {
	case *ast.CallExpr:
		empty = len(x.Args) == 1 && isNil(x.Args[0])
	case *ast.CompositeLit:
		empty = len(x.Elts) == 0
	}
	if empty {
		m.replace(Alias, e, m.source(e.Args[1]))
	}
}

// swapArguments exchanges two neighbouring arguments of one type.
func (m *maker) swapArguments(e *ast.CallExpr) {
	if f := m.callee(e); m.info.Types[e.Fun].IsType() || e.Ellipsis.IsValid() || f != nil && f.Pkg() != nil && f.Pkg().Path() == "errors" {
		return
	}
	for i := range len(e.Args) - 1 {
		a, b := e.Args[i], e.Args[i+1]
		if types.Identical(m.info.TypeOf(a), m.info.TypeOf(b)) {
			m.add(Swap, a.Pos(), b.End(), m.source(b)+", "+m.source(a))
		}
	}
}

// fields leaves out one field of a literal at a time, exchanges the values of two, and keeps numbers in fewer bits.
func (m *maker) fields(e *ast.CompositeLit) {
	t := m.info.TypeOf(e)
	if t == nil {
		return
	}
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	if _, ok := t.Underlying().(*types.Struct); !ok {
		return
	}
	for i, element := range e.Elts {
		field, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return
		}
		from, to := element.Pos(), element.End()
		switch {
		case i+1 < len(e.Elts):
			to = e.Elts[i+1].Pos()
		case i > 0:
			from = e.Elts[i-1].End()
		}
		m.add(DropField, from, to, "")
		for _, other := range e.Elts[i+1:] {
			other, ok := other.(*ast.KeyValueExpr)
			if ok && types.Identical(m.info.TypeOf(field.Value), m.info.TypeOf(other.Value)) && !m.isFixed(field.Value) {
				between := string(m.text[m.name][m.offset(field.Value.End()):m.offset(other.Value.Pos())])
				m.add(Swap, field.Value.Pos(), other.Value.End(), m.source(other.Value)+between+m.source(field.Value))
				break
			}
		}
		if _, sum := field.Value.(*ast.BinaryExpr); sum || !m.counts(field.Value) {
			continue // a sum is narrowed as such
		}
		t := m.info.TypeOf(field.Value)
		if name, ok := m.typeName(t); ok {
			for _, bits := range []int{8, 16} {
				m.replace(narrow(bits), field.Value, fmt.Sprintf("%s(%s(%s))", name, smaller(t, bits), m.source(field.Value)))
			}
		}
	}
}

// isFixed reports whether an expression is a constant or a fresh literal.
func (m *maker) isFixed(e ast.Expr) bool {
	_, literal := e.(*ast.CompositeLit)
	return literal || m.info.Types[e].Value != nil
}

// constant changes a constant expression, seen as a whole; it reports whether e is one, so that nothing inside it is changed.
func (m *maker) constant(e ast.Expr, parent ast.Node) bool {
	tv, ok := m.info.Types[e]
	if !ok || tv.Value == nil || tv.IsType() {
		return false
	}
	if m.isInside(e, parent) {
		return true
	}
	if n, ok := tv.Type.(*types.Named); ok && n.Obj().Pkg() == m.types {
		if id, ok := e.(*ast.Ident); ok {
			m.otherConstant(id, n)
			return true
		}
	}
	switch value := tv.Value; value.Kind() {
	case constant.Bool:
		if _, returned := parent.(*ast.ReturnStmt); !returned {
			m.replace(Constant, e, fmt.Sprint(!constant.BoolVal(value)))
		}
	case constant.Int, constant.Float:
		m.otherNumber(e, value)
	}
	return true
}

// isInside reports whether a constant is part of a larger one, or is none of the program's behaviour: a capacity, a
// key of a literal, a case of an enumeration.
func (m *maker) isInside(e ast.Expr, parent ast.Node) bool {
	if larger, ok := parent.(ast.Expr); ok && m.info.Types[larger].Value != nil {
		return true
	}
	switch p := parent.(type) {
	case *ast.CallExpr:
		return m.builtin(p) == "make" || p.Fun == e
	case *ast.KeyValueExpr:
		return p.Key == e
	case *ast.SelectorExpr:
		return true
	case *ast.CaseClause:
		return true
	}
	return false
}

func (m *maker) otherNumber(e ast.Expr, value constant.Value) {
	text := m.source(e)
	_, literal := e.(*ast.BasicLit)
	switch {
	case constant.Sign(value) == 0:
		m.replace(Constant, e, "1")
	case constant.Compare(value, token.EQL, constant.MakeInt64(1)):
		m.replace(Constant, e, "0")
		m.replace(Constant, e, "2")
	case literal:
		twice := constant.BinaryOp(value, token.MUL, constant.MakeInt64(2))
		m.replace(Constant, e, twice.ExactString())
		m.replace(Constant, e, "("+text+"/2)")
	default:
		m.replace(Constant, e, "(2*("+text+"))")
		m.replace(Constant, e, "("+text+"/2)")
	}
}

// otherConstant names the next constant of an enumeration.
func (m *maker) otherConstant(id *ast.Ident, t types.Type) {
	list := m.constantsOf(t)
	at := slices.IndexFunc(list, func(c *types.Const) bool { return c == m.info.Uses[id] })
	if at >= 0 && len(list) > 1 {
		m.replace(Variable, id, list[(at+1)%len(list)].Name())
	}
}
