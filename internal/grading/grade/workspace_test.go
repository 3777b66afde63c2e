package grade

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// fixture returns the grader's own course and a grader for it that does not
// build anything.
func fixture(t *testing.T) *Grader {
	root, err := filepath.Abs("testdata/course")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	return &Grader{course: c, scratch: t.TempDir(), tools: toolchain{Root: "/go", Cache: "/cache", ModCache: "/mod"}}
}

// A workspace holds what the labs are built from, with the source's files in
// place, and no solution.
func TestWorkspaceHoldsTheSource(t *testing.T) {
	g := fixture(t)
	selected, err := g.course.Select()
	require.NoError(t, err)
	w, err := g.assemble(Source{Kind: Solution}, selected)
	require.NoError(t, err)
	var names []string
	require.NoError(t, filepath.WalkDir(w.course, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(w.course, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	require.Equal(t, []string{
		"go.mod", "internal/harness/labtest/labtest.go",
		"labs/01-echo/echo.go", "labs/01-echo/echo_test.go", "labs/01-echo/lab.yaml", "labs/01-echo/shout.go",
		"labs/02-count/count.go", "labs/02-count/count_test.go", "labs/02-count/lab.yaml",
	}, names)
	got, err := os.ReadFile(filepath.Join(w.course, "labs/01-echo/shout.go"))
	require.NoError(t, err)
	require.Contains(t, string(got), "strings.ToUpper")

	w.remove()
	left, err := os.ReadDir(g.scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Nothing of the user's environment reaches a build or a test, but what is named here.
func TestEnvironmentsAreClean(t *testing.T) {
	for _, name := range []string{"GOFLAGS", "GOENV", "GOWORK", "GORACE", "LABS_SEED", "LABS_SEEDS", "LABS_SOAK", "SECRET_TOKEN"} {
		t.Setenv(name, "from the user")
	}
	g := fixture(t)
	w := &workspace{g: g, dir: "/s", course: "/s/course"}
	for name, env := range map[string][]string{
		"build": g.tools.env("/s/home", "/s/tmp"),
		"test":  w.testEnv("/s", Run{}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range env {
				require.NotContains(t, v, "from the user")
			}
			require.Contains(t, env, "HOME=/s/home")
			require.Contains(t, env, "TMPDIR=/s/tmp")
		})
	}
	build := g.tools.env("/s/home", "/s/tmp")
	for _, want := range []string{"GOENV=off", "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=1", "GOCACHE=/cache", "GOMODCACHE=/mod"} {
		require.Contains(t, build, want)
	}
	names := func(v string) bool { return strings.HasPrefix(v, "LABS_SEED") || strings.HasPrefix(v, "LABS_SOAK") }
	require.False(t, slices.ContainsFunc(w.testEnv("", Run{}), names))
	soak := w.testEnv("", Run{Seeds: 7, Soak: true, Procs: 2})
	for _, want := range []string{"LABS_SEEDS=7", "LABS_SOAK=1", "GOMAXPROCS=2", "GORACE=halt_on_error=1 atexit_sleep_ms=0"} {
		require.Contains(t, soak, want)
	}
	require.Contains(t, w.testEnv("", Run{Seed: "81"}), "LABS_SEED=81")
}

// A compile error counts against the submission only if it is in the lab's folder.
func TestCompileErrors(t *testing.T) {
	lab := course.Lab{ID: "01-echo"}
	got, err := compileErrors(lab, "# distlabs/labs/01-echo\nlabs/01-echo/echo.go:4:2: undefined: x\n\tlabs/01-echo/echo_test.go:9:1: too many errors\x1b\n")
	require.NoError(t, err)
	require.Equal(t, []string{"labs/01-echo/echo.go:4:2: undefined: x", "labs/01-echo/echo_test.go:9:1: too many errors?"}, got)

	_, err = compileErrors(lab, "# distlabs/labrpc\nlabrpc/node.go:4:2: undefined: x\n")
	require.EqualError(t, err, "labrpc/node.go:4:2: undefined: x")
	_, err = compileErrors(lab, "# runtime/cgo\ncgo: C compiler \"gcc\" not found\n")
	require.EqualError(t, err, `cgo: C compiler "gcc" not found`)

	many := strings.Repeat("labs/01-echo/echo.go:4:2: undefined: x\n", maxCompileErrors+3)
	got, err = compileErrors(lab, many)
	require.NoError(t, err)
	require.Len(t, got, maxCompileErrors+1)
	require.Equal(t, "and 3 more", got[maxCompileErrors])
}
