package generate

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// The names that a schema declares in the lab's package, and the variables of the environment that it reads.
const (
	NumberEnv = "LABS_MUTANT_NUMBER" // which mutant the program is; 0 or unset: the reference
	TraceEnv  = "LABS_MUTANT_TRACE"  // path of a file: the program appends the number of each place that it reaches
)

// A Schema is a program that is all of its mutants: a number in the environment decides which.
type Schema struct {
	Files  map[string][]byte // of the package, by name: those that are changed, and one more
	Number []int             // of each mutant, from 1; 0 for one that the schema does not hold
	Place  []int             // of each mutant, from 0: the place of its edit
	Places int               // how many there are
}

// Schema puts the mutants into one program. A mutant that does not compile must not be among them.
//
// The smallest statement of a list around an edit is a place. There stands
//
//	if mutantNumber == 7 { the statement of mutant 7 } else if … else { the statement of the reference }
//
// and in the reference's statement the places that are inside. Where the statement declares variables, the choice is in
// a function that computes their values.
func (p *Package) Schema(mutants []Mutant) Schema {
	s := Schema{Files: map[string][]byte{}, Number: make([]int, len(mutants)), Place: make([]int, len(mutants))}
	for _, name := range p.names() {
		f := &schemaFile{Package: p, name: name, schema: &s}
		for i, m := range mutants {
			if m.File == name {
				f.place(i, m)
			}
		}
		s.Files[name] = f.assemble(mutants)
	}
	s.Files["mutant_number.go"] = fmt.Appendf(nil, switchText, p.types.Name(), max(s.Places, 1), NumberEnv, TraceEnv)
	return s
}

// switchText declares the number. A place is told once: the file is for the reference only.
const switchText = `package %s

import (
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutantReached   [%d]atomic.Bool
	mutantNumber, _ = strconv.Atoi(os.Getenv(%q))
	mutantTrace     = openMutantTrace(os.Getenv(%q))
)

func openMutantTrace(path string) *os.File {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	return f
}

func mutantAt(place int) {
	if mutantTrace != nil && mutantReached[place].CompareAndSwap(false, true) {
		if _, err := mutantTrace.WriteString(strconv.Itoa(place) + "\n"); err != nil {
			panic(err)
		}
	}
}
`

// schemaFile is one file of a schema as it is put together.
type schemaFile struct {
	*Package
	name   string
	schema *Schema
	places []*place
}

// A place is a statement, or the values of a declaration, of which the schema has several versions.
type place struct {
	number   int
	from, to int      // offsets of what is there in the reference
	results  []string // types of the variables, if it is the values of a declaration
	labels   []string // that the statement declares
	mutants  []int
}

// place finds the place of a mutant; one that has none stays out of the schema.
func (f *schemaFile) place(i int, m Mutant) {
	node, results := f.around(m)
	if node == nil {
		return
	}
	from, to := f.fset.Position(node.Pos()).Offset, f.fset.Position(node.End()).Offset
	at := slices.IndexFunc(f.places, func(p *place) bool { return p.from == from && p.to == to })
	if at < 0 {
		at = len(f.places)
		f.places = append(f.places, &place{number: f.schema.Places, from: from, to: to, results: results, labels: labelsOf(node)})
		f.schema.Places++
	}
	f.places[at].mutants = append(f.places[at].mutants, i)
	f.schema.Number[i], f.schema.Place[i] = i+1, f.places[at].number
}

// span is a run of nodes: the values of a declaration.
type span struct{ from, to token.Pos }

func (s span) Pos() token.Pos { return s.from }
func (s span) End() token.Pos { return s.to }

