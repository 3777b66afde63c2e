package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// submit builds a submission of lab 01-echo and returns why it was refused.
func submit(t *testing.T, b *Builder, echo string) string {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "echo.go"), []byte(echo), 0o666))
	selected, err := b.course.Select("01")
	require.NoError(t, err)
	w, err := b.Assemble(submission.Source{Kind: course.Submission, Path: dir}, selected)
	require.NoError(t, err)
	defer w.Remove()
	lab := w.Lab("01-echo")
	require.NoError(t, w.Build(t.Context(), lab))
	require.Equal(t, lab.Refused == "", lab.Binary != "")
	return lab.Refused
}

// A submission meets the gate's check with types before it is built. One that keeps the type checker busy is refused, and
// keeps nobody else waiting.
func TestGateWithTypes(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("../course/testdata/course")))
	require.NoError(t, os.CopyFS(filepath.Join(root, "internal/harness/report"), os.DirFS("../../harness/report")))
	c, err := course.Load(root)
	require.NoError(t, err)
	b, err := New(t.Context(), c, Options{})
	require.NoError(t, err)
	defer b.Close()
	before := gateLimits
	gateLimits.CPU = 3 * time.Second
	defer func() { gateLimits = before }()

	const echo = "package echo\n\nfunc Echo(s string) string { return s }\n"
	doubling := func(last int, use string) string {
		text := echo + "const s0 = \"" + strings.Repeat("x", 1000) + "\"\n"
		for i := range last {
			text += fmt.Sprintf("const s%d = s%d + s%d\n", i+1, i, i)
		}
		return text + strings.ReplaceAll(use, "@", fmt.Sprint(last)) + "\n"
	}
	for _, tc := range []struct{ name, text, want string }{
		{"honest", echo, ""},
		{"a map for all nodes", echo + "\nvar door = map[int]int{}\n\nfunc open() { door[1] = 2 }\n",
			"echo.go:5: nodes share no memory, but all of them would share the package variable door, which is changed in line 7: keep it in your struct"},
		{"a compile error", "package echo\n\nfunc Echo(s string) string { return 1 }\n",
			"does not compile: labs/01-echo/echo.go:3:37: cannot use 1 (untyped int constant) as string value in return statement"},
		{"a syntax error", "package echo\n\nfunc Echo(s string) string {\n", "does not compile: labs/01-echo/echo.go:4:1: syntax error: unexpected EOF, expected }"},
		{"a string that doubles", doubling(40, "const n = len(s@)"), "the source asks too much of the type checker: it "},
		{"types that grow", echo + "\ntype A[T any] struct{ x, y *A[A[T]] }\n\nvar a A[int]\n", "the source asks too much of the type checker: it "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := submit(t, b, tc.text)
			require.True(t, strings.HasPrefix(got, tc.want) && (tc.want != "" || got == ""), "%q, want %q", got, tc.want)
		})
	}
}
