package gate

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"distlabs/internal/grading/course"
)

// Packages gives the types of the packages that a submission may import, as the pristine course and the toolchain have them.
// It reads each once. It is safe for concurrent use.
type Packages struct {
	mu   sync.Mutex
	from types.Importer
}

// NewPackages returns the packages whose export data lies in the files of that name, by import path.
func NewPackages(files map[string]string) *Packages {
	lookup := func(path string) (io.ReadCloser, error) {
		name, ok := files[path]
		if !ok {
			return nil, fmt.Errorf("gate: no export data of %s", path)
		}
		return os.Open(name)
	}
	return &Packages{from: importer.ForCompiler(token.NewFileSet(), "gc", lookup)}
}

// Import implements types.Importer.
func (p *Packages) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return nil, fmt.Errorf("gate: %s is not permitted", path)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.from.Import(path)
}

// within adds the labs that a lab builds on.
type within struct {
	*Packages
	labs map[string]*types.Package
}

func (w within) Import(path string) (*types.Package, error) {
	if p := w.labs[path]; p != nil {
		return p, nil
	}
	return w.Packages.Import(path)
}

// Importable lists the packages that submissions of some labs may import, without the labs themselves.
func Importable(labs []course.Lab) []string {
	paths := slices.Clone(allowed)
	for _, lab := range labs {
		for _, path := range lab.Imports {
			if !strings.HasPrefix(path, course.Module+"/labs/") && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// ListArgs are the arguments of the go command that prints where the export data of packages lies. It builds them as the
// labs' tests are built, so that they are built once. Those that the course does not have are left out.
func ListArgs(paths []string) []string {
	return append([]string{"list", "-e", "-race", "-trimpath", "-export", "-f", "{{.ImportPath}} {{.Export}}"}, paths...)
}

// ReadList reads what that command prints.
func ReadList(out string) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(out) {
		if path, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok && file != "" {
			files[path] = file
		}
	}
	return files
}
