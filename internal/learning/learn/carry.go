package learn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/ast/astutil"
	"golang.org/x/tools/go/packages"

	"distlabs/internal/grading/course"
)

// CarryTo is the lab that goes on from another.
const CarryTo = "05-replication"

// The server that lab 05 goes on from, and where it goes.
const (
	carryFrom = "04-election"
	serverIn  = "raft.go"     // of carryFrom
	serverOut = "election.go" // of it
	wire      = "wire.go"     // of both: the messages
)

// CarriedServer is the file that Carry writes.
const CarriedServer = "labs/" + CarryTo + "/" + serverOut

// Carried tells what Carry did.
type Carried struct {
	Files  []File   // that were written
	Backup string   // where their old texts are, relative to the root
	Notes  []string // what the student should know, a sentence each
}

// Carry puts the Raft server of lab 04 into lab 05: the student's own, or with
// reference ours. Lab 05's stubs ask of it what lab 04's handout promises, NewRaft
// and State, and nothing else; so its file needs another package clause only. What
// it uses from other files of lab 04 comes along, and so do fields and
// declarations that the student added to wire.go.
//
// It writes only over a stub, and only what compiles there.
func Carry(ctx context.Context, c *course.Course, reference bool) (Carried, error) {
	from := "labs/" + carryFrom
	if reference {
		from = "solutions/" + carryFrom
	}
	out := File{CarryTo, serverOut}
	if err := carriable(c, reference, out); err != nil {
		return Carried{}, err
	}
	source, err := loadServer(ctx, c, from)
	if err != nil {
		return Carried{}, err
	}
	server, err := source.server()
	if err != nil {
		return Carried{}, err
	}
	messages, err := source.messages(c)
	if err != nil {
		return Carried{}, err
	}
	texts := map[File][]byte{out: server}
	if messages != nil {
		texts[File{CarryTo, wire}] = messages
	}
	if err := compiles(ctx, c, texts); err != nil {
		return Carried{}, err
	}
	done := Carried{Notes: source.notes}
	for f := range texts {
		done.Files = append(done.Files, f)
	}
	slices.SortFunc(done.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	done.Backup, err = write(c, texts)
	return done, err
}

// carriable refuses to carry a stub, or over anything but a stub.
func carriable(c *course.Course, reference bool, out File) error {
	in := File{carryFrom, serverIn}
	if !slices.ContainsFunc(c.Labs, func(lab course.Lab) bool { return lab.ID == carryFrom }) {
		return fmt.Errorf("learn: this folder has no labs/%s to carry from: write %s from its stub, or paste your %s of lab 04 into it", carryFrom, out.Path(), serverIn)
	}
	if stub, err := IsStub(c, in); err != nil {
		return err
	} else if stub && !reference {
		hint := ""
		if course.HasSolutions(c.Root) {
			hint = "; --reference takes ours"
		}
		return fmt.Errorf("learn: %s is still the stub, so there is nothing to carry%s", in.Path(), hint)
	}
	if stub, err := IsStub(c, out); err != nil {
		return err
	} else if !stub {
		return fmt.Errorf("learn: %s is no stub any more; grade reset %s makes it one again, and keeps a backup", out.Path(), out.Path())
	}
	return nil
}

// serverSource is lab 04 as it is carried from, type-checked.
type serverSource struct {
	pkg   *packages.Package
	dir   string
	files map[string]*ast.File // by name
	text  map[string][]byte
	notes []string
}

// loadServer reads a folder's package. It must compile: what does not has no
// types, and would not compile in lab 05 either.
func loadServer(ctx context.Context, c *course.Course, dir string) (*serverSource, error) {
	loaded, err := packages.Load(&packages.Config{
		Context: ctx, Dir: c.Root, BuildFlags: []string{"-race", "-trimpath"}, // as the grader builds, from the same cache
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo |
			packages.NeedImports | packages.NeedExportFile,
	}, "./"+dir)
	if err != nil {
		return nil, fmt.Errorf("learn: reading %s: %w", dir, err)
	}
	pkg := loaded[0]
	if len(pkg.Errors) > 0 {
		return nil, fmt.Errorf("learn: %s does not compile, so it cannot be carried yet: %s", dir, plainError(c, pkg.Errors))
	}
	s := &serverSource{pkg: pkg, dir: dir, files: map[string]*ast.File{}, text: map[string][]byte{}}
	for _, f := range pkg.Syntax {
		path := pkg.Fset.Position(f.FileStart).Filename
		if s.text[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("learn: %w", err)
		}
		s.files[filepath.Base(path)] = f
	}
	for _, name := range []string{serverIn, wire} {
		if s.files[name] == nil {
			return nil, fmt.Errorf("learn: %s has no %s", dir, name)
		}
	}
	return s, nil
}

// plainError is the first error with a position of its own: the go command's comes before the type checker's, and
// says the same in the form of a build log.
func plainError(c *course.Course, all []packages.Error) string {
	e := all[0]
	if at := slices.IndexFunc(all, func(e packages.Error) bool { return e.Kind != packages.ListError && e.Pos != "" }); at >= 0 {
		e = all[at]
	}
	text := e.Msg
	if e.Pos != "" {
		text = e.Pos + ": " + text
	}
	return filepath.ToSlash(strings.ReplaceAll(text, c.Root+string(filepath.Separator), ""))
}

// server is the text of the server's file in its new package, with what it uses
// from files that stay behind.
func (s *serverSource) server() ([]byte, error) {
	file := s.files[serverIn]
	text := s.inPackage(serverIn, "replication")
	var extra bytes.Buffer
	imports := map[string]*ast.ImportSpec{}
	seen := map[ast.Node]bool{}
	var need func(n ast.Node)
	need = func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			obj := s.pkg.TypesInfo.Uses[id]
			if obj == nil || obj.Pkg() != s.pkg.Types || obj.Parent() != s.pkg.Types.Scope() && !isMethod(obj) {
				return true
			}
			name, decl := s.declaration(obj.Pos())
			if decl == nil || name == serverIn || name == wire || seen[decl] {
				return true
			}
			seen[decl] = true
			fmt.Fprintf(&extra, "\n%s\n", s.slice(name, decl))
			s.notes = append(s.notes, fmt.Sprintf("%s came along from %s", obj.Name(), name))
			s.importsOf(s.files[name], decl, imports)
			need(decl)
			return true
		})
	}
	need(file)
	return withImports(append(text, extra.Bytes()...), imports)
}

