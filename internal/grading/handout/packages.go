package handout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// command is what a student runs besides go test.
const command = "cmd/grade"

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Dir        string
	Module     *struct{ Main bool }

	GoFiles, CgoFiles, IgnoredGoFiles, SFiles, HFiles, CFiles, EmbedFiles []string
}

// packages copies the packages of the course that the handed-out labs, their
// tests and the grade command are built from: no more, and not their tests.
func (m *maker) packages(ctx context.Context) error {
	args := []string{"list", "-deps", "-test", "-json=ImportPath,Dir,Module,GoFiles,CgoFiles,IgnoredGoFiles,SFiles,HFiles,CFiles,EmbedFiles"}
	for _, lab := range slices.Concat(m.made.Labs, m.made.Bases) {
		args = append(args, "./"+lab.Dir())
	}
	out, err := m.output(ctx, m.root, args...)
	if err != nil {
		return err
	}
	if err := m.copyListed(out); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(m.root, filepath.FromSlash(command))); err != nil {
		return nil
	}
	// Without -test: the command's tests are the course's own affair.
	if out, err = m.output(ctx, m.root, "list", "-deps", args[3], "./"+command); err != nil {
		return err
	}
	return m.copyListed(out)
}

func (m *maker) copyListed(out []byte) error {
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("go list: %w", err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, course.Module+"/")
		switch {
		case p.Module == nil || !p.Module.Main || !ours:
			continue
		case strings.HasPrefix(name, "labs/") || strings.HasSuffix(name, ".test") || strings.Contains(name, " "):
			continue // labs are copied already; the others are go test's own
		case strings.HasPrefix(name, "solutions/"):
			return fmt.Errorf("a lab that is handed out is built from %s", p.ImportPath)
		}
		files := slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.SFiles, p.HFiles, p.CFiles, p.EmbedFiles)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if err := m.copy(name+"/"+file, name+"/"+file); err != nil {
				return err
			}
		}
	}
}

// tidy leaves in go.mod and go.sum only what the handout is built from.
func (m *maker) tidy(ctx context.Context) error {
	out, err := m.output(ctx, m.dir, "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var mod struct {
		Tool []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return fmt.Errorf("go mod edit: %w", err)
	}
	for _, tool := range mod.Tool {
		if tool.Path != course.Module+"/"+command {
			if err := m.run(ctx, m.dir, "mod", "edit", "-droptool="+tool.Path); err != nil {
				return err
			}
		}
	}
	return m.run(ctx, m.dir, "mod", "tidy")
}
