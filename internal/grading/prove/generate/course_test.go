package generate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// The mutants of every reference have keys of their own, and those that compile alone compile together.
func TestSchemataOfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, lab := range c.Labs {
		t.Run(lab.ID, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			p, err := Load(t.Context(), root, lab.SolutionDir(), lab.Files())
			require.NoError(t, err)
			all := p.Mutants()
			t.Log(len(all), time.Since(began))
			keys := map[string]bool{}
			for _, m := range all {
				require.False(t, keys[m.Key], m.Key)
				keys[m.Key] = true
			}
			var sound []Mutant
			ops := map[Operator]int{}
			for i, wrong := range p.Compiles(all) {
				if wrong == "" {
					sound = append(sound, all[i])
				} else if os.Getenv("SHOW") != "" {
					fmt.Println(all[i].Key, "|", wrong)
				}
				ops[all[i].Operator]++
			}
			t.Log(len(sound), time.Since(began), ops)
			require.Greater(t, len(sound), len(all)*3/4, "most mutants must compile")
			s := p.Schema(sound)
			alone := 0
			for _, n := range s.Number {
				if n == 0 {
					alone++
				}
			}
			t.Log("alone", alone)
			if dir := os.Getenv("OUT"); dir != "" {
				for name, text := range s.Files {
					require.NoError(t, os.MkdirAll(filepath.Join(dir, lab.ID), 0o777))
					require.NoError(t, os.WriteFile(filepath.Join(dir, lab.ID, name), text, 0o666))
				}
			}
			fset := token.NewFileSet()
			var files []*ast.File
			for name, text := range p.text {
				if s.Files[name] == nil {
					s.Files[name] = text
				}
			}
			delete(s.Files, "mutant_number.go")
			s.Files["mutant_number.go"] = []byte("package " + p.types.Name() + "\nvar mutantNumber int\nfunc mutantAt(int) {}\n")
			for name, text := range s.Files {
				f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
				require.NoError(t, err, "%s", text)
				files = append(files, f)
			}
			config := types.Config{Importer: p.imports}
			_, err = config.Check("schema", fset, files, nil)
			require.NoError(t, err)
		})
	}
}
