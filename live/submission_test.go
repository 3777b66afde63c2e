package live

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// What the gate refuses, and what does not compile, is not run.
func TestRefusesSubmissions(t *testing.T) {
	root, err := course.Root("..")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("05")
	require.NoError(t, err)
	lab := selected[0].Lab
	for name, row := range map[string]struct {
		change func(text string) string
		want   string
	}{
		"does not compile": {func(text string) string { return text + "\nvar x int = \"one\"\n" }, "does not compile: store.go:"},
		"reaches outside":  {func(text string) string { return strings.Replace(text, "import (", "import (\n\t_ \"os/exec\"", 1) }, "os/exec"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := submission.Source{Kind: course.Solution}.Read(c, selected, lab)
			require.NoError(t, err)
			files.Text["store.go"] = []byte(row.change(string(files.Text["store.go"])))
			src := submission.Source{Kind: course.Submission, Held: submission.Held{lab.ID: files}}
			binary := filepath.Join(t.TempDir(), "server")
			require.ErrorContains(t, build(t.Context(), src, "05", "server", binary), row.want)
			require.NoFileExists(t, binary)
		})
	}
}
