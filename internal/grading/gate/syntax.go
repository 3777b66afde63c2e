package gate

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
)

// The bounds of a file's shape. Real code is far below them; far above them the type checker, which recurses, could
// use up the stack.
const (
	maxDepth = 1000  // levels of nesting
	maxSpecs = 5000  // declarations of a package
	maxNodes = 500e3 // nodes of a package's syntax trees
)

// Look reads the files of a lab and says why they are refused: file, line and rule; "" lets them pass. It goes by syntax.
//
// A file with a syntax error passes: the compiler's words are better. If the compiler builds such a file all the same,
// nothing of it may run: see Check.
func Look(lab course.Lab, files map[string][]byte) string {
	specs, nodes := 0, 0
	for _, name := range lab.Files() {
		text, ok := files[name]
		if !ok {
			continue
		}
		refused, shape := look(lab, name, text)
		if refused != "" {
			return refused
		}
		specs, nodes = specs+shape.specs, nodes+shape.nodes
		if specs > maxSpecs || nodes > maxNodes {
			return fmt.Sprintf("%s: the submission is too large: more than %d declarations or %d parts of expressions", name, maxSpecs, int(maxNodes))
		}
	}
	return ""
}

// shape is how large a file's syntax tree is.
type shape struct{ specs, nodes int }

func look(lab course.Lab, name string, text []byte) (refused string, size shape) {
	set := token.NewFileSet()
	// Comments first, and by the scanner alone: a directive must not slip through in a file that stops parsing before it.
	if line, what := directive(set.AddFile(name, -1, len(text)), text); what != "" {
		return fmt.Sprintf("%s:%d: %s is not permitted in a submission", name, line, what), size
	}
	at := func(n ast.Node) string { return fmt.Sprintf("%s:%d: ", name, set.PositionFor(n.Pos(), false).Line) }
	// Imports by themselves: whatever follows them may not parse, and be built all the same.
	head, _ := parser.ParseFile(set, name, text, parser.ImportsOnly)
	if head != nil {
		if head.Name != nil && head.Name.Name != lab.Package && head.Name.Name != "_" {
			return at(head.Name) + fmt.Sprintf("package is %s, want %s", plain.Word(head.Name.Name), lab.Package), size
		}
		for _, spec := range head.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil || !slices.Contains(allowed, path) && !slices.Contains(lab.Imports, path) {
				return at(spec) + fmt.Sprintf("a submission may not import %s", plain.Word(spec.Path.Value)), size
			}
			if spec.Name != nil && spec.Name.Name == "." {
				return at(spec) + fmt.Sprintf("a submission may not import %s under the name \".\"", plain.Word(spec.Path.Value)), size
			}
		}
	}
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if line, deep := tooDeep(err); deep {
		return fmt.Sprintf("%s:%d: ", name, line) + nesting, size
	}
	if err != nil {
		return "", size
	}
	return lookDeeper(name, set, file, &size), size
}

// lookDeeper looks at the declarations of a file that parses.
func lookDeeper(name string, set *token.FileSet, file *ast.File, size *shape) (refused string) {
	refuse := func(n ast.Node, format string, args ...any) {
		if refused == "" {
			refused = fmt.Sprintf("%s:%d: ", name, set.PositionFor(n.Pos(), false).Line) + fmt.Sprintf(format, args...)
		}
	}
	depth := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			depth--
			return true
		}
		size.nodes++
		if depth++; depth > maxDepth {
			refuse(n, "%s", nesting)
		}
		switch n := n.(type) {
		case *ast.FuncDecl:
			size.specs++
			if n.Body == nil {
				refuse(n, "func %s has no body", plain.Word(n.Name.Name))
			}
			if n.Recv != nil && slices.Contains(hooks, n.Name.Name) {
				refuse(n, "method %s would change how messages are encoded or compared: a submission may not declare it", n.Name.Name)
			}
			if n.Recv != nil && isLent(n) {
				refuse(n, "method %s would be given memory of package fmt, which all nodes share: a submission may not declare it", n.Name.Name)
			}
		case *ast.ValueSpec:
			size.specs += len(n.Names)
		case *ast.TypeSpec:
			size.specs++
		case *ast.StructType:
			for _, f := range n.Fields.List {
				if f.Tag != nil {
					refuse(f.Tag, "a struct tag would change how messages are encoded: a submission may not use one")
				}
			}
		}
		return refused == ""
	})
	return refused
}

// hooks are methods by which a type changes how a library treats it: the encoder of messages, and the tests' comparisons.
var hooks = strings.Fields(`MarshalCBOR UnmarshalCBOR MarshalBinary UnmarshalBinary AppendBinary MarshalText UnmarshalText AppendText
	MarshalJSON UnmarshalJSON GobEncode GobDecode Format GoString Scan Is As`)

// isLent reports whether package fmt may call a method with the memory in which it builds a text, and which it uses again for the next text:
// Write of an io.Writer, also one of a generic type, or what a cipher.StreamWriter calls.
func isLent(f *ast.FuncDecl) bool {
	return f.Name.Name == "XORKeyStream" || f.Name.Name == "Write" && f.Type.Params.NumFields() == 1 && f.Type.Results.NumFields() == 2
}

var nesting = fmt.Sprintf("nests deeper than %d levels: the grader does not read it", maxDepth)

// tooDeep reports whether the parser gave a file up that the compiler may take, and where.
func tooDeep(err error) (line int, deep bool) {
	list, _ := errors.AsType[scanner.ErrorList](err)
	i := slices.IndexFunc(list, func(e *scanner.Error) bool { return strings.Contains(e.Msg, "nesting depth") })
	if i < 0 {
		return 0, false
	}
	return list[i].Pos.Line, true
}

// directive finds the first comment that the toolchain would obey.
func directive(file *token.File, text []byte) (line int, what string) {
	var s scanner.Scanner
	s.Init(file, text, func(token.Position, string) {}, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return 0, ""
		}
		if tok != token.COMMENT {
			continue
		}
		for _, prefix := range []string{"//go:", "//line ", "/*line ", "//export ", "//extern ", "// +build", "//+build"} {
			if strings.HasPrefix(lit, prefix) {
				word := strings.TrimSpace(prefix)
				if prefix == "//go:" {
					word = strings.Fields(lit)[0]
				}
				return file.PositionFor(pos, false).Line, fmt.Sprintf("the directive %q", plain.Word(word))
			}
		}
	}
}
