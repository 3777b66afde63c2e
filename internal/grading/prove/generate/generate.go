// Package generate makes wrong solutions that nobody thought of: it derives mutants from the syntax of a lab's
// reference, and puts all of them into one program (a mutant schema: Untch, Offutt and Harrold, ISSTA 1993).
//
// It reads and writes Go source, and nothing else: package prove builds and runs the program.
package generate

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// A Package is the reference of a lab, parsed and type-checked.
type Package struct {
	fset    *token.FileSet
	files   map[string]*ast.File // those of which mutants are made
	all     map[string]*ast.File
	text    map[string][]byte
	types   *types.Package
	info    *types.Info
	imports types.Importer
}

// Load reads the package in a folder, which is relative to root. The mutants are made of the named files only.
func Load(ctx context.Context, root, dir string, files []string) (*Package, error) {
	loaded, err := packages.Load(&packages.Config{
		Context: ctx, Dir: root, BuildFlags: []string{"-trimpath"},
		Mode: packages.NeedName | packages.NeedImports | packages.NeedTypes | packages.NeedDeps | packages.NeedExportFile | packages.NeedFiles,
	}, "./"+filepath.ToSlash(dir))
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	if len(loaded) != 1 || len(loaded[0].Errors) > 0 {
		return nil, fmt.Errorf("generate: %s does not compile: %v", dir, loaded[0].Errors)
	}
	text := map[string][]byte{}
	for _, path := range loaded[0].GoFiles {
		if text[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
	}
	p, err := Check(text, importer(loaded[0].Imports))
	if err != nil {
		return nil, fmt.Errorf("generate: %s: %w", dir, err)
	}
	for name := range p.files {
		if !slices.Contains(files, name) {
			delete(p.files, name)
		}
	}
	return p, nil
}

// importer has the packages that the reference imports, as the loader left them.
type importer map[string]*packages.Package

func (i importer) Import(path string) (*types.Package, error) {
	if p := i[path]; p != nil && p.Types != nil {
		return p.Types, nil
	}
	return nil, fmt.Errorf("%s is not imported by the reference", path)
}

// Check parses and type-checks the files of a package, by name.
func Check(text map[string][]byte, imports types.Importer) (*Package, error) {
	p := &Package{fset: token.NewFileSet(), files: map[string]*ast.File{}, all: map[string]*ast.File{}, text: text, imports: imports}
	p.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Scopes: map[ast.Node]*types.Scope{}, Implicits: map[ast.Node]types.Object{},
	}
	var list []*ast.File
	for name, text := range text {
		file, err := parser.ParseFile(p.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files[name], p.all[name] = file, file
		list = append(list, file)
	}
	var err error
	config := types.Config{Importer: imports}
	p.types, err = config.Check("reference", p.fset, list, p.info)
	return p, err
}

// A Mutant is the reference with one edit.
type Mutant struct {
	// Key names the mutant. It is made of the function, the operator and the text of the line, so that it stays the
	// same when other lines change.
	Key      string
	Operator Operator
	File     string
	Function string // Raft.adopt; "" outside functions
	Line     int
	Before   string // the line of the source
	After    string // the same line of the mutant; "" if nothing is left of it

	from, to int    // offsets of the text that is replaced
	text     string // what stands in its place
}

// Mutants lists the mutants of the package in the order of files and lines. No two have one key.
func (p *Package) Mutants() []Mutant {
	var all []Mutant
	for _, name := range p.names() {
		m := &maker{Package: p, name: name}
		for _, decl := range p.files[name].Decls {
			m.declaration(decl)
		}
		slices.SortStableFunc(m.made, func(a, b Mutant) int { return cmp.Compare(a.from, b.from) })
		all = append(all, m.made...)
	}
	return number(all)
}

func (p *Package) names() []string {
	var names []string
	for name := range p.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Text is the file that the mutant changes, with the change.
func (p *Package) Text(m Mutant) []byte {
	text := p.text[m.File]
	return slices.Concat(text[:m.from], []byte(m.text), text[m.to:])
}

// number drops mutants that repeat an earlier one's edit, and makes the keys of the others.
func number(all []Mutant) []Mutant {
	type edit struct {
		file, text string
		from, to   int
	}
	seen, count := map[edit]bool{}, map[string]int{}
	var out []Mutant
	for _, m := range all {
		e := edit{m.File, m.text, m.from, m.to}
		if seen[e] {
			continue
		}
		seen[e] = true
		m.Key = fmt.Sprintf("%s %s %s: %s", m.File, cmp.Or(m.Function, "-"), m.Operator, m.Before)
		if m.After != "" {
			m.Key += " => " + m.After
		}
		if count[m.Key]++; count[m.Key] > 1 {
			m.Key = fmt.Sprintf("%s #%d", m.Key, count[m.Key])
		}
		out = append(out, m)
	}
	return out
}

// maker makes the mutants of one file.
type maker struct {
	*Package
	name     string
	function *ast.FuncDecl // nil outside functions
	made     []Mutant
}

// add makes the mutant in which text stands in place of the source from one position to another.
func (m *maker) add(op Operator, from, to token.Pos, text string) {
	made := Mutant{
		Operator: op, File: m.name, Function: functionName(m.function), Line: m.fset.Position(from).Line,
		from: m.offset(from), to: m.offset(to), text: text,
	}
	if string(m.text[m.name][made.from:made.to]) == text {
		return
	}
	made.Before, made.After = m.lines(made)
	m.made = append(m.made, made)
}

// replace makes the mutant in which text stands in place of a node.
func (m *maker) replace(op Operator, n ast.Node, text string) { m.add(op, n.Pos(), n.End(), text) }

// replaceShown is replace for a text that a person is shown a plainer form of.
func (m *maker) replaceShown(op Operator, n ast.Node, text, shown string) {
	m.replace(op, n, shown)
	m.made[len(m.made)-1].text = text
}

func (m *maker) offset(p token.Pos) int { return m.fset.Position(p).Offset }

// source is the text of a node.
func (m *maker) source(n ast.Node) string {
	return string(m.text[m.name][m.offset(n.Pos()):m.offset(n.End())])
}

// longest is how much of a line a key and a report show.
const longest = 120

// lines are the whole lines around an edit before and after it, on one line each.
func (m *maker) lines(e Mutant) (before, after string) {
	text := m.text[m.name]
	from := strings.LastIndexByte(string(text[:e.from]), '\n') + 1
	to := len(text)
	if at := strings.IndexByte(string(text[e.to:]), '\n'); at >= 0 {
		to = e.to + at
	}
	oneLine := func(s string) string {
		var words []string
		for line := range strings.Lines(s) {
			line, _, _ = strings.Cut(line, "//")
			words = append(words, strings.Fields(line)...)
		}
		return strings.Join(words, " ")
	}
	before = oneLine(string(text[from:to]))
	after = oneLine(string(text[from:e.from]) + e.text + string(text[e.to:to]))
	return shorten(before, after)
}

// shorten cuts two texts that are too long to what differs, and some words around it.
func shorten(a, b string) (string, string) {
	if len(a) <= longest && len(b) <= longest {
		return a, b
	}
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	start = max(0, start-longest/2)
	cut := func(s string) string {
		text := []rune(s[min(start, len(s)):])
		out := string(text[:min(len(text), longest)])
		if start > 0 {
			out = "… " + out
		}
		if len(text) > longest {
			out += " …"
		}
		return strings.ToValidUTF8(out, "")
	}
	return cut(a), cut(b)
}

// functionName is a function's name, with its receiver's type before it.
func functionName(f *ast.FuncDecl) string {
	if f == nil {
		return ""
	}
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := f.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	switch x := receiver.(type) {
	case *ast.IndexExpr:
		receiver = x.X
	case *ast.IndexListExpr:
		receiver = x.X
	}
	if id, ok := receiver.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
