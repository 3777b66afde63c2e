package prove

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const plainFile = `package echo

import "fmt"

const twice = 2

type Echo struct {
	off bool
}

// Say says.
func Say(s string) string {
	return fmt.Sprint(s)
}

func (e *Echo) quiet() {
	e.off = true
}

func (e *Echo) loop() {
again:
	for e.off {
		continue again
	}
}
`

// What changes bodies alone goes into the shared file; what changes anything else is left out, and leaves no trace there.
func TestSchemata(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to string
		want     string // in the shared file; "" when the mutant needs a build of its own
	}{
		{name: "a body with a result", from: "return fmt.Sprint(s)", to: `return ""`,
			want: "string { if mutantNumber == 7 {\n\treturn \"\"\n }; \n\treturn fmt.Sprint(s)"},
		{name: "a body without a result must not fall through", from: "e.off = true", to: "e.off = false",
			want: "quiet() { if mutantNumber == 7 {\n\te.off = false\n ; return }; \n\te.off = true"},
		{name: "a further import", from: "import \"fmt\"\n", to: "import \"fmt\"\nimport \"os\"\n",
			want: "package echo\n// mutant 7\n\nimport \"os\"\n\n\nimport \"fmt\""},
		{name: "an import in place of another that stays", from: "import \"fmt\"\n", to: "import \"os\"\n",
			want: "package echo\n// mutant 7\n\nimport \"os\"\n\n\nimport \"fmt\""},
		{name: "an import under the name of another", from: "import \"fmt\"\n", to: "import fmt \"os\"\n"},
		{name: "a constant", from: "twice = 2", to: "twice = 3"},
		{name: "a signature", from: "Say(s string)", to: "Say(s ...string)"},
		{name: "a further function", from: "// Say says.", to: "func more() {}\n", want: "\nfunc more() {}\n"},
		{name: "a further method", from: "// Say says.", to: "func (e *Echo) more() {}\n", want: "\nfunc (e *Echo) more() {}\n"},
		{name: "a further method that others feel", from: "// Say says.", to: "func (e *Echo) String() string { return \"\" }\n"},
		{name: "a further field", from: "off bool", to: "off, on bool", want: "\toff bool\n\n// mutant 7\n\non bool\n"},
		{name: "a further field that is sent", from: "off bool", to: "off, On bool"},
		{name: "a field of another type", from: "off bool", to: "off int"},
		{name: "a further constant", from: "const twice = 2", to: "const twice = 2\nconst thrice = 3", want: "\nconst thrice = 3\n"},
		{name: "a further type", from: "const twice = 2", to: "const twice = 2\ntype count int", want: "\ntype count int\n"},
		{name: "a label that would come twice", from: "continue again", to: "break again"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, ok := shapeOf([]byte(plainFile))
			require.True(t, ok)
			s.declared = map[string]string{}
			m, ok := shapeOf([]byte(strings.Replace(plainFile, tc.from, tc.to, 1)))
			require.True(t, ok)
			require.Equal(t, tc.want != "", s.add(7, m))
			if tc.want == "" {
				require.Equal(t, plainFile, string(s.assemble()))
				return
			}
			require.Contains(t, string(s.assemble()), tc.want)
			_, ok = shapeOf(s.assemble())
			require.True(t, ok, "the shared file must parse:\n%s", s.assemble())
		})
	}
}

// Two mutants of one body both stand in front of it.
func TestSchemataOfOneBody(t *testing.T) {
	s, _ := shapeOf([]byte(plainFile))
	for i, value := range []string{"1", "2"} {
		m, _ := shapeOf([]byte(strings.Replace(plainFile, "fmt.Sprint(s)", value, 1)))
		require.True(t, s.add(i+1, m))
	}
	require.Regexp(t, `mutantNumber == 1 \{\s+return 1\s+\}; *if mutantNumber == 2 \{\s+return 2\s+\};`, string(s.assemble()))
}

// What two mutants declare in the same words stands once; under one name in other words, the second needs a build of its own, as one that
// declares anything does where none may.
func TestSchemataDeclareOnce(t *testing.T) {
	s, _ := shapeOf([]byte(plainFile))
	with := func(declaration string) *shape {
		m, ok := shapeOf([]byte(plainFile + declaration))
		require.True(t, ok)
		return m
	}
	s.declared = map[string]string{}
	require.True(t, s.add(1, with("func more() {}\n")))
	require.True(t, s.add(2, with("func more() {}\n")))
	require.False(t, s.add(3, with("func more() { panic(3) }\n")))
	require.Equal(t, 1, strings.Count(string(s.assemble()), "func more()"))
}

// A program that does not compile names a line; what stands there is of the mutant that is marked last before it.
func TestAtFault(t *testing.T) {
	s, _ := shapeOf([]byte(plainFile))
	s.declared = map[string]string{}
	for i, change := range [][2]string{
		{"return fmt.Sprint(s)", "return none"},
		{"e.off = true", "e := 1"},
		{"const twice = 2", "const twice = 2\ntype count none"},
		{"import \"fmt\"", "import \"fmt\"\nimport \"os\""},
	} {
		m, ok := shapeOf([]byte(strings.Replace(plainFile, change[0], change[1], 1)))
		require.True(t, ok)
		require.True(t, s.add(i+1, m))
	}
	text := string(s.assemble())
	for number, at := range map[int]string{1: "return none", 2: "e := 1", 3: "type count none", 4: `import "os"`} {
		before, _, found := strings.Cut(text, at)
		require.True(t, found, "%s", text)
		refused := fmt.Sprintf("does not compile: labs/01-echo/echo.go:%d:2: it is wrong", 1+strings.Count(before, "\n"))
		require.Equal(t, number, atFault(map[string][]byte{"echo.go": []byte(text)}, refused))
	}
	require.Zero(t, atFault(map[string][]byte{"echo.go": []byte(text)}, "labs/01-echo/echo.go:1:1: before all mutants"))
	require.Zero(t, atFault(nil, "the build was stopped"))
}
