package generate

import (
	"go/ast"
	"go/build"
	goimporter "go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// prelude has what the cases below use, in the place of the network's package.
const prelude = `package lab

import "time"

var _ time.Time

type node struct{}

func (node) Logf(string, ...any)   {}
func (node) Save(string, any) error { return nil }

type mutex struct{}

func (*mutex) Lock()   {}
func (*mutex) Unlock() {}

type role int

const (
	follower role = iota
	candidate
	leader
)

type request struct {
	Term, Index int
	Data        []byte
}

type server struct {
	node
	mu          mutex
	term, index int
	role        role
	deadline    time.Time
	data        []byte
}

func clone(b []byte) []byte        { return append([]byte(nil), b...) }
func (s *server) save(n int) bool  { return n > 0 }
func (s *server) send(request)     {}
func two() (int, bool)             { return 2, true }
`

// imports reads the standard library once for all tests. A program that is built with -trimpath does not know where the library is.
var imports = sync.OnceValue(func() types.Importer {
	if root, err := exec.Command("go", "env", "GOROOT").Output(); err == nil {
		build.Default.GOROOT = strings.TrimSpace(string(root))
	}
	return goimporter.ForCompiler(token.NewFileSet(), "source", nil)
})

// source is a package of the prelude and one function.
func source(t *testing.T, body string) *Package {
	t.Helper()
	text := map[string][]byte{"prelude.go": []byte(prelude), "code.go": []byte("package lab\n\nimport \"time\"\n\nvar _ time.Time\n\n" + body)}
	p, err := Check(text, imports())
	require.NoError(t, err)
	delete(p.files, "prelude.go")
	return p
}

// edits lists what an operator makes of the package, as "before => after".
func edits(p *Package, op Operator) []string {
	var list []string
	for _, m := range p.Mutants() {
		if m.Operator == op {
			list = append(list, m.Before+" => "+m.After)
		}
	}
	return list
}

func TestOperators(t *testing.T) {
	for _, tc := range []struct {
		name string
		op   Operator
		code string // of a function of the server s with the parameters a and b
		want []string
	}{
		{"a comparison is negated", Negate, "if a < b { s.term = a }", []string{"if a < b { s.term = a } => if a >= b { s.term = a }"}},
		{"a negation is undone", Negate, "for !s.save(a) {}", []string{"for !s.save(a) {} => for s.save(a) {}"}},
		{"a longer condition is negated as a whole", Negate, "if a < b && b < 3 {}", []string{"if a < b && b < 3 {} => if !(a < b && b < 3) {}"}},
		{"a counted loop is not negated", Negate, "for i := 0; i < a; i++ {}", nil},
		{"each case of a switch is negated", Negate, "switch {\ncase a == b:\n}", []string{"case a == b: => case a != b:"}},
		{"each operand of a chain is left out", DropOperand, "if a == 1 || b == 2 || a == b {}", []string{
			"if a == 1 || b == 2 || a == b {} => if b == 2 || a == b {}",
			"if a == 1 || b == 2 || a == b {} => if a == 1 || a == b {}",
			"if a == 1 || b == 2 || a == b {} => if a == 1 || b == 2 {}"}},
		{"an operand of max", DropOperand, "s.term = max(a, b)", []string{"s.term = max(a, b) => s.term = a", "s.term = max(a, b) => s.term = b"}},
		{"max becomes min", MinMax, "s.term = max(a, b)", []string{"s.term = max(a, b) => s.term = min(a, b)"}},
		{"a sum loses an operand", DropOperand, "s.term = a + 1", []string{"s.term = a + 1 => s.term = a"}},
		{"a comparison is shifted", Compare, "if a <= b {}", []string{"if a <= b {} => if a < b {}"}},
		{"so is one of times", Compare, "if time.Now().Before(s.deadline) {}", []string{
			"if time.Now().Before(s.deadline) {} => if !time.Now().After(s.deadline) {}"}},
		{"an assignment is left out, a declaration is not", Delete, "c := a\ns.term = c", []string{"s.term = c => "}},
		{"nothing that people read", Delete, "s.Logf(\"term %d\", a)", nil},
		{"no lock", Delete, "s.mu.Lock()\ndefer s.mu.Unlock()\ns.send(request{})", []string{"s.send(request{}) => "}},
		{"nothing where the disk fails", Delete, "if !s.save(a) {\ns.term = 1\n}", nil},
		{"but all where it works", Delete, "if s.save(a) {\ns.term = 1\n}", []string{"s.term = 1 => "}},
		{"an if whose condition has an effect", DeleteBlock, "if s.save(a) {\ns.term = 1\n}", []string{"if s.save(a) { s.term = 1 } => "}},
		{"an else", DeleteBlock, "if a == b { s.term = 1 } else { s.term = 2 }", []string{
			"if a == b { s.term = 1 } else { s.term = 2 } => ", "if a == b { s.term = 1 } else { s.term = 2 } => if a == b { s.term = 1 }"}},
		{"a case", DeleteBlock, "switch a {\ncase 1:\n\ts.term = 1\ndefault:\n}", []string{"case 1: s.term = 1 => "}},
		{"a loop", DeleteBlock, "for range a { s.term++ }", []string{"for range a { s.term++ } => "}},
		{"a return before each statement", Return, "s.term = 1\ns.index = 2\ns.role = leader", []string{
			"s.term = 1 => return; s.term = 1", "s.index = 2 => return; s.index = 2"}},
		{"but none under a lock", Return, "s.mu.Lock()\ns.index = 2\ns.mu.Unlock()", []string{"s.mu.Lock() => return; s.mu.Lock()"}},
		{"each field is left out", DropField, "s.send(request{Term: a, Index: b})", []string{
			"s.send(request{Term: a, Index: b}) => s.send(request{Index: b})", "s.send(request{Term: a, Index: b}) => s.send(request{Term: a})"}},
		{"two fields are exchanged", Swap, "s.send(request{Term: a, Index: b})", []string{
			"s.send(request{Term: a, Index: b}) => s.send(request{Term: b, Index: a})"}},
		{"a record is not written", DropSave, "if err := s.Save(\"x\", a); err != nil {}", []string{
			"if err := s.Save(\"x\", a); err != nil {} => if err := error(nil); err != nil {}"}},
		{"nor by the reference's own function", DropSave, "if !s.save(a) {}", []string{"if !s.save(a) {} => if !true {}"}},
		{"a copy is not made", Alias, "s.data = clone(s.data)", []string{"s.data = clone(s.data) => s.data = s.data"}},
		{"nor by append", Alias, "s.data = append([]byte(nil), s.data...)", []string{"s.data = append([]byte(nil), s.data...) => s.data = s.data"}},
		{"nor by copy", Alias, "d := make([]byte, a)\ncopy(d, s.data)", []string{"copy(d, s.data) => d = s.data"}},
		{"plus becomes minus", Arithmetic, "s.term += a", []string{"s.term += a => s.term -= a"}},
		{"a difference is turned round", Swap, "s.term = a - b", []string{"s.term = a - b => s.term = b - (a)"}},
		{"another parameter", Variable, "s.role = role(a)", []string{"s.role = role(a) => s.role = role(b)"}},
		{"another field", Variable, "s.save(s.term)", []string{"s.save(s.term) => s.save(s.index)"}},
		{"another constant of an enumeration", Variable, "s.role = candidate", []string{"s.role = candidate => s.role = leader"}},
		{"a length of time", Constant, "time.Sleep(3 * time.Second)", []string{
			"time.Sleep(3 * time.Second) => time.Sleep((2*(3 * time.Second)))", "time.Sleep(3 * time.Second) => time.Sleep((3 * time.Second/2))"}},
		{"no capacity", Constant, "_ = make([]byte, 3)", nil},
		{"a counter of 8 bits", Narrow8, "s.term++", []string{"s.term++ => s.term = int(int8(s.term + 1))"}},
		{"a comparison in 16 bits", Narrow16, "if a < s.term {}", []string{"if a < s.term {} => if int16(a) < int16(s.term) {}"}},
		{"no length and no enumeration", Narrow16, "if len(s.data) < a || s.role < leader {}", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := source(t, "func (s *server) try(a, b int) {\n"+tc.code+"\n}\n")
			require.ElementsMatch(t, tc.want, edits(p, tc.op))
		})
	}
}

