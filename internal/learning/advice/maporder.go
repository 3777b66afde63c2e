package advice

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

// MapOrder finds a loop over a map that sends.
var MapOrder = &analysis.Analyzer{
	Name: "maporder",
	Doc:  "report messages that are sent in the order of a map",
	Run: func(pass *analysis.Pass) (any, error) {
		funcs := functions(pass)
		sends := func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			return ok && isSend(callee(pass.TypesInfo, call))
		}
		reach := reaching(pass, funcs, sends, nil)
		for _, file := range pass.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				loop, ok := n.(*ast.RangeStmt)
				if !ok {
					return true
				}
				t := pass.TypesInfo.TypeOf(loop.X)
				if t == nil {
					return true
				}
				if _, ok := t.Underlying().(*types.Map); ok && reaches(pass, loop.Body, reach, sends, leaves(pass, loop)) {
					pass.Report(analysis.Diagnostic{Pos: loop.Pos(), Message: "messages are sent in the order of a map, which differs from run to run, so a failure may not come again. " +
						"Go through a slice, such as node.Peers(), or through slices.Sorted(maps.Keys(…))."})
				}
				return true
			})
		}
		return nil, nil
	},
}

// leaves finds the blocks of a loop that are the same whatever comes first: they do not speak of the
// loop's variables, and the loop is over after them.
func leaves(pass *analysis.Pass, loop *ast.RangeStmt) func(ast.Node) bool {
	own := map[types.Object]bool{}
	for _, v := range []ast.Expr{loop.Key, loop.Value} {
		if id, ok := v.(*ast.Ident); ok && id.Name != "_" {
			own[pass.TypesInfo.ObjectOf(id)] = true
		}
	}
	return func(n ast.Node) bool {
		block, ok := n.(*ast.BlockStmt)
		if !ok || len(block.List) == 0 {
			return false
		}
		switch last := block.List[len(block.List)-1].(type) {
		case *ast.ReturnStmt:
		case *ast.BranchStmt:
			if last.Tok != token.BREAK {
				return false
			}
		default:
			return false
		}
		same := true
		ast.Inspect(block, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			same = same && !(ok && own[pass.TypesInfo.ObjectOf(id)])
			return same
		})
		return same
	}
}
