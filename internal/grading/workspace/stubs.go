package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"distlabs/internal/grading/course"
)

// stubs puts the pristine stubs over the copied labs. What a submission lacks is
// graded as the stub, and not as what someone has written in this checkout.
func (w *Workspace) stubs(labs []course.Lab) error {
	for _, lab := range labs {
		for _, name := range lab.Files() {
			text, err := os.ReadFile(filepath.Join(w.b.course.Root, filepath.FromSlash(lab.StubDir()), name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // this course keeps none: labs/ has them
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(w.Root, filepath.FromSlash(lab.Dir()), name), text, 0o666)
			}
			if err != nil {
				return fmt.Errorf("workspace: %w", err)
			}
		}
	}
	return nil
}
