package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Place is where the package under test lies.
type Place struct {
	Dir     string // its folder; go test runs a test binary in it
	Package string // as go test wants it in the module's root: ./labs/04-election
}

// FindPlace returns the place of the package whose tests this process runs.
//
// It looks at files, which go test's result cache would take for inputs of the
// tests: a harness calls it only once a test has failed.
func FindPlace() Place {
	dir, err := os.Getwd()
	if err != nil {
		return Place{Package: "."}
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			if rel, err := filepath.Rel(root, dir); err == nil && rel != "." {
				return Place{Dir: dir, Package: "./" + filepath.ToSlash(rel)}
			}
			return Place{Dir: dir, Package: "."}
		}
		if root == filepath.Dir(root) {
			return Place{Dir: dir, Package: "."}
		}
	}
}

// Replay returns the command that runs one test again.
func (p Place) Replay(test string) string {
	return fmt.Sprintf("go test -race -run '%s$' %s", test, p.Package)
}

// ReplaySeed returns the command that runs one seed of a test again.
func (p Place) ReplaySeed(test string, seed uint64) string {
	return fmt.Sprintf("LABS_SEED=%d %s", seed, p.Replay(test))
}

// Source takes for the student's every file of the package that is not a test's.
// With -trimpath the stacks say distlabs/labs/04-election instead of the folder.
func (p Place) Source() Source {
	own := filepath.ToSlash(p.Dir)
	trimmed := strings.TrimPrefix(p.Package, ".")
	return Source{
		IsStudent: func(path string) bool {
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return false
			}
			dir := filepath.ToSlash(filepath.Dir(path))
			return dir == own || trimmed != "" && !filepath.IsAbs(path) && strings.HasSuffix(dir, trimmed)
		},
		Read: func(path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(p.Dir, filepath.Base(path)))
		},
	}
}
