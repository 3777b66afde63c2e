package workspace

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sceneFile = `package lab_test

import (
	"fmt"
	"testing"

	"distlabs/labs/05-other"
	"distlabs/labs/06-more"
	. "distlabs/labs/lab"
	"pgregory.net/rapid"
	wide "strings"
	"example.org/yaml/v3"
)

func TestPlay1A(t *testing.T) { newStage(t).open(limit) }

// property is of another test.
func property(t *rapid.T) { wide.Repeat("x", far) }

type stage struct{ t *testing.T }

func (s *stage) open(n int) { fmt.Println(n, yaml.X, more.X, s.shadow(func(rapid int) int { return rapid })) }

func TestOther(t *testing.T) { rapid.Check(t, property); Exported() }
`

const otherFile = `package lab_test

import . "distlabs/labs/lab"

const (
	limit = 3
	far   = 4
)

func newStage(t *testing.T) *stage { return &stage{t: t} }

func (s *stage) shadow(f func(int) int) Kind { return Kind(f(limit)) }

var table = map[Kind]int{}

func init() { fill() }

func fill() {}
`

// The scenario's program has in it what the scenario needs, wherever that is declared, and each line where it was.
func TestKeepsOnlyWhatScenariosNeed(t *testing.T) {
	var tests []*testFile
	for name, text := range map[string]string{"a_test.go": sceneFile, "b_test.go": otherFile} {
		f, err := newTestFile(name, []byte(text))
		require.NoError(t, err)
		tests = append(tests, f)
	}
	keepNeeded(tests, []string{"TestPlay1A"})
	of := func(path string) *coursePackage {
		switch path {
		case "distlabs/labs/lab":
			return &coursePackage{name: "lab", exports: map[string]bool{"Kind": true, "Exported": true}}
		case "distlabs/labs/05-other", "distlabs/labs/06-more":
			return &coursePackage{name: strings.Split(path, "-")[1]} // not the last element of the path
		}
		return nil
	}
	blank := func(text string, gone ...string) string {
		for _, g := range gone {
			require.Contains(t, text, g)
			text = strings.Replace(text, g, strings.Map(func(r rune) rune {
				if r == '\n' {
					return r
				}
				return ' '
			}, g), 1)
		}
		return text
	}
	want := map[string]string{
		"a_test.go": blank(sceneFile, `"distlabs/labs/05-other"`, `. "distlabs/labs/lab"`, `"pgregory.net/rapid"`, `wide "strings"`,
			"// property is of another test.\nfunc property(t *rapid.T) { wide.Repeat(\"x\", far) }", "func TestOther(t *testing.T) { rapid.Check(t, property); Exported() }"),
		"b_test.go": blank(otherFile, "var table = map[Kind]int{}"),
	}
	for _, f := range tests {
		require.Equal(t, want[f.name], string(f.pruned(of)))
	}
}

// A file of which a scenario needs nothing imports nothing.
func TestUnneededFileIsEmpty(t *testing.T) {
	f, err := newTestFile("c_test.go", []byte("package lab\n\nimport _ \"embed\"\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n"))
	require.NoError(t, err)
	keepNeeded([]*testFile{f}, []string{"TestPlay1A"})
	require.Equal(t, "package lab", strings.TrimSpace(string(f.pruned(nil))))
}
