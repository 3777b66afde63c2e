package gate

import (
	"bytes"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/globals"
)

// keyed are mutants that keep something for each server or session in a package variable, because a patch changes one file and
// the struct is in another. The grader runs mutants without the check with types; as a student's work they would be refused.
var keyed = strings.Fields(`6a-confirms-once-a-term 6a-follower-keeps-the-index 6a-lease-after-a-confirmation 6a-lease-by-the-wall-clock
	6a-short-lease 6b-index-per-key 6b-token-of-reads-only 6b-token-of-writes-only`)

// Every stub, reference, alternative and mutant of the course passes.
func TestHonestSourcesPass(t *testing.T) {
	c, err := course.Load(root)
	require.NoError(t, err)
	bases := map[string]*types.Package{} // references, for the labs that build on them
	checked := 0
	pass := func(t *testing.T, lab course.Lab, files map[string][]byte) *types.Package {
		checked++
		require.Empty(t, Look(lab, files))
		v := packages(t).Check(source(t, c, lab, files, bases))
		require.Empty(t, v.Refused)
		require.Empty(t, v.Doubt)
		require.Empty(t, globals.Check(files), "what the gate lets pass, a plain go test must too")
		return v.Types
	}
	for _, lab := range c.Labs {
		sources := honest(t, c, lab)
		for name, files := range sources {
			t.Run(name, func(t *testing.T) {
				p := pass(t, lab, files)
				if name == lab.SolutionDir() {
					bases[course.Module+"/"+lab.Dir()] = p
				}
			})
		}
		for _, folder := range []string{"mutants", "alternatives"} {
			patches, err := filepath.Glob(filepath.Join(root, lab.SolutionDir(), folder, "*.patch"))
			require.NoError(t, err)
			for _, patch := range patches {
				t.Run(lab.ID+"/"+strings.TrimSuffix(filepath.Base(patch), ".patch"), func(t *testing.T) {
					files := patched(t, patch, sources[lab.SolutionDir()])
					if slices.Contains(keyed, strings.TrimSuffix(filepath.Base(patch), ".patch")) {
						require.Contains(t, packages(t).Check(source(t, c, lab, files, bases)).Refused, "which is a sync.Map: keep it in your struct")
						return
					}
					pass(t, lab, files)
				})
			}
		}
	}
	require.Greater(t, checked, 500)
}

// source is a lab as the grader would hand it to the gate.
func source(t testing.TB, c *course.Course, lab course.Lab, files map[string][]byte, labs map[string]*types.Package) Source {
	stubs, tests := map[string][]byte{}, map[string][]byte{}
	for _, name := range lab.Files() {
		text, err := os.ReadFile(filepath.Join(c.Root, lab.StubDir(), name))
		require.NoError(t, err)
		stubs[name] = text
	}
	entries, err := filepath.Glob(filepath.Join(c.Root, lab.Dir(), "*_test.go"))
	require.NoError(t, err)
	for _, name := range entries {
		if tests[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			require.NoError(t, err)
		}
	}
	whole := maps.Clone(stubs)
	maps.Copy(whole, files)
	return Source{Lab: lab, Files: whole, Stubs: stubs, Tests: tests, Labs: labs}
}

// patched returns the files with a patch applied.
func patched(t *testing.T, path string, files map[string][]byte) map[string][]byte {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	diff, _, err := gitdiff.Parse(bytes.NewReader(text))
	require.NoError(t, err)
	require.NotEmpty(t, diff)
	files = maps.Clone(files)
	for _, f := range diff {
		name := filepath.Base(f.NewName)
		var out bytes.Buffer
		require.NoError(t, gitdiff.Apply(&out, bytes.NewReader(files[name]), f))
		files[name] = out.Bytes()
	}
	return files
}