// inPackage is a file's text with another package clause.
func (s *serverSource) inPackage(name, pkg string) []byte {
	id := s.files[name].Name
	at := s.pkg.Fset.Position(id.Pos()).Offset
	return slices.Concat(s.text[name][:at], []byte(pkg), s.text[name][at+len(id.Name):])
}

// declaration is the top-level declaration around a position, and its file.
func (s *serverSource) declaration(pos token.Pos) (string, ast.Decl) {
	for name, f := range s.files {
		if pos < f.FileStart || pos > f.FileEnd {
			continue
		}
		for _, d := range f.Decls {
			if d.Pos() <= pos && pos < d.End() {
				return name, d
			}
		}
	}
	return "", nil
}

// slice is the text of a declaration with its comment.
func (s *serverSource) slice(name string, d ast.Decl) []byte {
	from := d.Pos()
	if doc := docOf(d); doc != nil {
		from = doc.Pos()
	}
	return s.text[name][s.pkg.Fset.Position(from).Offset:s.pkg.Fset.Position(d.End()).Offset]
}

func docOf(d ast.Decl) *ast.CommentGroup {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

// importsOf adds the imports that a declaration of the file uses.
func (s *serverSource) importsOf(f *ast.File, d ast.Decl, imports map[string]*ast.ImportSpec) {
	used := map[string]bool{}
	ast.Inspect(d, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok {
				used[id.Name] = true
			}
		}
		return true
	})
	for _, spec := range f.Imports {
		name := importName(spec)
		if used[name] {
			imports[name] = spec
		}
	}
}

func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	path, _ := strconv.Unquote(spec.Path.Value)
	parts := strings.Split(path, "/")
	name := parts[len(parts)-1]
	if len(parts) > 1 && len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' {
		name = parts[len(parts)-2] // math/rand/v2
	}
	return name
}

// withImports adds imports to a file and formats it.
func withImports(text []byte, imports map[string]*ast.ImportSpec) ([]byte, error) {
	if len(imports) == 0 {
		return format.Source(text)
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", text, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	for _, spec := range imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := ""
		if spec.Name != nil {
			name = spec.Name.Name
		}
		astutil.AddNamedImport(fset, f, name, path)
	}
	var out bytes.Buffer
	if err := format.Node(&out, fset, f); err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	return out.Bytes(), nil
}

// compiles builds lab 05's test binary with the texts in place of its files,
// which stay as they are.
func compiles(ctx context.Context, c *course.Course, texts map[File][]byte) error {
	dir, err := os.MkdirTemp("", "carry-")
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	defer os.RemoveAll(dir)
	replacements := map[string]string{}
	for f, text := range texts {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, text, 0o666); err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		replacements[f.in(c)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replacements})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o666)
	}
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-race", "-trimpath", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"),
		"-o", filepath.Join(dir, "lab.test"), "./labs/"+CarryTo)
	cmd.Dir = c.Root
	text, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return fmt.Errorf("learn: lab 05 would not compile with it, so nothing was changed; rename or finish in lab 04, then carry again:\n%s",
			strings.TrimSpace(strings.ReplaceAll(string(text), dir+string(filepath.Separator), "labs/"+CarryTo+"/")))
	}
	return err
}
