package grade

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"distlabs/internal/grading/course"
)

// Most mutants change nothing but the bodies of functions. All of those of a lab are built as one program, the
// mutant schemata of Untch, Offutt and Harrold (ISSTA 1993): each changed body stands in front of
// the reference's, under a condition that a number in the environment decides. One build then serves them all;
// a build takes longer than most mutants take to die.

// mutantEnv names the variable by which a shared build learns which mutant it is.
const mutantEnv = "LABS_MUTANT_NUMBER"

// switchFile declares the number; its name and the variable's are none that a lab would use.
const switchFile, switchText = "mutant_number.go", `
import (
	"os"
	"strconv"
)

var mutantNumber, _ = strconv.Atoi(os.Getenv("` + mutantEnv + `"))
`

// shared is one lab's mutants in one build, made when the first is wanted.
type shared struct {
	once   sync.Once
	w      *workspace
	p      *prepared
	number map[string]int // by mutant, from 1; one that is missing needs a build of its own
	err    error
}

// sharedBuild returns the build for a lab's mutants. If it does not compile, no mutant is in it: each
// is then built alone, which shows the one at fault.
func (g *Grader) sharedBuild(ctx context.Context, lab course.Lab) (*shared, error) {
	g.mu.Lock()
	s := g.mutants[lab.ID]
	if s == nil {
		s = &shared{}
		g.mutants[lab.ID] = s
	}
	g.mu.Unlock()
	s.once.Do(func() { s.err = s.build(ctx, g, lab) })
	return s, s.err
}

func (s *shared) build(ctx context.Context, g *Grader, lab course.Lab) error {
	whole, err := g.course.Select(lab.ID)
	if err != nil {
		return err
	}
	mutants, err := Mutants(g.course, lab)
	if err != nil {
		return err
	}
	reference, err := Source{Kind: Solution}.read(g.course, whole, lab)
	if err != nil {
		return err
	}
	if s.w, err = g.assemble(Source{Kind: Solution}, whole); err != nil {
		return err
	}
	s.p = s.w.labs[lab.ID]
	text, number := schemata(lab, reference.Text, mutants)
	text[switchFile] = []byte("package " + lab.Package + "\n" + switchText)
	for name, text := range text {
		if err := os.WriteFile(filepath.Join(s.w.course, "labs", lab.ID, name), text, 0o666); err != nil {
			return fmt.Errorf("grade: scratch workspace: %w", err)
		}
	}
	g.tell(Progress{Stage: StageBuild, Lab: lab.ID})
	if err := s.w.build(ctx, s.p); err != nil {
		return err
	}
	if s.p.refused == "" {
		s.number = number
	}
	return nil
}

// schemata puts all mutants that it can into the files of the reference, and numbers them. A mutant is left out if it changes
// more than bodies and imports, or if the gate refuses it.
func schemata(lab course.Lab, reference map[string][]byte, mutants []Mutant) (files map[string][]byte, number map[string]int) {
	files, number = map[string][]byte{}, map[string]int{}
	shapes := map[string]*shape{}
	for _, name := range lab.Files() {
		if s, ok := shapeOf(reference[name]); ok {
			shapes[name] = s
		}
	}
	for i, m := range mutants {
		base := shapes[m.File]
		text, err := m.apply(reference[m.File])
		if base == nil || err != nil || gateFile(lab, m.File, text) != "" {
			continue
		}
		if changed, ok := shapeOf(text); ok && base.add(i+1, changed) {
			number[m.Name] = i + 1
		}
	}
	for name, s := range shapes {
		files[name] = s.assemble()
	}
	return files, number
}

// shape is a file seen as imports, function bodies and the rest.
type shape struct {
	text    []byte
	name    int // offset behind the package's name
	imports []string
	bodies  map[string]body // by signature
	rest    string          // everything else, without comments and spaces at its ends
	insert  map[int]string  // by offset: what assemble puts there
}

// body is one function's.
type body struct {
	from, to int // offsets of its braces
	results  bool
	labelled bool
}

// shapeOf reads a file; ok is false if it does not parse, or has two functions of one signature, as init may.
func shapeOf(text []byte) (s *shape, ok bool) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, false
	}
	at := func(p token.Pos) int { return fset.PositionFor(p, false).Offset }
	s = &shape{text: text, name: at(file.Name.End()), bodies: map[string]body{}, insert: map[int]string{}}
	var rest []string
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body == nil {
				return nil, false
			}
			b := body{from: at(d.Body.Lbrace), to: at(d.Body.Rbrace), results: d.Type.Results.NumFields() > 0}
			signature := string(text[at(d.Type.Func):b.from])
			ast.Inspect(d.Body, func(n ast.Node) bool {
				_, label := n.(*ast.LabeledStmt)
				b.labelled = b.labelled || label
				return true
			})
			if _, twice := s.bodies[signature]; twice {
				return nil, false
			}
			s.bodies[signature] = b
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if i, isImport := spec.(*ast.ImportSpec); isImport {
					s.imports = append(s.imports, string(text[at(i.Pos()):at(i.End())]))
				} else {
					rest = append(rest, string(text[at(spec.Pos()):at(spec.End())]))
				}
			}
		}
	}
	s.rest = strings.Join(rest, "\n")
	return s, true
}

// add puts a mutant's bodies in front of those that it changes, and reports whether that is all that it changes.
func (s *shape) add(number int, m *shape) bool {
	if m.rest != s.rest || len(m.bodies) != len(s.bodies) {
		return false
	}
	var news []string
	for _, spec := range m.imports {
		if !slices.Contains(s.imports, spec) {
			news = append(news, spec)
		}
	}
	if len(news) > 0 && len(m.imports) != len(s.imports)+len(news) {
		return false // one import in place of another: both might have one name
	}
	insert := map[int]string{}
	for signature, b := range s.bodies {
		changed, ok := m.bodies[signature]
		if !ok {
			return false
		}
		text := string(m.text[changed.from:changed.to])
		switch {
		case text == string(s.text[b.from:b.to]):
		case changed.labelled && b.labelled:
			return false // one label would stand twice in one function
		case changed.results:
			insert[b.from+1] = fmt.Sprintf(" if mutantNumber == %d %s }; ", number, text)
		default:
			insert[b.from+1] = fmt.Sprintf(" if mutantNumber == %d %s ; return }; ", number, text)
		}
	}
	for at, text := range insert {
		s.insert[at] += text
	}
	for _, spec := range news {
		if line := "\nimport " + spec; !strings.Contains(s.insert[s.name], line+"\n") {
			s.insert[s.name] += line + "\n"
		}
	}
	return true
}

// assemble returns the file with all that was added.
func (s *shape) assemble() []byte {
	var out []byte
	for at := 0; at <= len(s.text); at++ {
		out = append(out, s.insert[at]...)
		if at < len(s.text) {
			out = append(out, s.text[at])
		}
	}
	return out
}
