package advice

import (
	"go/ast"
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
				if _, ok := t.Underlying().(*types.Map); ok && reaches(pass, loop.Body, reach, sends, nil) {
					pass.Report(analysis.Diagnostic{Pos: loop.Pos(), Message: "messages are sent in the order of a map, which differs from run to run, so a failure may not come again. " +
						"Go through a slice, such as node.Peers(), or through slices.Sorted(maps.Keys(…))."})
				}
				return true
			})
		}
		return nil, nil
	},
}
