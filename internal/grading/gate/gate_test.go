package gate

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// pristine gives the packages of this checkout.
var pristine = sync.OnceValues(func() (*Packages, error) { return goList(ListArgs(allowed)...) })

func goList(args ...string) (*Packages, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, &stderr)
	}
	return NewPackages(ReadList(string(out))), nil
}

// exports gives packages that are not on the list.
func exports(t *testing.T, paths ...string) *Packages {
	p, err := goList(ListArgs(append(slices.Clone(allowed), paths...))...)
	require.NoError(t, err)
	return p
}

const root = "../../.."

func packages(t testing.TB) *Packages {
	p, err := pristine()
	require.NoError(t, err)
	return p
}

var echoLab = course.Lab{ID: "01-echo", Package: "echo", Imports: []string{"text/template"},
	Parts: []course.Part{{Files: []string{"echo.go", "shout.go"}}}}

// Every row is one trick and the sentence that it meets; "" lets it pass.
func TestLook(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"plain code", "package echo\n\nimport \"fmt\"\n\nfunc F() { fmt.Println() }\n", ""},
		{"what this lab allows", "package echo\n\nimport _ \"text/template\"\n", ""},
		{"the network", "package echo\n\nimport _ \"distlabs/labrpc\"\n", ""},
		{"init, which is Go", "package echo\n\nfunc init() {}\n", ""},
		{"a syntax error, for the compiler to explain", "package echo\n\nfunc {\n", ""},
		{"talk about directives", "package echo\n\n// Use //go:embed or //line, not here.\n// go:embed x\n", ""},
		{"the operating system", "package echo\n\nimport \"os\"\n", `echo.go:3: a submission may not import "os"`},
		{"json, whose errors hand out reflection", "package echo\n\nimport \"encoding/json\"\n", `echo.go:3: a submission may not import "encoding/json"`},
		{"log, which tells where it is called", "package echo\n\nimport \"log\"\n", `echo.go:3: a submission may not import "log"`},
		{"under another name", "package echo\n\nimport fmt \"syscall\"\n", `echo.go:3: a submission may not import "syscall"`},
		{"without a name", "package echo\n\nimport . \"errors\"\n", `echo.go:3: a submission may not import "errors" under the name "."`},
		{"in raw quotes", "package echo\n\nimport _ `unsafe`\n", "echo.go:3: a submission may not import `unsafe`"},
		{"escaped", "package echo\n\nimport _ \"\\x6fs\"\n", `echo.go:3: a submission may not import "\x6fs"`},
		{"on one line", "package echo; import _ \"os/exec\"\n", `echo.go:1: a submission may not import "os/exec"`},
		{"the tests' package", "package echo\n\nimport \"testing\"\n", `echo.go:3: a submission may not import "testing"`},
		{"a neighbour", "package echo\n\nimport \"distlabs/solutions/01-echo\"\n", `echo.go:3: a submission may not import "distlabs/solutions/01-echo"`},
		{"a relative path", "package echo\n\nimport \"../../internal/harness/report\"\n", `echo.go:3: a submission may not import "../../internal/harness/report"`},
		{"before a syntax error", "package echo\n\nimport \"os\"\n\nfunc {\n", `echo.go:3: a submission may not import "os"`},
		{"linkname", "package echo\n\n//go:linkname a b\nfunc a() {}\n", `echo.go:3: the directive "//go:linkname" is not permitted in a submission`},
		{"a directive after a syntax error", "package echo\n\nfunc {\n//go:embed x\n", `echo.go:4: the directive "//go:embed" is not permitted in a submission`},
		{"a directive after a byte-order mark", "\ufeff//go:build ignore\npackage echo\n", `echo.go:1: the directive "//go:build" is not permitted in a submission`},
		{"an old build tag", "// +build ignore\n\npackage echo\n", `echo.go:1: the directive "// +build" is not permitted in a submission`},
		{"export", "package echo\n\n//export F\nfunc F() {}\n", `echo.go:3: the directive "//export" is not permitted in a submission`},
		{"line", "package echo\n//line x_test.go:7\nfunc F()\n", `echo.go:2: the directive "//line" is not permitted in a submission`},
		{"assembly", "package echo\n\nfunc F()\n", "echo.go:3: func F has no body"},
		{"another package", "package echo_test\n", "echo.go:1: package is echo_test, want echo"},
		{"more levels than the parser reads", "package echo\n\nvar x = " + strings.Repeat("(", 100_001) + "1" + strings.Repeat(")", 100_001) + "\n",
			"echo.go:3: nests deeper than 1000 levels: the grader does not read it"},
		{"more levels, and an import", "package echo\n\nimport \"os\"\n\nvar x = " + strings.Repeat("(", 100_001) + "1" + strings.Repeat(")", 100_001) + "\n",
			`echo.go:3: a submission may not import "os"`},
		{"more levels than the type checker has stack for", "package echo\n\nvar x = " + strings.Repeat("^", 2000) + "1\n",
			"echo.go:3: nests deeper than 1000 levels: the grader does not read it"},
		{"a long sum", "package echo\n\nvar x = 1" + strings.Repeat("+1", 2000) + "\n", "echo.go:3: nests deeper than 1000 levels: the grader does not read it"},
		{"a chain of declarations", "package echo\n\n" + strings.Repeat("type ( A B )\n", 6000),
			"echo.go: the submission is too large: more than 5000 declarations or 500000 parts of expressions"},
		{"a writer", "package echo\n\ntype T[E any] struct{}\n\nfunc (*T[E]) Write(p []E) (int, error) { return 0, nil }\n",
			"echo.go:5: method Write would be given memory of package fmt, which all nodes share: a submission may not declare it"},
		{"a cipher", "package echo\n\ntype T struct{}\n\nfunc (T) XORKeyStream(dst, src []byte) {}\n",
			"echo.go:5: method XORKeyStream would be given memory of package fmt, which all nodes share: a submission may not declare it"},
		{"other methods of these names", "package echo\n\ntype T struct{}\n\nfunc (T) Write(ctx string, p []byte) error { return nil }\n\nfunc Write(p []byte) (int, error) { return 0, nil }\n", ""},
		{"a hook of the encoder", "package echo\n\ntype T struct{}\n\nfunc (*T) UnmarshalCBOR([]byte) error { return nil }\n",
			"echo.go:5: method UnmarshalCBOR would change how messages are encoded or compared: a submission may not declare it"},
		{"a method that answers every errors.Is", "package echo\n\ntype E struct{}\n\nfunc (E) Is(error) bool { return true }\n",
			"echo.go:5: method Is would change how messages are encoded or compared: a submission may not declare it"},
		{"a struct tag", "package echo\n\ntype T struct {\n\tMAC []byte `cbor:\"-\"`\n}\n",
			"echo.go:4: a struct tag would change how messages are encoded: a submission may not use one"},
		{"a name for a terminal", "package echo\n\nimport \"x\u202ey\u2028\"\n", `echo.go:3: a submission may not import "x?y?"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, Look(echoLab, map[string][]byte{"echo.go": []byte(tc.text)}))
		})
	}
}

// A name that is misspelt in the list would be a package that nobody can use.
func TestAllowedPackagesExist(t *testing.T) {
	p := packages(t)
	for _, path := range allowed {
		_, err := p.Import(path)
		require.NoError(t, err)
	}
}

// honest are all folders that must pass: by name, the lab and its files.
func honest(t *testing.T, c *course.Course, lab course.Lab) map[string]map[string][]byte {
	sources := map[string]map[string][]byte{}
	for _, dir := range []string{lab.StubDir(), lab.SolutionDir(), lab.SolutionDir() + "/alternative"} {
		if files := labFiles(t, filepath.Join(c.Root, dir), lab); len(files) > 0 {
			sources[dir] = files
		}
	}
	return sources
}

// labFiles reads the lab's files of a folder; none if it is not there.
func labFiles(t *testing.T, dir string, lab course.Lab) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range lab.Files() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if !os.IsNotExist(err) {
			require.NoError(t, err)
			files[name] = text
		}
	}
	return files
}
