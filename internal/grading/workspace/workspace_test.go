package workspace

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
)

// fixture returns a builder for the grader's own course that has no toolchain, unless a test gives it one.
func fixture(t *testing.T) *Builder {
	root, err := filepath.Abs("../course/testdata/course")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	tools := toolchain{Root: "/go", Cache: "/cache", ModCache: "/mod"}
	return newBuilder(c, tools, &Scratch{dir: t.TempDir()}, sandbox.Box{}, Options{Jobs: 1})
}

// A workspace holds what the labs are built from, with the source's files in
// place, and no solution.
func TestWorkspaceHoldsTheSource(t *testing.T) {
	b := fixture(t)
	selected, err := b.course.Select()
	require.NoError(t, err)
	w, err := b.Assemble(submission.Source{Kind: course.Solution}, selected)
	require.NoError(t, err)
	var names []string
	require.NoError(t, filepath.WalkDir(w.Root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(w.Root, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	require.Equal(t, []string{
		"go.mod", "internal/harness/labtest/labtest.go",
		"labs/01-echo/echo.go", "labs/01-echo/echo_test.go", "labs/01-echo/lab.yaml", "labs/01-echo/rules.yaml", "labs/01-echo/shout.go",
		"labs/02-count/count.go", "labs/02-count/count_test.go", "labs/02-count/lab.yaml",
	}, names)
	got, err := os.ReadFile(filepath.Join(w.Root, "labs/01-echo/shout.go"))
	require.NoError(t, err)
	require.Contains(t, string(got), "strings.ToUpper")

	w.Remove()
	left, err := os.ReadDir(b.scratch.dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Nothing of the user's environment reaches a build, but what is named here.
func TestBuildEnvironmentIsClean(t *testing.T) {
	for _, name := range []string{"GOFLAGS", "GOENV", "GOWORK", "GORACE", "LABS_SEED", "LABS_SEEDS", "LABS_SOAK", "SECRET_TOKEN"} {
		t.Setenv(name, "from the user")
	}
	build := fixture(t).tools.env("/s/home", "/s/tmp")
	for _, v := range build {
		require.NotContains(t, v, "from the user")
	}
	for _, want := range []string{"HOME=/s/home", "TMPDIR=/s/tmp", "GOENV=off", "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=1", "GOCACHE=/cache", "GOMODCACHE=/mod"} {
		require.Contains(t, build, want)
	}
}

// Go keeps no counters in the home of a build: what it starts for them would write into the folder while it is being removed.
func TestNoTelemetryInABuild(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, newHome(home))
	tools, err := findToolchain(t.Context(), ".")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), tools.command(), "env", "GOTELEMETRY")
	cmd.Env = tools.env(home, t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "off\n", string(out))
}

// A build that something else kills, as a machine short of memory does, is no fault of the submission's.
func TestKilledBuildIsNoVerdict(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no shell")
	}
	for _, script := range []string{"kill -9 $$", "echo 'distlabs/internal/harness/labtest: compile: signal: killed'; exit 1"} {
		b := fixture(t)
		b.tools.Root = t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(b.tools.Root, "bin"), 0o755))
		require.NoError(t, os.WriteFile(b.tools.command(), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
		selected, err := b.course.Select("01")
		require.NoError(t, err)
		w, err := b.Assemble(submission.Source{Kind: course.Solution}, selected)
		require.NoError(t, err)
		require.ErrorIs(t, w.Build(t.Context(), w.Lab("01-echo")), ErrKilled, script)
	}
}

// A machine that offers less isolation than demanded gets no builder, and keeps no scratch folder.
func TestDemandedIsolation(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := New(t.Context(), fixture(t).course, Options{RequireIsolation: sandbox.IsolationContainer + 1})
	require.ErrorIs(t, err, sandbox.ErrIsolation)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
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
