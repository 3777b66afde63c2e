package advice

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// Goroutine finds a goroutine that waits in a loop and never asks whether its
// node is still up.
var Goroutine = &analysis.Analyzer{
	Name: "goroutine",
	Doc:  "report a goroutine with a waiting loop that does not end with its node",
	Run: func(pass *analysis.Pass) (any, error) {
		funcs := functions(pass)
		// A loop that looks at a context, or at an error of labrpc, can know that the node is down.
		knows := reaching(pass, funcs, func(n ast.Node) bool { return looksUp(pass, n) }, elsewhere)
		waits := reaching(pass, funcs, func(n ast.Node) bool { return letsTimePass(pass, n) }, elsewhere)
		seen := map[*ast.BlockStmt]bool{}
		for _, file := range pass.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				if start, ok := n.(*ast.GoStmt); ok {
					if body := bodyOf(pass, funcs, start.Call); body != nil && !seen[body] {
						seen[body] = true
						endless(pass, body, knows, waits)
					}
				}
				return true
			})
		}
		return nil, nil
	},
}

// bodyOf is the code that a go statement starts, if it is of this package.
func bodyOf(pass *analysis.Pass, funcs map[*types.Func]*ast.FuncDecl, call *ast.CallExpr) *ast.BlockStmt {
	if lit, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
		return lit.Body
	}
	if decl := funcs[callee(pass.TypesInfo, call)]; decl != nil {
		return decl.Body
	}
	return nil
}

// endless reports the loops of a goroutine in which time passes and nothing is asked.
func endless(pass *analysis.Pass, body *ast.BlockStmt, knows, waits map[*types.Func]bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil || n != ast.Node(body) && elsewhere(n) {
			return false
		}
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
		default:
			return true
		}
		passes := reaches(pass, n, waits, func(n ast.Node) bool { return letsTimePass(pass, n) }, elsewhere)
		asks := reaches(pass, n, knows, func(n ast.Node) bool { return looksUp(pass, n) }, elsewhere)
		if passes && !asks && !bounded(pass, n) {
			pass.Report(analysis.Diagnostic{Pos: n.Pos(), Message: "this loop goes on when its node has crashed: nothing in it asks. " +
				"Go cannot stop a goroutine from outside. Wait in a select that has a case <-node.Context().Done(), and return there."})
			return false
		}
		return true
	})
}

// letsTimePass reports whether a node waits for time itself.
func letsTimePass(pass *analysis.Pass, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		f := callee(pass.TypesInfo, n)
		return is(f, "time", "Sleep", "After", "Tick") && f.Signature().Recv() == nil
	case *ast.SelectorExpr: // the C of a Ticker or Timer
		v, ok := pass.TypesInfo.Uses[n.Sel].(*types.Var)
		return ok && v.IsField() && v.Name() == "C" && v.Pkg() != nil && v.Pkg().Path() == "time"
	}
	return false
}

// looksUp reports whether a node has to do with a context; calls labrpc, which returns an error when the node is down;
// or is a channel that says no more than that something has happened, as a context's Done does, which may have been
// asked for outside of the loop.
func looksUp(pass *analysis.Pass, n ast.Node) bool {
	e, ok := n.(ast.Expr)
	if !ok {
		return false
	}
	if call, ok := e.(*ast.CallExpr); ok {
		if f := callee(pass.TypesInfo, call); isSend(f) || is(f, labrpc, "Save", "Write", "Delete") {
			return true
		}
	}
	t := pass.TypesInfo.TypeOf(e)
	if t == nil {
		return false
	}
	if c, ok := t.Underlying().(*types.Chan); ok && c.Dir() != types.SendOnly {
		elem, ok := c.Elem().Underlying().(*types.Struct)
		return ok && elem.NumFields() == 0
	}
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == "context" && named.Obj().Name() == "Context"
}

// bounded reports whether a loop ends by itself: it counts, or ranges over what is finite.
func bounded(pass *analysis.Pass, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ForStmt:
		return n.Init != nil && n.Cond != nil && n.Post != nil
	case *ast.RangeStmt:
		t := pass.TypesInfo.TypeOf(n.X)
		if t == nil {
			return true
		}
		_, isChan := t.Underlying().(*types.Chan)
		return !isChan
	}
	return false
}
