package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// BinariesEnv names a folder in which test binaries are kept by the content that they were built from. Only this
// repository's own tests set it: they build the same few labs hundreds of times, and linking is what they wait for.
const BinariesEnv = "GRADE_TEST_BINARIES"

// kept is the path at which the binary of a lab of this workspace is kept; "" if none are.
func (w *Workspace) kept(lab course.Lab) (string, error) {
	dir := os.Getenv(BinariesEnv)
	if dir == "" {
		return "", nil
	}
	sum := sha256.New()
	fmt.Fprintln(sum, w.b.tools.Version, w.Plain, lab.ID)
	needs := []string{lab.ID}
	for _, l := range w.b.course.Needs(lab) {
		needs = append(needs, l.ID)
	}
	labs := filepath.Join(w.Root, "labs")
	err := filepath.WalkDir(w.Root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && filepath.Dir(path) == labs && !slices.Contains(needs, e.Name()):
			return filepath.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %d\n%s\n", strings.TrimPrefix(path, w.Root), len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	return filepath.Join(dir, hex.EncodeToString(sum.Sum(nil))), nil
}

// reuse copies a binary that is kept; it reports false if there is none. Nothing else reads the copy yet.
func reuse(kept, binary string) bool {
	text, err := os.ReadFile(kept)
	return err == nil && os.WriteFile(binary, text, 0o666) == nil
}
