package advice

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Random finds the random numbers that belong to nobody.
var Random = &analysis.Analyzer{
	Name: "random",
	Doc:  "report the global functions of math/rand",
	Run: func(pass *analysis.Pass) (any, error) {
		if !imports(pass.Pkg, labrpc) {
			return nil, nil
		}
		for _, file := range pass.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if !ok {
					return true
				}
				f, ok := pass.TypesInfo.Uses[id].(*types.Func)
				if ok && f.Pkg() != nil && (f.Pkg().Path() == "math/rand" || f.Pkg().Path() == "math/rand/v2") &&
					f.Signature().Recv() == nil && !strings.HasPrefix(f.Name(), "New") {
					pass.Report(analysis.Diagnostic{Pos: id.Pos(), Message: "rand." + f.Name() + " draws from a source that no seed controls, so a failure may not come again. " +
						"node.Rand() is this node's own: the same seed, the same numbers."})
				}
				return true
			})
		}
		return nil, nil
	},
}
