package advice

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"

	"golang.org/x/tools/go/analysis"
)

// Lock finds a mutex that is held while its goroutine waits for the network, a
// channel or time. It follows one function at a time and knows which functions
// of the package wait; a mutex counts as held only if it is on every path.
var Lock = &analysis.Analyzer{
	Name: "lock",
	Doc:  "report a mutex held across Call, a channel operation or Sleep",
	Run: func(pass *analysis.Pass) (any, error) {
		w := &lockWalk{pass: pass}
		w.roomy = w.buffered()
		funcs := functions(pass)
		for obj, decl := range funcs {
			if releases(pass, decl.Body) {
				delete(funcs, obj) // it unlocks what its caller locked
			}
		}
		polls := polled(pass)
		w.waits = reaching(pass, funcs, func(n ast.Node) bool { return w.wait(n) != "" },
			func(n ast.Node) bool { return elsewhere(n) || polls[n] })
		for _, file := range pass.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Body != nil {
						w.block(n.Body.List, held{})
					}
				case *ast.FuncLit:
					w.block(n.Body.List, held{})
				}
				return true
			})
		}
		return nil, nil
	},
}

// elsewhere reports whether a node's code does not run where it stands.
func elsewhere(n ast.Node) bool {
	switch n.(type) {
	case *ast.FuncLit, *ast.GoStmt:
		return true
	}
	return false
}

// polled is the channel operations of selects that have a default: nobody waits there.
func polled(pass *analysis.Pass) map[ast.Node]bool {
	polls := map[ast.Node]bool{}
	for _, file := range pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectStmt); ok && hasDefault(s.Body) {
				for _, c := range s.Body.List {
					if comm := c.(*ast.CommClause).Comm; comm != nil {
						polls[comm] = true
					}
				}
			}
			return true
		})
	}
	return polls
}

// held is the mutexes that are held, by their text, and where they were locked.
type held map[string]token.Pos

type lockWalk struct {
	pass  *analysis.Pass
	waits map[*types.Func]bool // functions of this package in which the caller waits
	roomy map[string]bool      // types of which the package makes buffered channels
}

// chanOf is the type of a channel, if the expression is one.
func (w *lockWalk) chanOf(e ast.Expr) (*types.Chan, bool) {
	t := w.pass.TypesInfo.TypeOf(e)
	if t == nil {
		return nil, false
	}
	ch, ok := t.Underlying().(*types.Chan)
	return ch, ok
}

// buffered finds the types of which the package makes buffered channels.
func (w *lockWalk) buffered() map[string]bool {
	roomy := map[string]bool{}
	for _, file := range w.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "make" {
				if ch, ok := w.chanOf(call); ok {
					roomy[types.TypeString(ch.Elem(), nil)] = true
				}
			}
			return true
		})
	}
	return roomy
}

// mutexOp is the text of the mutex that a call locks or unlocks; "" for another call.
func mutexOp(info *types.Info, n ast.Node) (mutex string, locks bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	f, sel := callee(info, call), ast.Unparen(call.Fun)
	x, ok := sel.(*ast.SelectorExpr)
	switch {
	case !ok:
	case is(f, "sync", "Lock", "RLock"):
		return types.ExprString(x.X), true
	case is(f, "sync", "Unlock", "RUnlock"):
		return types.ExprString(x.X), false
	}
	return "", false
}

// releases reports whether the first thing that a function does with mutexes is
// to unlock one.
func releases(pass *analysis.Pass, body *ast.BlockStmt) bool {
	first := ""
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil || first != "" || elsewhere(n) {
			return false
		}
		if _, ok := n.(*ast.DeferStmt); ok {
			return false
		}
		if mutex, locks := mutexOp(pass.TypesInfo, n); mutex != "" {
			first = "unlock"
			if locks {
				first = "lock"
			}
		}
		return true
	})
	return first == "unlock"
}

// wait says how the goroutine waits at a node; "" if it does not.
func (w *lockWalk) wait(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SendStmt:
		if t, ok := w.chanOf(n.Chan); ok && w.roomy[types.TypeString(t.Elem(), nil)] {
			return "" // perhaps there is always room
		}
		return "sends to a channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "receives from a channel"
		}
	case *ast.RangeStmt:
		if _, ok := w.chanOf(n.X); ok {
			return "receives from a channel"
		}
	case *ast.CallExpr:
		switch f := callee(w.pass.TypesInfo, n); {
		case is(f, labrpc, "Call") && f.Signature().Recv() == nil:
			return "waits for the reply of labrpc.Call"
		case is(f, "time", "Sleep") && f.Signature().Recv() == nil:
			return "sleeps"
		case is(f, "sync", "Wait") && f.FullName() == "(*sync.WaitGroup).Wait":
			return "waits for a WaitGroup"
		case f != nil && w.waits[f]:
			return "waits in " + f.Name()
		}
	}
	return ""
}

