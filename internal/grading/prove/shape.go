package prove

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"

	"distlabs/internal/grading/workspace"
)

// shape is a file seen as imports, function bodies, fields of structs and other declarations.
type shape struct {
	text    []byte
	name    int // offset behind the package's name
	imports []string
	bodies  map[string]body              // by signature
	methods map[string]bool              // "T.name" of methods, ".name" of functions
	fields  map[string]map[string]string // by struct and field: its type and tag
	closes  map[string]int               // by struct: the offset of its closing brace
	specs   map[string]string            // other declarations by kind and names: "const a"

	declared map[string]string // what mutants of all files have declared so far
	insert   map[int]string    // by offset: what assemble puts there
}

// body is one function's.
type body struct {
	from, to int // offsets of its braces
	start    int // offset of the function
	method   string
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
	cut := func(n ast.Node) string { return string(text[at(n.Pos()):at(n.End())]) }
	s = &shape{
		text: text, name: at(file.Name.End()), bodies: map[string]body{}, methods: map[string]bool{},
		fields: map[string]map[string]string{}, closes: map[string]int{}, specs: map[string]string{}, insert: map[int]string{},
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body == nil {
				return nil, false
			}
			b := bodyOf(d, at, cut)
			signature := string(text[at(d.Type.Func):b.from])
			if _, twice := s.bodies[signature]; twice {
				return nil, false
			}
			s.bodies[signature], s.methods[b.method] = b, true
		case *ast.GenDecl:
			s.declares(d, at, cut)
		}
	}
	return s, true
}

func bodyOf(d *ast.FuncDecl, at func(token.Pos) int, cut func(ast.Node) string) body {
	b := body{
		from: at(d.Body.Lbrace), to: at(d.Body.Rbrace), start: at(d.Type.Func), method: "." + d.Name.Name,
		results: d.Type.Results.NumFields() > 0,
	}
	if d.Recv.NumFields() > 0 {
		b.method = strings.TrimPrefix(cut(d.Recv.List[0].Type), "*") + b.method
	}
	ast.Inspect(d.Body, func(n ast.Node) bool {
		_, label := n.(*ast.LabeledStmt)
		b.labelled = b.labelled || label
		return true
	})
	return b
}

// declares notes what a declaration other than a function's has. Constants that count with iota are one.
func (s *shape) declares(d *ast.GenDecl, at func(token.Pos) int, cut func(ast.Node) string) {
	var together []string
	counts := d.Tok == token.CONST && strings.Contains(cut(d), "iota")
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.ImportSpec:
			s.imports = append(s.imports, cut(spec))
		case *ast.TypeSpec:
			if structure, ok := spec.Type.(*ast.StructType); ok && spec.TypeParams == nil && s.structure(spec.Name.Name, structure, cut) {
				s.closes[spec.Name.Name] = at(structure.Fields.Closing)
			} else {
				s.specs["type "+spec.Name.Name] = cut(spec)
			}
		case *ast.ValueSpec:
			if counts {
				together = append(together, cut(spec))
				continue
			}
			s.specs[d.Tok.String()+" "+spec.Names[0].Name] = cut(spec)
		}
	}
	if counts {
		s.specs["const "+d.Specs[0].(*ast.ValueSpec).Names[0].Name] = "(\n" + strings.Join(together, "\n") + "\n)"
	}
}

// structure notes the fields of a struct, and reports whether all of them have names.
func (s *shape) structure(name string, structure *ast.StructType, cut func(ast.Node) string) bool {
	fields := map[string]string{}
	for _, f := range structure.Fields.List {
		if len(f.Names) == 0 {
			return false
		}
		for _, n := range f.Names {
			if fields[n.Name] = cut(f.Type); f.Tag != nil {
				fields[n.Name] += " " + f.Tag.Value
			}
		}
	}
	s.fields[name] = fields
	return true
}

// hooks are methods that the reference, and other mutants, would feel although they do not call them.
var hooks = regexp.MustCompile(`\.(String|GoString|Format|Error|Is|As|Unwrap|((Unm|M)arshal|(Decode|Encode)).*)$`)

