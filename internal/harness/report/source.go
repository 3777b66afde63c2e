package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"runtime"
	"strings"
)

// parsed is one file of the student's.
type parsed struct {
	set  *token.FileSet
	file *ast.File
}

// parse returns the file at path, or nil if there is no text of it.
// A file with errors gives as much as could be parsed.
func (s Source) parse(path string) *parsed {
	if s.Read == nil || runtime.GOOS == "js" { // a browser has no files: its program does without the parser
		return nil
	}
	text, err := s.Read(path)
	if err != nil {
		return nil
	}
	set := token.NewFileSet()
	file, _ := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if file == nil {
		return nil
	}
	return &parsed{set: set, file: file}
}

// spans tells whether the line lies within the node.
func (p *parsed) spans(n ast.Node, line int) bool {
	return p.set.Position(n.Pos()).Line <= line && line <= p.set.Position(n.End()).Line
}

// body returns the function that a frame is in: the innermost literal around
// its line, or the declared function.
func (p *parsed) body(f Frame) *ast.BlockStmt {
	literal := strings.Contains(closureSuffix.FindString(f.Func), "func")
	var body *ast.BlockStmt
	ast.Inspect(p.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Body != nil && p.spans(n, f.Line) {
				body = n.Body
				return literal
			}
		case *ast.FuncLit:
			if p.spans(n, f.Line) {
				body = n.Body
			}
		}
		return true
	})
	return body
}

// lock is one call that locks or unlocks.
type lock struct {
	expr   string // n.mu
	method string // Lock, RLock, Unlock, RUnlock
	line   int
}

// name returns the last word of the mutex, which is the same whatever the
// receiver is called: mu.
func (l lock) name() string { return l.expr[strings.LastIndexByte(l.expr, '.')+1:] }

func (l lock) locks() bool { return l.method == "Lock" || l.method == "RLock" }

// conflicts tells whether two locks of one mutex exclude each other.
func (l lock) conflicts(other lock) bool { return l.method != "RLock" || other.method != "RLock" }

// lockCall reads a statement of the form X.Lock(), for any of the four methods.
func (p *parsed) lockCall(stmt ast.Stmt) (lock, bool) {
	e, ok := stmt.(*ast.ExprStmt)
	if !ok {
		return lock{}, false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return lock{}, false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return lock{}, false
	}
	switch sel.Sel.Name {
	case "Lock", "RLock", "Unlock", "RUnlock":
		line := p.set.Position(sel.Sel.Pos()).Line
		return lock{expr: exprText(sel.X), method: sel.Sel.Name, line: line}, true
	}
	return lock{}, false
}

// lockAt returns the lock taken on the frame's line.
func (p *parsed) lockAt(line int) (lock, bool) {
	var found lock
	ast.Inspect(p.file, func(n ast.Node) bool {
		if stmt, ok := n.(ast.Stmt); ok {
			if l, ok := p.lockCall(stmt); ok && l.locks() && l.line == line {
				found = l
			}
		}
		return true
	})
	return found, found.expr != ""
}

// held returns the locks that the frame's function has taken and not released
// where the frame stands, in the order in which it took them.
//
// It follows the blocks around the line and passes over branches that leave
// the function or the loop: in "if late { n.mu.Unlock(); return }" the Unlock
// releases nothing for the lines below. Deferred calls have not happened yet.
func (p *parsed) held(f Frame) []lock {
	body := p.body(f)
	if body == nil {
		return nil
	}
	return p.heldIn(body.List, f.Line, nil)
}

func (p *parsed) heldIn(stmts []ast.Stmt, line int, held []lock) []lock {
	for i, stmt := range stmts {
		last := i+1 == len(stmts) || p.set.Position(stmts[i+1].Pos()).Line > line
		if !p.spans(stmt, line) || !last {
			if p.set.Position(stmt.Pos()).Line > line {
				return held
			}
			held = p.after(stmt, held)
			continue
		}
		for _, inner := range blocks(stmt) {
			if p.spans(inner, line) {
				return p.heldIn(statements(inner), line, held)
			}
		}
		return held
	}
	return held
}

