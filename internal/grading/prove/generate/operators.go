package generate

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// An Operator is a way to make a wrong program of a right one.
type Operator string

// The operators.
const (
	Negate      Operator = "negate"       // a condition is negated
	DropOperand Operator = "drop-operand" // a && b, a || b, a + b, max(a, b): one operand is left out
	Compare     Operator = "compare"      // a comparison is shifted by one: < and <=, Before and not After
	Delete      Operator = "delete"       // a statement is left out
	DeleteBlock Operator = "delete-block" // a branch, a case or a loop is left out
	Return      Operator = "return"       // a function returns before a statement
	DropField   Operator = "drop-field"   // a field of a composite literal is left out
	DropSave    Operator = "drop-save"    // a record is not written to the disk
	Alias       Operator = "alias"        // a copy is not made
	MinMax      Operator = "min-max"      // min for max
	Arithmetic  Operator = "arithmetic"   // + for -
	Swap        Operator = "swap"         // two neighbouring arguments or operands are exchanged
	Variable    Operator = "variable"     // another variable, field or constant of the same type
	Constant    Operator = "constant"     // twice, half, 0, 1, the other truth value
	Narrow8     Operator = "narrow-8"     // an integer is kept or compared in 8 bits
	Narrow16    Operator = "narrow-16"    // … in 16 bits
)

// Operators lists all operators.
var Operators = []Operator{Negate, DropOperand, Compare, Delete, DeleteBlock, Return, DropField, DropSave, Alias,
	MinMax, Arithmetic, Swap, Variable, Constant, Narrow8, Narrow16}

// declaration makes the mutants of a function, or of the values of variables.
func (m *maker) declaration(d ast.Decl) {
	m.function = nil
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Body == nil || d.Name.Name == "String" || d.Name.Name == "Error" {
			return // how a value is printed
		}
		m.function = d
		m.returns(d)
		m.walk(d.Body)
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return // a constant is changed where it is used
		}
		for _, spec := range d.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				m.walk(value)
			}
		}
	}
}

// walk applies every operator to every node, except below those that are not worth it.
func (m *maker) walk(root ast.Node) {
	ast.PreorderStack(root, nil, func(n ast.Node, stack []ast.Node) bool {
		if m.worthless(n, stack) {
			return false
		}
		list := statements(n)
		for i, s := range list {
			m.statement(s, i == len(list)-1 && isBody(stack))
		}
		switch n := n.(type) {
		case *ast.IfStmt:
			m.negate(n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil && n.Post == nil {
				m.negate(n.Cond)
			}
		case *ast.SwitchStmt:
			if n.Tag == nil {
				for _, c := range n.Body.List {
					for _, cond := range c.(*ast.CaseClause).List {
						m.negate(cond)
					}
				}
			}
		case *ast.AssignStmt:
			m.assignment(n)
		case *ast.IncDecStmt:
			m.increment(n)
		case *ast.CompositeLit:
			m.fields(n)
		}
		if e, ok := n.(ast.Expr); ok {
			m.expression(e, stack)
		}
		return true
	})
}

// isBody reports whether a node is the body of a function: what the walk began with, or that of a function literal.
func isBody(stack []ast.Node) bool {
	if len(stack) == 0 {
		return true
	}
	_, ok := stack[len(stack)-1].(*ast.FuncLit)
	return ok
}

// statements is the list of statements in a node that has one. The body of a switch is a list of cases.
func statements(n ast.Node) []ast.Stmt {
	switch n := n.(type) {
	case *ast.BlockStmt:
		if len(n.List) > 0 {
			switch n.List[0].(type) {
			case *ast.CaseClause, *ast.CommClause:
				return nil
			}
		}
		return n.List
	case *ast.CaseClause:
		return n.Body
	case *ast.CommClause:
		return n.Body
	}
	return nil
}

// unseen are calls that no rule is about: what they do is seen by people only, or is undone at once.
var unseen = []string{"Logf", "Note", "Errorf", "Sprintf", "Lock", "Unlock", "RLock", "RUnlock", "cancel"}

// worthless reports whether no mutant below a node is worth making: text for people, what is done when the disk
// fails, and the end of a goroutine when its node ends.
func (m *maker) worthless(n ast.Node, stack []ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		return m.isUnseen(n)
	case *ast.DeferStmt:
		return m.isUnseen(n.Call)
	case *ast.GenDecl:
		return n.Tok != token.VAR
	case *ast.CommClause:
		return m.isDone(n.Comm)
	case *ast.BlockStmt:
		if len(stack) == 0 {
			return false
		}
		of, ok := stack[len(stack)-1].(*ast.IfStmt)
		return ok && of.Body == n && m.diskFails(of)
	}
	return false
}

func (m *maker) isUnseen(call *ast.CallExpr) bool {
	name := calleeName(call)
	if slices.Contains(unseen, name) {
		return true
	}
	if f := m.callee(call); f != nil && f.Pkg() != nil && f.Pkg().Path() == "errors" && name == "New" {
		return true
	}
	s, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	return ok && name == "Stop" && isNamed(m.info.TypeOf(s.X), "time", "Ticker")
}

// isDone reports whether a case of a select receives from Done().
func (m *maker) isDone(comm ast.Stmt) bool {
	receive, ok := comm.(*ast.ExprStmt)
	if !ok {
		return false
	}
	arrow, ok := receive.X.(*ast.UnaryExpr)
	if !ok {
		return false
	}
	call, ok := arrow.X.(*ast.CallExpr)
	return ok && calleeName(call) == "Done"
}

// diskFails reports whether the body of an if is what happens after a record could not be written or read.
func (m *maker) diskFails(s *ast.IfStmt) bool {
	found := false
	look := func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && diskCall.MatchString(calleeName(call)) {
			found = true
		}
		return !found
	}
	if s.Init != nil {
		ast.Inspect(s.Init, look)
	}
	ast.Inspect(s.Cond, look)
	// "if save(…) { … }" is what happens if the disk works.
	_, bare := s.Cond.(*ast.CallExpr)
	return found && !bare && !comparesToNil(s.Cond, token.EQL)
}

func comparesToNil(e ast.Expr, op token.Token) bool {
	b, ok := e.(*ast.BinaryExpr)
	return ok && b.Op == op && isNil(b.Y)
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

// calleeName is the last name of what is called; "" for a function value that has none.
func calleeName(call *ast.CallExpr) string {
	fun := ast.Unparen(call.Fun)
	switch x := fun.(type) {
	case *ast.IndexExpr:
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	switch x := fun.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// callee is the function or method that is called; nil for a function value, a conversion or a built-in.
func (m *maker) callee(call *ast.CallExpr) *types.Func {
	switch x := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		f, _ := m.info.Uses[x].(*types.Func)
		return f
	case *ast.SelectorExpr:
		f, _ := m.info.Uses[x.Sel].(*types.Func)
		return f
	}
	return nil
}

// isNamed reports whether a type is a named one of a package, or a pointer to it.
func isNamed(t types.Type, path, name string) bool {
	if t == nil {
		return false
	}
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := t.(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}
