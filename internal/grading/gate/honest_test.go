package gate

import (
	"bytes"
	"cmp"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/globals"
	"distlabs/internal/rotation"
)

// refused are mutants that would be refused as a student's work, and why. The grader runs mutants past the gate. The first keep
// something for each server or session in a package variable, because a patch changes one file and the struct is in another. The
// others are attacks that the tests notice too.
var refused = map[string]string{
	"6a-confirms-once-a-term":          keyed,
	"6a-keeps-the-read-index-for-50ms": keyed,
	"6a-lease-after-a-confirmation":    keyed,
	"6a-lease-by-the-wall-clock":       keyed,
	"6a-short-lease":                   keyed,
	"6b-index-per-key":                 keyed,
	"6b-token-of-reads-only":           keyed,
	"6b-token-of-writes-only":          keyed,

	"bully-shares-memory":                "all of them would share the package variable running",
	"raft-counts-votes-without-messages": "all of them would share the package variable voters",
	"ring-shares-memory":                 "all of them would share the package variable rings",
}

const keyed = "which is a sync.Map: keep it in your struct"

// Every stub and reference of the course passes, and every alternative and mutant, except those that are listed: each day a twenty-eighth of
// the alternatives, and a 56th of the mutants, which differ from a reference in a few lines (package rotation).
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
		for folder, days := range map[string]int{"mutants": 2 * rotation.FourWeeks, "alternatives": rotation.FourWeeks} {
			patches, err := filepath.Glob(filepath.Join(root, lab.SolutionDir(), folder, "*.patch"))
			require.NoError(t, err)
			for i, patch := range patches {
				if !rotation.Today(i, days) {
					continue
				}
				t.Run(lab.ID+"/"+strings.TrimSuffix(filepath.Base(patch), ".patch"), func(t *testing.T) {
					files := patched(t, patch, sources[lab.SolutionDir()])
					if why := refused[strings.TrimSuffix(filepath.Base(patch), ".patch")]; why != "" {
						said := cmp.Or(Look(lab, files), packages(t).Check(source(t, c, lab, files, bases)).Refused)
						require.Contains(t, said, why)
						return
					}
					pass(t, lab, files)
				})
			}
		}
	}
	require.Greater(t, checked, 30)
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
