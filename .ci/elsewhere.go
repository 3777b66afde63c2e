//go:build ignore

// Elsewhere type-checks this module for other systems, tests included: what students run must compile there. A vet for
// another system would first compile the standard library for it; this reads its declarations.
//
//	go run .ci/elsewhere.go DIRECTORY SYSTEMS PATTERN...
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	dir, err := filepath.Abs(os.Args[1])
	if err != nil {
		fail(err)
	}
	for system := range strings.SplitSeq(os.Args[2], ",") {
		if err := check(dir, system, os.Args[3:]); err != nil {
			fail(fmt.Errorf("%s: %w", system, err))
		}
	}
}

func check(dir, system string, patterns []string) error {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes | packages.NeedModule,
		Dir:   dir,
		Env:   append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"),
		Tests: true,
		ParseFile: func(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
			f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution|parser.ParseComments)
			if f != nil && f.Name.Name != "main" && !strings.HasPrefix(name, dir+string(filepath.Separator)) {
				for _, d := range f.Decls {
					if fn, ok := d.(*ast.FuncDecl); ok {
						fn.Body = nil // of a dependency, what it declares is enough
					}
				}
			}
			return f, err
		},
	}, patterns...)
	if err != nil {
		return err
	}
	ours, wrong := 0, 0
	packages.Visit(pkgs, nil, func(p *packages.Package) {
		if len(p.Syntax) == 0 || !strings.HasPrefix(p.Dir, dir) {
			return
		}
		ours++
		for _, e := range p.Errors {
			wrong++
			fmt.Fprintln(os.Stderr, e)
		}
	})
	if wrong > 0 {
		return fmt.Errorf("this does not compile there (%d faults)", wrong)
	}
	if ours == 0 {
		return fmt.Errorf("no package of %s matches %v", dir, patterns)
	}
	fmt.Printf("%s: %d packages\n", system, ours)
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "elsewhere:", err)
	os.Exit(1)
}
