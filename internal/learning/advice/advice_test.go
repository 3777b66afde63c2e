package advice

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/packages"

	"distlabs/internal/grading/course"
	"distlabs/internal/rotation"
)

// Each folder of testdata/src has what the analyzer of that name must find, in want comments, and what is right and looks like it. They
// are read together, with one reading of the library's source.
func TestAnalyzers(t *testing.T) {
	var names []string
	each := &analysis.Analyzer{Name: "each", Doc: "each runs the analyzer that a folder is named after", Run: func(pass *analysis.Pass) (any, error) {
		i := slices.IndexFunc(Analyzers, func(a *analysis.Analyzer) bool { return a.Name == pass.Pkg.Path() })
		return Analyzers[i].Run(pass)
	}}
	for _, a := range Analyzers {
		require.Empty(t, a.FactTypes, "an analyzer that tells others what it found must run by itself")
		names = append(names, a.Name)
		each.Requires = append(each.Requires, a.Requires...)
	}
	for _, result := range analysistest.Run(t, analysistest.TestData(), each, names...) {
		require.NotEmpty(t, result.Diagnostics, result.Action.Package.PkgPath)
	}
}

// Code that does it right is left alone: no reference and no alternative gets any
// advice.
func TestNothingToSayAboutWhatIsRight(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	var dirs []string
	for _, pattern := range []string{"solutions/[0-9]*-*", "solutions/*/alternative"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found)
		for _, dir := range found {
			dir, err := filepath.Rel(root, dir)
			require.NoError(t, err)
			dirs = append(dirs, dir)
		}
	}
	all, err := Check(t.Context(), root, dirs...)
	require.NoError(t, err)
	for _, a := range all {
		t.Error(a)
	}
}

// Of code that does not compile there is nothing to say but that.
func TestSaysThatCodeDoesNotCompile(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	path := filepath.Join(root, "solutions", "04-election", "raft.go")
	_, err = check(&packages.Config{Context: t.Context(), Dir: root, Overlay: map[string][]byte{path: []byte("package election\n\nfunc f() { g() }\n")}}, []string{"solutions/04-election"})
	require.ErrorAs(t, err, &NotCompiled{})
	require.ErrorContains(t, err, "the code does not compile: solutions/04-election/")
}

// Known-wrong solutions that an analyzer is about do get its advice. Each day has one of them (package rotation): what they import is
// type-checked for each.
func TestFindsItInMutants(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	for i, tc := range []struct{ lab, mutant, want string }{
		{"04-election", "raft-lock-across-call", "r.mu, locked at raft.go:"},
		{"04-election", "raft-outlives-its-node", "this loop goes on when its node has crashed"},
		{"03-clocks", "3a-serves-package-time", "a reading of time.Now leaves this node, in a message or a record"},
	} {
		t.Run(tc.mutant, func(t *testing.T) {
			rotation.Turn(t, i, 3)
			dir := filepath.Join("solutions", tc.lab)
			text, err := os.ReadFile(filepath.Join(root, dir, "mutants", tc.mutant+".patch"))
			require.NoError(t, err)
			patches, _, err := gitdiff.Parse(bytes.NewReader(text))
			require.NoError(t, err)
			path := filepath.Join(root, filepath.FromSlash(patches[0].NewName))
			reference, err := os.ReadFile(path)
			require.NoError(t, err)
			var mutant bytes.Buffer
			require.NoError(t, gitdiff.Apply(&mutant, bytes.NewReader(reference), patches[0]))
			all, err := check(&packages.Config{Context: t.Context(), Dir: root, Overlay: map[string][]byte{path: mutant.Bytes()}}, []string{dir})
			require.NoError(t, err)
			require.Len(t, all, 1)
			require.Contains(t, all[0].String(), tc.want)
		})
	}
}