// around is the smallest statement of a list that holds the edit, or the values of the declaration that does. It is nil
// for an edit that cannot be chosen when the program runs.
func (f *schemaFile) around(m Mutant) (found ast.Node, results []string) {
	inside := func(n ast.Node) bool {
		return n != nil && f.fset.Position(n.Pos()).Offset <= m.from && m.to <= f.fset.Position(n.End()).Offset
	}
	if m.from == m.to { // before a statement
		at := f.fset.File(f.files[m.File].Pos()).Pos(m.from)
		return span{at, at}, nil
	}
	// Where the values of a declaration cannot be computed by a function, the statement around the declaration is chosen.
	declared := func(names []ast.Expr, values []ast.Expr) {
		if len(values) == 0 {
			return
		}
		all := span{values[0].Pos(), values[len(values)-1].End()}
		if types, ok := f.typesOf(names); inside(all) && ok {
			found, results = all, types
		}
	}
	ast.Inspect(f.files[m.File], func(n ast.Node) bool {
		if !inside(n) {
			return false
		}
		if spec, ok := n.(*ast.ValueSpec); ok {
			var names []ast.Expr
			for _, name := range spec.Names {
				names = append(names, name)
			}
			declared(names, spec.Values)
		}
		for _, s := range statements(n) {
			assign, ok := s.(*ast.AssignStmt)
			_, declares := s.(*ast.DeclStmt)
			switch {
			case !inside(s) || declares:
			case ok && assign.Tok == token.DEFINE:
				declared(assign.Lhs, assign.Rhs)
			default:
				found, results = s, nil
			}
		}
		return true
	})
	return found, results
}

// typesOf writes the types of declared variables; ok is false if one cannot be written in this file.
func (f *schemaFile) typesOf(names []ast.Expr) (list []string, ok bool) {
	for _, name := range names {
		id, isName := name.(*ast.Ident)
		if !isName {
			return nil, false
		}
		object := f.info.Defs[id]
		if object == nil {
			object = f.info.Uses[id]
		}
		if object == nil { // the blank: its type is that of its value, which need not be kept
			return nil, false
		}
		t, ok := f.typeIn(f.name, object.Type())
		if !ok || object.Type() == types.Typ[types.Invalid] {
			return nil, false
		}
		list = append(list, t)
	}
	return list, true
}

func labelsOf(n ast.Node) (labels []string) {
	if _, ok := n.(span); ok {
		return nil
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if l, ok := n.(*ast.LabeledStmt); ok {
			labels = append(labels, l.Label.Name)
		}
		return true
	})
	return labels
}

// assemble writes the file.
func (f *schemaFile) assemble(mutants []Mutant) []byte {
	slices.SortFunc(f.places, func(a, b *place) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var out bytes.Buffer
	f.write(&out, mutants, 0, len(f.text[f.name]), f.places)
	return out.Bytes()
}

// write writes the text between two offsets, with the places in it.
func (f *schemaFile) write(out *bytes.Buffer, mutants []Mutant, from, to int, places []*place) {
	text := f.text[f.name]
	for len(places) > 0 {
		p := places[0]
		inner := 1
		for inner < len(places) && places[inner].from < p.to {
			inner++
		}
		out.Write(text[from:p.from])
		f.choice(out, mutants, p, places[1:inner])
		from, places = p.to, places[inner:]
	}
	out.Write(text[from:to])
}

// choice writes all versions of a place.
func (f *schemaFile) choice(out *bytes.Buffer, mutants []Mutant, p *place, inner []*place) {
	text := f.text[f.name]
	version := func(m Mutant, number int) string {
		changed := string(text[p.from:m.from]) + m.text + string(text[m.to:p.to])
		for _, label := range p.labels { // a function has each label once
			changed = regexp.MustCompile(`\b`+label+`\b`).ReplaceAllString(changed, fmt.Sprintf("%s_%d", label, number))
		}
		return changed
	}
	var own bytes.Buffer
	f.write(&own, mutants, p.from, p.to, inner)
	if p.results == nil {
		fmt.Fprintf(out, "mutantAt(%d); ", p.number)
		for _, i := range p.mutants {
			fmt.Fprintf(out, "if mutantNumber == %d {\n%s\n} else ", i+1, version(mutants[i], i+1))
		}
		fmt.Fprintf(out, "{\n%s\n}", own.Bytes())
		if p.from == p.to {
			out.WriteString("; ")
		}
		return
	}
	var declare, names []string
	for i, t := range p.results {
		names = append(names, fmt.Sprintf("mutant%d", i))
		declare = append(declare, fmt.Sprintf("mutant%d %s", i, t))
	}
	left := strings.Join(names, ", ")
	fmt.Fprintf(out, "func() (%s) { mutantAt(%d); ", strings.Join(declare, ", "), p.number)
	for _, i := range p.mutants {
		fmt.Fprintf(out, "if mutantNumber == %d { %s = %s\nreturn }; ", i+1, left, version(mutants[i], i+1))
	}
	fmt.Fprintf(out, "%s = %s\nreturn }()", left, own.Bytes())
}
