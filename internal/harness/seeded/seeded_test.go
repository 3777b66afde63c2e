package seeded_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/seeded"
	rand1 "distlabs/internal/harness/seeded/v1"
	rand2 "distlabs/internal/harness/seeded/v2"
)

// draw draws some numbers in a bubble that runs with the seed.
func draw(t *testing.T, seed uint64) (list []uint64) {
	synctest.Test(t, func(*testing.T) {
		id := seeded.Bubble()
		seeded.Begin(id, seed)
		defer seeded.End(id)
		for range 5 {
			list = append(list, rand2.Uint64(), uint64(rand1.Intn(1000)), uint64(rand2.N(int8(100))))
		}
	})
	return list
}

// The seed decides, and nothing else.
func TestSeedDecides(t *testing.T) {
	require.Equal(t, draw(t, 1), draw(t, 1))
	require.NotEqual(t, draw(t, 1), draw(t, 2))
	require.NotEqual(t, rand2.Uint64(), rand2.Uint64(), "outside a run, too")
}

// The packages have every exported name of those that they stand in for.
func TestSameNames(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	for ours, theirs := range map[string]string{"v1": "math/rand", "v2": "math/rand/v2"} {
		names := exported(t, filepath.Join(strings.TrimSpace(string(root)), "src", theirs))
		require.NotEmpty(t, names)
		require.Subset(t, exported(t, ours), names, theirs)
	}
}

// exported lists the exported names that the files of a folder declare, without methods.
func exported(t *testing.T, dir string) (names []string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					names = append(names, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
						names = append(names, s.Name.Name)
					}
				}
			}
		}
	}
	return names
}