// A key is made of the function, the operator and the line, not of the line's number.
func TestKeysSurviveShifts(t *testing.T) {
	const code = "func (s *server) try(a, b int) {\n\ts.term = a\n\ts.term = a\n}\n"
	keys := func(p *Package) (list []string) {
		for _, m := range p.Mutants() {
			list = append(list, m.Key)
		}
		return list
	}
	first := keys(source(t, code))
	require.Contains(t, first, "code.go server.try delete: s.term = a")
	require.Contains(t, first, "code.go server.try delete: s.term = a #2")
	require.Equal(t, first, keys(source(t, "// A comment.\n\n"+strings.Replace(code, "a\n\t", "a // here\n\n\t", 1))))
}

func TestCompiles(t *testing.T) {
	p := source(t, `func try(a, b int) int {
	n, _ := two()
	if m, ok := two(); ok && m == a {
		return n
	}
	for {
		if a == n {
			return 1
		}
	}
}
`)
	wrong := map[string]string{}
	all := p.Mutants()
	for i, text := range p.Compiles(all) {
		wrong[all[i].Key] = text
	}
	require.Contains(t, wrong["code.go try delete-block: for { if a == n { return 1 } }"], "missing return")
	require.Empty(t, wrong["code.go try delete: return n"], "a variable without use is no error")
	require.Empty(t, wrong["code.go try drop-operand: if m, ok := two(); ok && m == a { => if m, ok := two(); ok {"])
}

