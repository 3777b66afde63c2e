package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A message gives an instant of the run as the record below it does, by labtest.At, so that a reader finds it there.
func TestMessagesGiveInstantsAsTheRecordDoes(t *testing.T) {
	files, err := filepath.Glob("../labs/0[1-7]-*/*_test.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	written := 0
	for _, name := range files {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		require.NoError(t, err)
		raw, right := instants(set, file)
		for _, at := range raw {
			t.Errorf("%s: Net.Now() is printed as a duration, want labtest.At(…Net.Now())", at)
		}
		written += right
	}
	require.Greater(t, written, 100)
}

func TestRawInstantsAreFound(t *testing.T) {
	const text = `package p
func _() {
	s.Failf(rule, "late at %v", s.Net.Now())
	_ = fmt.Sprintf("late at %v", labtest.At(s.Net.Now()))
	_ = fmt.Sprintf("late by %v", s.Net.Now()-began)
	f(s.Net.Now())
}`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "a.go", text, 0)
	require.NoError(t, err)
	raw, right := instants(set, file)
	require.Equal(t, []string{"a.go:3"}, raw)
	require.Equal(t, 1, right)
}

// instants finds the calls that write a message with the network's time as it is, and counts those that write it by labtest.At.
func instants(set *token.FileSet, file *ast.File) (raw []string, right int) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := called(call)
		if name == "At" {
			right++
		}
		if slices.Contains([]string{"Failf", "Sprintf", "fail", "violation", "breach"}, name) {
			for _, arg := range call.Args {
				if c, ok := arg.(*ast.CallExpr); ok && called(c) == "Now" {
					at := set.Position(c.Pos())
					raw = append(raw, fmt.Sprintf("%s:%d", at.Filename, at.Line))
				}
			}
		}
		return true
	})
	return raw, right
}

// called is the name of the function or method that is called.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
