package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Seeds have 64 bits: those that are derived from a submission are as often above 2⁶³ as below. A test that converts a seed to int, and
// divides then, counts on with a negative number. It must divide first.
func TestSeedsAreDividedFirst(t *testing.T) {
	files, err := filepath.Glob("../labs/*/*_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	signed := []string{"int", "int64", "time.Duration", "labrpc.NodeID"}
	seen := false
	for _, path := range files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 || !slices.Contains(signed, types.ExprString(call.Fun)) || !mentionsSeed(call.Args[0]) {
				return true
			}
			seen = true
			if !reduced(call.Args[0]) {
				t.Errorf("%s: a seed does not fit into an int: write int(s.Seed%%n)", fset.Position(call.Pos()))
			}
			return true
		})
	}
	require.True(t, seen, "no test converts a seed")
}

func mentionsSeed(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && s.Sel.Name == "Seed"
		return !found
	})
	return found
}

// reduced reports whether every seed in e is below a divisor there.
func reduced(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return reduced(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.REM && mentionsSeed(e.X) || reduced(e.X) && reduced(e.Y)
	}
	return !mentionsSeed(e)
}
