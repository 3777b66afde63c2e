package gate

import (
	"bytes"
	"cmp"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
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
	"1a-hears-the-peer-again":          keyed,
	"2c-forgets-after-a-calm-hour":     keyed,
	"2c-shrinks-after-ten-minutes":     keyed,
	"4e-reads-share-a-context":         "which holds a function that may remember something",
	"4e-reads-share-a-request":         "which holds a function that may remember something",
	"5b-prevote-ignores-terms":         keyed,
	"5d-watches-take-turns":            keyed,
	"6a-confirms-once-a-term":          keyed,
	"6a-keeps-the-read-index-for-50ms": keyed,
	"6a-lease-after-a-confirmation":    keyed,
	"6a-lease-by-the-wall-clock":       keyed,
	"6a-short-lease":                   keyed,
	"6b-index-per-key":                 keyed,
	"6b-own-server-is-old-or-empty":    keyed,
	"6b-own-server-never-goes-back":    keyed,
	"6b-token-of-reads-only":           keyed,
	"6b-token-of-writes-only":          keyed,
	"7d-gives-up-after-ten-leases":     keyed,

	"bully-shares-memory":                "all of them would share the package variable running",
	"raft-counts-votes-without-messages": "all of them would share the package variable voters",
	"ring-shares-memory":                 "all of them would share the package variable rings",
}

const keyed = "which is a sync.Map: keep it in your struct"

// declaresVar finds the mutants that declare a package variable: what the gate refuses first.
var declaresVar = regexp.MustCompile(`(?m)^\+var\b`)

// Every stub, reference and alternative of the course passes, and every mutant, except those that are listed: each day those that declare
// a package variable, and a 56th of the others, which differ from a reference in a few lines (package rotation).
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
		for _, folder := range []string{"alternatives", "mutants"} {
			patches, err := filepath.Glob(filepath.Join(root, lab.SolutionDir(), folder, "*.patch"))
			require.NoError(t, err)
			for i, path := range patches {
				patch, err := os.ReadFile(path)
				require.NoError(t, err)
				name := strings.TrimSuffix(filepath.Base(path), ".patch")
				if folder == "mutants" && !declaresVar.Match(patch) && !rotation.Today(i, 2*rotation.FourWeeks) {
					continue
				}
				t.Run(lab.ID+"/"+name, func(t *testing.T) {
					files := patched(t, patch, sources[lab.SolutionDir()])
					if why := refused[name]; why != "" {
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
func patched(t *testing.T, patch []byte, files map[string][]byte) map[string][]byte {
	diff, _, err := gitdiff.Parse(bytes.NewReader(patch))
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
