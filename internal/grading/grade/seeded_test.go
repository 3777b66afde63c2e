package grade

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/report"
)

// A lab is compiled with calls of the harness in its files. The next build in the same workspace finds them as they were handed in: that
// of a lab which builds on it, and that with a stub in place of a file which does not compile.
func TestABuildReadsWhatWasHandedIn(t *testing.T) {
	t.Parallel()
	c := smallCourse(t)
	const locks = `package echo

import (
	"math/rand"
	"sync"
)

var _ = rand.Intn

type voice struct{ mu sync.Mutex }

func (v *voice) say(s string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return s
}

func Echo(s string) string { return new(voice).say(s) }
`
	write := func(text string, name ...string) {
		path := filepath.Join(name...)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	write(locks, c.Root, c.Labs[0].StubDir(), "echo.go")
	write(locks, c.Root, c.Labs[0].Dir(), "echo.go")
	g, err := New(t.Context(), c, Options{Jobs: 2})
	require.NoError(t, err)
	defer g.Close()
	whole, err := c.Select()
	require.NoError(t, err)
	_, err = g.Warm(t.Context(), whole, "")
	require.NoError(t, err, "the second lab builds on the first")

	handedIn := t.TempDir()
	write(locks, handedIn, "labs", "01-echo", "echo.go")
	write("package echo\n\nfunc Shout(s string) string { return }\n", handedIn, "labs", "01-echo", "shout.go")
	write("package count\n\ntype Counter struct{}\n\nfunc (c *Counter) Add() {}\n\nfunc (c *Counter) Value() string { return \"\" }\n", handedIn, "labs", "02-count", "count.go")
	r, err := g.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: handedIn}, whole, Run{Timeout: 10 * time.Second, Plain: true})
	require.NoError(t, err)
	require.Empty(t, r.Labs[0].Refused)
	require.Contains(t, r.Labs[0].Notes[0], "shout.go is graded as the stub: it does not compile")
	require.Equal(t, report.Pass, r.Labs[0].Parts[0].Tests[0].Status)
	require.Empty(t, r.Labs[1].Refused, "the second lab is built beside the first")
}

// A compiler's error names the student's file, line, column and import, not what the compiler read in their place.
func TestCompileErrorNamesWhatWasHandedIn(t *testing.T) {
	t.Parallel()
	c := smallCourse(t)
	g, err := New(t.Context(), c, Options{Jobs: 1})
	require.NoError(t, err)
	defer g.Close()
	whole, err := c.Select("01")
	require.NoError(t, err)
	for _, row := range []struct{ name, imports, body, want string }{
		{"unused", `"math/rand"`, "mu.Lock()\n\treturn s", `4:2: "math/rand" imported and not used`},
		{"unused v2", `"math/rand/v2"`, "mu.Lock()\n\treturn s", `4:2: "math/rand/v2" imported as rand and not used`},
		{"renamed", `r "math/rand"`, "mu.Lock()\n\treturn s", `4:2: "math/rand" imported as r and not used`},
		{"after a yield", `"math/rand"`, "mu.Lock()\n\tmu.Unlock()\n\treturn rand.Intn(3)", "12:9: cannot use rand.Intn(3) (value of type int) as string value in return statement"},
		{"undefined", `"math/rand"`, "mu.Unlock()\n\treturn rand.Name()", "11:14: undefined: rand.Name"},
		{"its type", `"math/rand"`, "mu.Unlock()\n\treturn rand.New(nil)", "11:9: cannot use rand.New(nil) (value of type *\"math/rand\".Rand) as string value in return statement"},
	} {
		handedIn := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(handedIn, "labs", "01-echo"), 0o777))
		text := "package echo\n\nimport (\n\t" + row.imports + "\n\t\"sync\"\n)\n\nfunc Echo(s string) string {\n\tvar mu sync.Mutex\n\t" + row.body + "\n}\n"
		require.NoError(t, os.WriteFile(filepath.Join(handedIn, "labs", "01-echo", "echo.go"), []byte(text), 0o666))
		r, err := g.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: handedIn}, whole, Run{Timeout: 10 * time.Second, Plain: true})
		require.NoError(t, err, row.name)
		require.Equal(t, "does not compile: labs/01-echo/echo.go:"+row.want, r.Labs[0].Refused, row.name)
	}
}