// after returns what is held once stmt has run to its end.
func (p *parsed) after(stmt ast.Stmt, held []lock) []lock {
	if l, ok := p.lockCall(stmt); ok {
		if l.locks() {
			return append(held, l)
		}
		for i := len(held) - 1; i >= 0; i-- {
			if held[i].expr == l.expr && l.method == strings.TrimSuffix(held[i].method, "Lock")+"Unlock" {
				return append(append([]lock{}, held[:i]...), held[i+1:]...)
			}
		}
		return held
	}
	for _, inner := range blocks(stmt) {
		list := statements(inner)
		if len(list) > 0 && leaves(list[len(list)-1]) {
			continue
		}
		for _, s := range list {
			held = p.after(s, held)
		}
	}
	return held
}

// leaves tells whether what stands behind the statement does not run after it.
func leaves(stmt ast.Stmt) bool {
	switch s := stmt.(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		return ok && exprText(call.Fun) == "panic"
	}
	return false
}

// blocks returns the blocks directly inside a statement, but not those of
// function literals, which run at another time.
func blocks(stmt ast.Stmt) []ast.Node {
	switch s := stmt.(type) {
	case *ast.BlockStmt:
		return []ast.Node{s}
	case *ast.LabeledStmt:
		return blocks(s.Stmt)
	case *ast.IfStmt:
		inner := []ast.Node{s.Body}
		if s.Else != nil {
			inner = append(inner, blocks(s.Else)...)
		}
		return inner
	case *ast.ForStmt:
		return []ast.Node{s.Body}
	case *ast.RangeStmt:
		return []ast.Node{s.Body}
	case *ast.SwitchStmt:
		return clauses(s.Body)
	case *ast.TypeSwitchStmt:
		return clauses(s.Body)
	case *ast.SelectStmt:
		return clauses(s.Body)
	}
	return nil
}

func clauses(body *ast.BlockStmt) []ast.Node {
	var all []ast.Node
	for _, clause := range body.List {
		all = append(all, clause)
	}
	return all
}

func statements(block ast.Node) []ast.Stmt {
	switch b := block.(type) {
	case *ast.BlockStmt:
		return b.List
	case *ast.CaseClause:
		return b.Body
	case *ast.CommClause:
		return b.Body
	}
	return nil
}

// exprText returns a variable as it stands in the source, or "" for what is no
// plain path of names.
func exprText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x := exprText(e.X); x != "" {
			return x + "." + e.Sel.Name
		}
		return e.Sel.Name
	case *ast.ParenExpr:
		return exprText(e.X)
	case *ast.StarExpr:
		return exprText(e.X)
	case *ast.IndexExpr:
		return exprText(e.X)
	}
	return ""
}

// variables returns the variables that a line names, and those among them that
// it assigns to.
func (p *parsed) variables(line int) (all, assigned []string) {
	on := func(n ast.Node) bool { return p.set.Position(n.Pos()).Line == line }
	ast.Inspect(p.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				if on(left) && n.Tok != token.DEFINE {
					assigned = append(assigned, exprText(left))
				}
			}
		case *ast.IncDecStmt:
			if on(n) {
				assigned = append(assigned, exprText(n.X))
			}
		case *ast.CallExpr:
			if name := exprText(n.Fun); on(n) && (name == "delete" || name == "clear") && len(n.Args) > 0 {
				assigned = append(assigned, exprText(n.Args[0]))
			}
		case *ast.SelectorExpr:
			if on(n) {
				all = append(all, exprText(n))
			}
		case *ast.Ident:
			if on(n) {
				all = append(all, n.Name)
			}
		}
		return true
	})
	return all, assigned
}
