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
	"strings"

	"distlabs/internal/grading/course"
)

// seededDir has the packages that stand in for math/rand and math/rand/v2; a course without them is built as it is.
const seededDir = "internal/harness/seeded"

var seededPackages = map[string]string{
	"math/rand":    course.Module + "/" + seededDir + "/v1",
	"math/rand/v2": course.Module + "/" + seededDir + "/v2",
}

// asImported gives the packages in a compiler's error the names by which the student imports them.
var asImported = strings.NewReplacer(
	strconv.Quote(seededPackages["math/rand"])+" imported as rand and not used", `"math/rand" imported and not used`,
	seededPackages["math/rand"], "math/rand", seededPackages["math/rand/v2"], "math/rand/v2",
)

// seed has the lab's own files draw what they take from the global functions of math/rand from the run's seed: careless code
// replays, too. And it has them give way between two critical sections where a test asks for that (yields). The files keep their
// lines. Only the compiler sees them so: what builds on the lab, and the gate, read the files as they were handed in.
func (w *Workspace) seed(lab course.Lab, o overlay) error {
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
		o[path] = yields(seededImports(text))
	}
	return nil
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
