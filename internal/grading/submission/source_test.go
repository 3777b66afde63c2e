package submission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// What lies in a submission beside the lab's files is ignored or refused, with
// a sentence that is safe to print.
func TestSubmission(t *testing.T) {
	for _, tc := range []struct {
		name    string
		files   map[string]string
		links   map[string]string
		refused string
		notes   []string
	}{
		{name: "complete", files: map[string]string{"echo.go": "x", "shout.go": "x", "README.md": "", ".git/config": ""}},
		{name: "one file missing", files: map[string]string{"echo.go": "x"},
			notes: []string{"shout.go is not in the submission: graded as the stub"}},
		{name: "files of ours", files: map[string]string{"echo.go": "x", "shout.go": "x", "lab.yaml": "", "go.sum": "", "echo_test.go": ""},
			notes: []string{"echo_test.go is a test file, and tests are ours: ignored", "go.sum belongs to the course: ignored"}},
		{name: "assembly and folders", files: map[string]string{"echo.go": "x", "shout.go": "x", "exit_amd64.s": "", "sub/echo.go": ""},
			notes: []string{"exit_amd64.s is not among the lab's files: ignored", "sub is not among the lab's files: ignored"}},
		{name: "what would change the build", files: map[string]string{"echo.go": "x", "shout.go": "x", "go.work": "", "vendor/modules.txt": "", "go/env": "", "helper.go": "x"},
			notes: []string{"go is not among the lab's files: ignored", "go.work belongs to the course: ignored",
				"helper.go is not among the lab's files: ignored", "vendor belongs to the course: ignored"}},
		{name: "a name with control characters", files: map[string]string{"echo.go": "x", "shout.go": "x", "a\x1b[31m\n.go": ""},
			notes: []string{"a?[31m?.go is not among the lab's files: ignored"}},
		{name: "too large", files: map[string]string{"echo.go": strings.Repeat("x", maxFile+1)},
			refused: "the submission's echo.go is larger than 1048576 bytes"},
		{name: "as large as may be", files: map[string]string{"echo.go": strings.Repeat("x", maxFile), "shout.go": "x"}},
		{name: "a folder for a file", files: map[string]string{"echo.go/echo.go": "x"},
			refused: "the submission's echo.go is not a regular file"},
		{name: "a link for a file", files: map[string]string{"shout.go": "x"}, links: map[string]string{"echo.go": "shout.go"},
			refused: `the submission's echo.go is a symbolic link to "shout.go": it is not a regular file`},
		{name: "a link beside", files: map[string]string{"echo.go": "x", "shout.go": "x"}, links: map[string]string{"data": "/etc"},
			refused: `the submission's data is a symbolic link to "/etc": it is not a regular file`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
			}
			for name, target := range tc.links {
				require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
			}
			held, err := Hold(&course.Course{Labs: []course.Lab{echoLab}}, dir, []course.Selected{{Lab: echoLab}})
			require.NoError(t, err)
			files := held[echoLab.ID]
			require.Equal(t, tc.refused, files.Refused)
			if tc.refused == "" {
				require.Equal(t, tc.notes, files.Notes)
			}
			for name := range files.Text {
				require.Contains(t, []string{"echo.go", "shout.go"}, name)
			}
		})
	}
}
