package prove

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
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

// Edit is a mutant as its program is built: one file of the reference, changed.
type Edit struct {
	Name string // of the mutant
	File string // of the lab
	Text []byte // of the file: all of it
}

// program is one lab's reference with mutants in it, built once.
type program struct {
	w      *workspace.Workspace
	lab    course.Lab
	number map[string]int // by mutant, from 1; one that is missing needs a build of its own
}

// build builds one program of a lab's reference and all edits that can share it. If that program does not compile, no mutant is
// in it: each is then built alone, which shows the one at fault. The workspace is the caller's to remove.
func build(ctx context.Context, g *grade.Grader, lab course.Lab, edits []Edit) (*program, error) {
	c, reference := g.Builder().Course(), submission.Source{Kind: course.Solution}
	whole, err := c.Select(lab.ID)
	if err != nil {
		return nil, err
	}
	text, err := reference.Text(c, lab)
	if err != nil {
		return nil, err
	}
	w, err := g.Builder().Assemble(reference, whole)
	if err != nil {
		return nil, err
	}
	files, number := schemata(lab, text, edits)
	files[switchFile] = []byte("package " + lab.Package + "\n" + switchText)
	if err := w.Put(w.Lab(lab.ID), files); err != nil {
		return nil, err
	}
	runner, err := g.Build(ctx, w, lab.ID, "")
	if err != nil {
		return nil, err
	}
	if runner.Refused() != "" {
		number = nil
	}
	return &program{w: w, lab: lab, number: number}, nil
}

// runner returns what runs a mutant's tests, and the environment that chooses the mutant; nil if the mutant is not in the program.
func (p *program) runner(g *grade.Grader, mutant string) (*grade.Runner, []string) {
	number := p.number[mutant]
	if number == 0 {
		return nil, nil
	}
	return g.Runner(p.w, p.lab.ID), []string{mutantEnv + "=" + strconv.Itoa(number)}
}

// schemata puts all mutants that it can into the files of the reference, and numbers them. A mutant is left out if it changes
// more than bodies and imports, or if the gate refuses it.
func schemata(lab course.Lab, reference map[string][]byte, edits []Edit) (files map[string][]byte, number map[string]int) {
	files, number = map[string][]byte{}, map[string]int{}
	shapes := map[string]*shape{}
	for _, name := range lab.Files() {
		if s, ok := shapeOf(reference[name]); ok {
			shapes[name] = s
		}
	}
	for i, e := range edits {
		base := shapes[e.File]
		changed, ok := shapeOf(e.Text)
		if base == nil || !ok || refused(lab, reference, e) || !base.add(i+1, changed) {
			continue
		}
		number[e.Name] = i + 1
	}
	for name, s := range shapes {
		files[name] = s.assemble()
	}
	return files, number
}

// refused reports whether the gate does not let the edited reference pass.
func refused(lab course.Lab, reference map[string][]byte, e Edit) bool {
	files := maps.Clone(reference)
	files[e.File] = e.Text
	return gate.Look(lab, files) != ""
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
