package prove

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

const patch = `Doubles by shifting: the same number.

--- solutions/01-echo/echo.go
+++ solutions/01-echo/echo.go
@@ -1,3 +1,3 @@
 package echo

-const twice = 2
+const twice = 1 << 1
--- solutions/01-echo/shout.go
+++ solutions/01-echo/shout.go
@@ -1,3 +1,3 @@
 package echo

-const loud = true
+const loud = !false
`

func TestAlternatives(t *testing.T) {
	c := &course.Course{Root: t.TempDir()}
	lab := course.Lab{ID: "01-echo", Parts: []course.Part{{Files: []string{"echo.go", "shout.go"}}}}
	write := func(name, text string) {
		path := filepath.Join(c.Root, "solutions/01-echo", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	write("echo.go", "package echo\n\nconst twice = 2\n")
	write("shout.go", "package echo\n\nconst loud = true\n")
	all, err := Alternatives(c, lab)
	require.NoError(t, err)
	require.Empty(t, all)

	write("alternative/echo.go", "package echo\n")
	write("alternatives/shift.patch", patch)
	all, err = Alternatives(c, lab)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "alternative", all[0].Name)
	require.False(t, all[0].Patch)
	require.Equal(t, "shift", all[1].Name)
	require.Equal(t, "Doubles by shifting: the same number.", all[1].Differs)
	text, err := all[1].Source.Text(c, lab)
	require.NoError(t, err)
	require.Equal(t, "package echo\n\nconst twice = 1 << 1\n", string(text["echo.go"]))
	require.Equal(t, "package echo\n\nconst loud = !false\n", string(text["shout.go"]))

	parts := course.Selected{Lab: lab, Parts: []course.Part{{ID: "1A", Files: []string{"echo.go"}}, {ID: "1B", Files: []string{"other.go"}}}}
	require.Len(t, all[0].In(parts).Parts, 2)
	require.Equal(t, parts.Parts[:1], all[1].In(parts).Parts)

	lab.Parts = append(lab.Parts, course.Part{ID: "1B"})
	write("alternatives/shift.patch", strings.Replace(patch, "\n\n", "\nparts: 1B\n\n", 1))
	all, err = Alternatives(c, lab)
	require.NoError(t, err)
	require.Equal(t, "Doubles by shifting: the same number.", all[1].Differs)
	require.Equal(t, parts.Parts[1:], all[1].In(parts).Parts, "the part that the header names")

	for name, tc := range map[string]struct{ text, want string }{
		"no header":      {patch[len("Doubles by shifting: the same number.\n\n"):], "has no header that says what is different"},
		"not to be read": {"Nothing.\n", "changes nothing"},
		"another part":   {strings.Replace(patch, "\n\n", "\nparts: 1B, 1C\n\n", 1), `is for part "1C", which 01-echo does not have`},
		"another file":   {"X.\n\n--- solutions/01-echo/x.go\n+++ solutions/01-echo/x.go\n@@ -1 +1 @@\n-a\n+b\n", "does not change one of the reference's files"},
		"an old one":     {"X.\n\n--- solutions/01-echo/echo.go\n+++ solutions/01-echo/echo.go\n@@ -1 +1 @@\n-package other\n+package echo\n", "does not apply to the reference any more"},
	} {
		write("alternatives/shift.patch", tc.text)
		_, err := Alternatives(c, lab)
		require.ErrorContains(t, err, tc.want, name)
	}
	write("alternatives/shift.patch", patch)
	write("alternatives/notes.txt", "x")
	_, err = Alternatives(c, lab)
	require.ErrorContains(t, err, "notes.txt is not a patch")
}
