package submission

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

var echoLab = course.Lab{ID: "01-echo", Package: "echo", Imports: []string{"text/template"},
	Parts: []course.Part{{Files: []string{"echo.go", "shout.go"}}}}

// Every row is one trick and the sentence that it meets; "" lets it pass.
func TestGate(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"plain code", "package echo\n\nimport \"fmt\"\n\nfunc F() { fmt.Println() }\n", ""},
		{"what this lab allows", "package echo\n\nimport _ \"text/template\"\n", ""},
		{"the network", "package echo\n\nimport _ \"distlabs/labrpc\"\n", ""},
		{"init, which is Go", "package echo\n\nfunc init() {}\n", ""},
		{"a syntax error, for the compiler to explain", "package echo\n\nfunc {\n", ""},
		{"talk about directives", "package echo\n\n// Use //go:embed or //line, not here.\n// go:embed x\n", ""},
		{"the operating system", "package echo\n\nimport \"os\"\n", `echo.go:3: a submission may not import "os"`},
		{"under another name", "package echo\n\nimport fmt \"syscall\"\n", `echo.go:3: a submission may not import "syscall"`},
		{"in raw quotes", "package echo\n\nimport _ `unsafe`\n", "echo.go:3: a submission may not import `unsafe`"},
		{"escaped", "package echo\n\nimport _ \"\\x6fs\"\n", `echo.go:3: a submission may not import "\x6fs"`},
		{"on one line", "package echo; import _ \"os/exec\"\n", `echo.go:1: a submission may not import "os/exec"`},
		{"the tests' package", "package echo\n\nimport \"testing\"\n", `echo.go:3: a submission may not import "testing"`},
		{"a neighbour", "package echo\n\nimport \"distlabs/solutions/01-echo\"\n", `echo.go:3: a submission may not import "distlabs/solutions/01-echo"`},
		{"a relative path", "package echo\n\nimport \"../../internal/harness/report\"\n", `echo.go:3: a submission may not import "../../internal/harness/report"`},
		{"linkname", "package echo\n\n//go:linkname a b\nfunc a() {}\n", `echo.go:3: the directive "//go:linkname" is not permitted in a submission`},
		{"a directive after a syntax error", "package echo\n\nfunc {\n//go:embed x\n", `echo.go:4: the directive "//go:embed" is not permitted in a submission`},
		{"a directive after a byte-order mark", "\ufeff//go:build ignore\npackage echo\n", `echo.go:1: the directive "//go:build" is not permitted in a submission`},
		{"an old build tag", "// +build ignore\n\npackage echo\n", `echo.go:1: the directive "// +build" is not permitted in a submission`},
		{"export", "package echo\n\n//export F\nfunc F() {}\n", `echo.go:3: the directive "//export" is not permitted in a submission`},
		{"line", "package echo\n//line x_test.go:7\nfunc F()\n", `echo.go:2: the directive "//line" is not permitted in a submission`},
		{"assembly", "package echo\n\nfunc F()\n", "echo.go:3: func F has no body"},
		{"another package", "package echo_test\n", "echo.go:1: package is echo_test, want echo"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, Gate(echoLab, map[string][]byte{"echo.go": []byte(tc.text)}))
		})
	}
}

// A name that is misspelt in the list would be a package that nobody can use.
func TestAllowedPackagesExist(t *testing.T) {
	out, err := exec.Command("go", "list", "std").Output()
	require.NoError(t, err)
	std := strings.Fields(string(out))
	for _, path := range allowed {
		if !strings.HasPrefix(path, course.Module+"/") {
			require.Contains(t, std, path)
		}
	}
}
