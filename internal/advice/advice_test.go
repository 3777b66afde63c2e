package advice

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/analysis/analysistest"

	"distlabs/internal/course"
)

// Each folder of testdata/src has what an analyzer must find, in want comments, and
// what is right and looks like it.
func TestAnalyzers(t *testing.T) {
	for _, a := range Analyzers {
		t.Run(a.Name, func(t *testing.T) { analysistest.Run(t, analysistest.TestData(), a, a.Name) })
	}
}

// Whoever does it right is left alone: no reference and no alternative gets any
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