// add puts a mutant's bodies in front of those that it changes, and what it declares beside what there is, and reports whether that is all
// that it changes. Otherwise it adds nothing.
func (s *shape) add(number int, m *shape) bool {
	insert, declared := map[int]string{}, map[string]string{}
	news, ok := s.newImports(m)
	if !ok || !s.addBodies(number, m, insert, declared) || !s.addFields(m, insert, declared) || !s.addSpecs(m, insert, declared) {
		return false
	}
	mark := fmt.Sprintf("\n// mutant %d\n", number)
	for at, text := range insert {
		if !strings.HasPrefix(text, bodyMark) {
			text = mark + text
		}
		s.insert[at] += text
	}
	for key, text := range declared {
		s.declared[key] = text
	}
	for _, spec := range news {
		if line := "\nimport " + spec; !strings.Contains(s.insert[s.name], line+"\n") {
			s.insert[s.name] += mark + line + "\n"
		}
	}
	return true
}

// declare reports whether a mutant may declare something: nobody has, under that name, in another way. It is written once.
func (s *shape) declare(key, text, whole string, at int, insert map[int]string, declared map[string]string) bool {
	before, again := s.declared[key]
	if again {
		return before == text
	}
	declared[key] = text
	insert[at] += "\n" + whole + "\n"
	return true
}

// bodyMark begins the body of a mutant, and its number follows.
const bodyMark = " if mutantNumber == "

func (s *shape) addBodies(number int, m *shape, insert map[int]string, declared map[string]string) bool {
	for signature, b := range m.bodies {
		original, ok := s.bodies[signature]
		if !ok {
			whole := string(m.text[b.start : b.to+1])
			if s.methods[b.method] || hooks.MatchString(b.method) || !s.declare("func "+b.method, whole, whole, len(s.text), insert, declared) {
				return false
			}
			continue
		}
		text := string(m.text[b.from:b.to])
		switch {
		case text == string(s.text[original.from:original.to]):
		case b.labelled && original.labelled:
			return false // one label would stand twice in one function
		case b.results:
			insert[original.from+1] += fmt.Sprintf(bodyMark+"%d %s }; ", number, text)
		default:
			insert[original.from+1] += fmt.Sprintf(bodyMark+"%d %s ; return }; ", number, text)
		}
	}
	return true
}

// addFields adds a mutant's fields to the reference's structs. An exported one would be sent and saved.
func (s *shape) addFields(m *shape, insert map[int]string, declared map[string]string) bool {
	for name, fields := range m.fields {
		at, known := s.closes[name]
		for field, text := range fields {
			was, old := s.fields[name][field]
			switch {
			case known && old && was == text:
			case !known || old || ast.IsExported(field):
				return false
			case !s.declare(name+"."+field, text, field+" "+text, at, insert, declared):
				return false
			}
		}
	}
	return true
}

func (s *shape) addSpecs(m *shape, insert map[int]string, declared map[string]string) bool {
	for key, text := range m.specs {
		was, old := s.specs[key]
		kind, _, _ := strings.Cut(key, " ")
		switch {
		case old && was == text:
		case old || !s.declare(key, text, kind+" "+text, len(s.text), insert, declared):
			return false
		}
	}
	return true
}

var version = regexp.MustCompile(`/v[0-9]+$`)

// newImports lists the imports that only the mutant has; ok is false if one of them has the name of another that stays.
func (s *shape) newImports(m *shape) (news []string, ok bool) {
	name := func(spec string) string {
		if alias, _, found := strings.Cut(spec, " "); found {
			return alias
		}
		return path.Base(version.ReplaceAllString(strings.Trim(spec, "\"`"), ""))
	}
	for _, spec := range m.imports {
		if slices.Contains(s.imports, spec) {
			continue
		}
		if slices.ContainsFunc(s.imports, func(other string) bool { return name(other) == name(spec) }) {
			return nil, false
		}
		news = append(news, spec)
	}
	return news, true
}

// assemble returns the file with all that was added.
func (s *shape) assemble() []byte { return workspace.Insert(s.text, s.insert) }
