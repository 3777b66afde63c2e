package submission

import (
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

// allowed is what every submission may import. None of these packages can open
// a file or a socket, start a program, end the process with status 0, or give a
// pointer another type (so neither os nor reflect, whose NewAt does the last).
var allowed = strings.Fields(`
	bufio bytes cmp container/heap container/list container/ring context
	crypto/hmac crypto/md5 crypto/sha1 crypto/sha256 crypto/sha512 crypto/subtle
	encoding encoding/base64 encoding/binary encoding/gob encoding/hex encoding/json
	errors fmt hash hash/adler32 hash/crc32 hash/crc64 hash/fnv hash/maphash
	io iter log log/slog maps math math/big math/bits math/cmplx math/rand math/rand/v2
	slices sort strconv strings sync sync/atomic text/tabwriter time
	unicode unicode/utf16 unicode/utf8 unique
	` + course.Module + `/labrpc`)

// Gate reads the files of a lab before anything is built, and says why they are
// refused: file, line and rule; "" lets them pass. A file that does not parse
// passes: the compiler's words are better.
//
// The gate is a filter in front of other barriers, not a proof of honesty.
func Gate(lab course.Lab, files map[string][]byte) string {
	for _, name := range lab.Files() {
		text, ok := files[name]
		if !ok {
			continue
		}
		if refused := gateFile(lab, name, text); refused != "" {
			return refused
		}
	}
	return ""
}

func gateFile(lab course.Lab, name string, text []byte) string {
	fset := token.NewFileSet()
	// Comments first, and by the scanner alone: a directive must not slip
	// through in a file that stops parsing before it.
	if line, what := directive(fset.AddFile(name, -1, len(text)), text); what != "" {
		return fmt.Sprintf("%s:%d: %s is not permitted in a submission", name, line, what)
	}
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return ""
	}
	at := func(n ast.Node) string {
		return fmt.Sprintf("%s:%d: ", name, fset.PositionFor(n.Pos(), false).Line)
	}
	if file.Name.Name != lab.Package {
		return at(file.Name) + fmt.Sprintf("package is %s, want %s", file.Name.Name, lab.Package)
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !slices.Contains(allowed, path) && !slices.Contains(lab.Imports, path) {
			return at(spec) + fmt.Sprintf("a submission may not import %s", plain.Text(spec.Path.Value))
		}
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body == nil {
			return at(f) + fmt.Sprintf("func %s has no body", f.Name.Name)
		}
	}
	return ""
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
				return file.PositionFor(pos, false).Line, fmt.Sprintf("the directive %q", plain.Text(word))
			}
		}
	}
}
