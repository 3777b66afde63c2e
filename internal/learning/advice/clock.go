package advice

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// Clock finds times of time.Now that leave their node: in a message, on the
// disk, or as a number. What time.Now says is the same on all simulated machines,
// and on no real ones.
var Clock = &analysis.Analyzer{
	Name: "clock",
	Doc:  "report time.Now where the node's own wall clock is meant",
	Run: func(pass *analysis.Pass) (any, error) {
		if !imports(pass.Pkg, labrpc) {
			return nil, nil
		}
		c := &clockWalk{pass: pass, from: map[types.Object]bool{}, messages: map[types.Type]bool{}}
		c.eachNode(c.gather)
		c.eachNode(c.look)
		return nil, nil
	},
}

func imports(pkg *types.Package, path string) bool {
	for _, p := range pkg.Imports() {
		if p.Path() == path {
			return true
		}
	}
	return false
}

type clockWalk struct {
	pass     *analysis.Pass
	from     map[types.Object]bool // variables that hold a time of time.Now
	messages map[types.Type]bool   // types that travel, or are kept on the disk
}

func (c *clockWalk) eachNode(f func(ast.Node)) {
	for _, file := range c.pass.Files {
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				f(n)
			}
			return true
		})
	}
}

// gather learns which variables hold a time, and which types travel.
func (c *clockWalk) gather(n ast.Node) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if len(n.Lhs) != len(n.Rhs) {
			return
		}
		for i, rhs := range n.Rhs {
			id, ok := n.Lhs[i].(*ast.Ident)
			if !ok || !c.isMoment(rhs) {
				continue
			}
			if obj := c.pass.TypesInfo.Defs[id]; obj != nil {
				c.from[obj] = true
			}
		}
	case *ast.CallExpr:
		f := callee(c.pass.TypesInfo, n)
		if is(f, labrpc, "Handle", "Receive", "Call", "Send") && f.Signature().Recv() == nil {
			c.gatherTypes(n)
		}
		if is(f, labrpc, "Save") && len(n.Args) == 2 {
			if t := c.pass.TypesInfo.TypeOf(n.Args[1]); t != nil {
				c.messages[types.Unalias(deref(t))] = true
			}
		}
	}
}

// gatherTypes takes the type arguments of a call, given or inferred.
func (c *clockWalk) gatherTypes(call *ast.CallExpr) {
	args := c.pass.TypesInfo.Instances[calleeName(call)].TypeArgs
	for i := range args.Len() {
		c.messages[types.Unalias(args.At(i))] = true
	}
}

// isMoment reports whether an expression is a time that time.Now gave, perhaps moved or rounded.
func (c *clockWalk) isMoment(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return c.from[c.pass.TypesInfo.Uses[e]]
	case *ast.CallExpr:
		f := callee(c.pass.TypesInfo, e)
		if is(f, "time", "Now") {
			return true
		}
		sel, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr)
		return ok && is(f, "time", "Add", "AddDate", "Round", "Truncate", "UTC", "Local") && c.isMoment(sel.X)
	}
	return false
}

func (c *clockWalk) look(n ast.Node) {
	switch n := n.(type) {
	case *ast.CallExpr:
		f := callee(c.pass.TypesInfo, n)
		sel, isSel := ast.Unparen(n.Fun).(*ast.SelectorExpr)
		switch {
		case isSel && is(f, "time", "Unix", "UnixMilli", "UnixMicro", "UnixNano", "Format") && c.isMoment(sel.X):
			c.report(n, "is turned into a number or text, as if it were a date")
		case is(f, labrpc, "Send", "Call", "Save"):
			for _, arg := range n.Args {
				if c.isMoment(arg) {
					c.report(arg, "leaves this node")
				}
			}
		}
	case *ast.CompositeLit:
		if !c.messages[types.Unalias(c.pass.TypesInfo.TypeOf(n))] {
			return
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				e = kv.Value
			}
			if c.isMoment(e) {
				c.report(e, "leaves this node, in a message or a record")
			}
		}
	case *ast.AssignStmt:
		for i, lhs := range n.Lhs {
			sel, ok := lhs.(*ast.SelectorExpr)
			if !ok || len(n.Lhs) != len(n.Rhs) || !c.isMoment(n.Rhs[i]) {
				continue
			}
			if t := c.pass.TypesInfo.TypeOf(sel.X); t != nil && c.messages[types.Unalias(deref(t))] {
				c.report(n.Rhs[i], "leaves this node, in a message or a record")
			}
		}
	}
}

func deref(t types.Type) types.Type {
	if p, ok := t.Underlying().(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}

func (c *clockWalk) report(n ast.Node, how string) {
	c.pass.Report(analysis.Diagnostic{Pos: n.Pos(), Message: "a reading of time.Now " + how + ". All simulated machines share that clock, and no real ones do. " +
		"time.Now is for measuring how long something takes on one node; the date, as this machine believes it, is node.Clock().Now()."})
}