// look reports the waits in an expression or a simple statement.
func (w *lockWalk) look(n ast.Node, h held) {
	if n == nil || len(h) == 0 {
		return
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if n == nil || elsewhere(n) {
			return false
		}
		if how := w.wait(n); how != "" {
			w.report(n.Pos(), how, h)
		}
		return true
	})
}

func (w *lockWalk) report(pos token.Pos, how string, h held) {
	first := ""
	for mutex := range h { // the same one each time
		if first == "" || h[mutex] < h[first] {
			first = mutex
		}
	}
	w.pass.Report(analysis.Diagnostic{Pos: pos, Message: fmt.Sprintf(
		"%s, locked at %s, is held while this goroutine %s. A goroutine that needs the lock waits as long, and a handler that needs it may be what the wait is for. "+
			"Unlock before, lock again after, and look at the state again: it may have changed.", first, lineOf(w.pass, h[first]), how)})
}

// block walks statements; it returns what is held after them, and whether they
// never get there.
func (w *lockWalk) block(list []ast.Stmt, h held) (after held, ends bool) {
	h = maps.Clone(h)
	for _, s := range list {
		if h, ends = w.stmt(s, h); ends {
			return h, true
		}
	}
	return h, false
}

func (w *lockWalk) stmt(s ast.Stmt, h held) (after held, ends bool) {
	switch s := s.(type) {
	case *ast.ExprStmt:
		w.look(s.X, h)
		if mutex, locks := mutexOp(w.pass.TypesInfo, ast.Unparen(s.X)); locks {
			h[mutex] = s.Pos()
		} else if mutex != "" {
			delete(h, mutex)
		}
		if call, ok := s.X.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
				return h, true
			}
		}
	case *ast.ReturnStmt:
		w.look(s, h)
		return h, true
	case *ast.BranchStmt:
		return h, s.Tok != token.FALLTHROUGH
	case *ast.DeferStmt, *ast.GoStmt:
	case *ast.BlockStmt:
		return w.block(s.List, h)
	case *ast.LabeledStmt:
		return w.stmt(s.Stmt, h)
	case *ast.IfStmt:
		return w.ifStmt(s, h)
	case *ast.ForStmt:
		if s.Init != nil {
			h, _ = w.stmt(s.Init, h)
		}
		w.look(s.Cond, h)
		return w.loop(s.Body, h), false
	case *ast.RangeStmt:
		if how := w.wait(s); how != "" && len(h) > 0 {
			w.report(s.Pos(), how, h)
		}
		w.look(s.X, h)
		return w.loop(s.Body, h), false
	case *ast.SwitchStmt:
		if s.Init != nil {
			h, _ = w.stmt(s.Init, h)
		}
		w.look(s.Tag, h)
		return w.clauses(s.Body, h)
	case *ast.TypeSwitchStmt:
		w.look(s.Assign, h)
		return w.clauses(s.Body, h)
	case *ast.SelectStmt:
		if !hasDefault(s.Body) && len(h) > 0 {
			w.report(s.Pos(), "waits in a select", h)
		}
		return w.clauses(s.Body, h)
	default:
		w.look(s, h)
	}
	return h, false
}

func (w *lockWalk) ifStmt(s *ast.IfStmt, h held) (after held, ends bool) {
	if s.Init != nil {
		h, _ = w.stmt(s.Init, h)
	}
	w.look(s.Cond, h)
	yes, yesEnds := w.block(s.Body.List, h)
	no, noEnds := maps.Clone(h), false
	if s.Else != nil {
		no, noEnds = w.stmt(s.Else, no)
	}
	switch {
	case yesEnds && noEnds:
		return h, true
	case yesEnds:
		return no, false
	case noEnds:
		return yes, false
	}
	return both(yes, no), false
}

// loop walks a body that may run any number of times.
func (w *lockWalk) loop(body *ast.BlockStmt, h held) held {
	after, ends := w.block(body.List, h)
	if ends {
		return h
	}
	return both(h, after)
}

// clauses walks the cases of a switch or select.
func (w *lockWalk) clauses(body *ast.BlockStmt, h held) (after held, ends bool) {
	for _, c := range body.List {
		var list []ast.Stmt
		switch c := c.(type) {
		case *ast.CaseClause:
			list = c.Body
		case *ast.CommClause:
			list = c.Body
		}
		out, caseEnds := w.block(list, h)
		if caseEnds {
			continue
		}
		if after == nil {
			after = out
		} else {
			after = both(after, out)
		}
	}
	if after == nil {
		return h, false
	}
	return both(h, after), false
}

func hasDefault(body *ast.BlockStmt) bool {
	for _, c := range body.List {
		if c, ok := c.(*ast.CommClause); ok && c.Comm == nil {
			return true
		}
	}
	return false
}

// both is what is held on either path.
func both(a, b held) held {
	out := held{}
	for mutex, pos := range a {
		if _, ok := b[mutex]; ok {
			out[mutex] = pos
		}
	}
	return out
}