// Each mutant's text stands in the schema under its number, and the schema compiles where each mutant does.
func TestSchema(t *testing.T) {
	p := source(t, `func (s *server) try(a, b int) (n int, err error) {
	c, ok := map[int]int{1: a}[b-1]
	x := func() int { return a + 1 }()
again:
	for i := range 3 {
		switch {
		case i == a && ok:
			continue again
		case i == b:
			break again
		}
	}
	if c == x {
		return a, nil
	}
	s.send(request{Term: a})
	return b, s.Save("x", a)
}
`)
	var sound []Mutant
	all := p.Mutants()
	for i, wrong := range p.Compiles(all) {
		if wrong == "" {
			sound = append(sound, all[i])
		}
	}
	require.Greater(t, len(sound), 30)
	s := p.Schema(sound)
	for i, m := range sound {
		require.Equal(t, i+1, s.Number[i], "the schema must hold %s", m.Key)
		require.Less(t, s.Place[i], s.Places)
	}
	requireChecks(t, p, s)
}

// requireChecks type-checks a schema.
func requireChecks(t *testing.T, p *Package, s Schema) {
	t.Helper()
	text := map[string][]byte{}
	for name := range p.all {
		text[name] = p.text[name]
	}
	for name, changed := range s.Files {
		text[name] = changed
	}
	text["mutant_number.go"] = []byte("package " + p.types.Name() + "\nvar mutantNumber int\nfunc mutantAt(int) {}\n")
	fset := token.NewFileSet()
	config := types.Config{Importer: p.imports}
	var files []*ast.File
	for name, text := range text {
		f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		require.NoError(t, err, "%s", text)
		files = append(files, f)
	}
	_, err := config.Check("schema", fset, files, nil)
	require.NoError(t, err)
}
