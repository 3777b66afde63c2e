package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"distlabs/internal/grading/course"
)

// seededDir has the packages that stand in for math/rand and math/rand/v2; a course without them is built as it is.
const seededDir = "internal/harness/seeded"

var seededPackages = map[string]string{
	"math/rand":    course.Module + "/" + seededDir + "/v1",
	"math/rand/v2": course.Module + "/" + seededDir + "/v2",
}

// seed has the lab's own files, in this copy, draw what they take from the global functions of math/rand from the run's seed:
// careless code replays, too. And it has them give way between two critical sections where a test asks for that (yields). The
// files keep their lines. It is for the time of one compile, so that the gate reads every file as it was handed in; was gets the
// files as they were, by path.
func (w *Workspace) seed(lab course.Lab, was map[string][]byte) error {
	if _, err := os.Stat(filepath.Join(w.Root, filepath.FromSlash(seededDir))); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range lab.Files() {
		path := filepath.Join(w.Root, filepath.FromSlash(lab.Dir()), name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
		if changed := yields(seededImports(text)); !bytes.Equal(changed, text) {
			was[path] = text
			if err := os.WriteFile(path, changed, 0o666); err != nil {
				return fmt.Errorf("workspace: %w", err)
			}
		}
	}
	return nil
}

// unseed puts the files back.
func unseed(was map[string][]byte) error {
	var all error
	for path, text := range was {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			all = errors.Join(all, fmt.Errorf("workspace: %w", err))
		}
	}
	return all
}

// seededImports returns the file with the seeded packages in place of those of Go.
func seededImports(text []byte) []byte {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.ImportsOnly)
	if err != nil {
		return text
	}
	var out bytes.Buffer
	last := 0
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil || seededPackages[name] == "" {
			continue
		}
		out.Write(text[last:set.Position(spec.Path.Pos()).Offset])
		out.WriteString(strconv.Quote(seededPackages[name]))
		last = set.Position(spec.Path.End()).Offset
	}
	out.Write(text[last:])
	return out.Bytes()
}
