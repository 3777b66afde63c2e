package workspace

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// yieldName is how a file calls the package whose Yield it calls, a name that no student chooses.
const (
	yieldName   = "labsSeeded"
	yieldImport = "; import " + yieldName + " \"" + course.Module + "/" + seededDir + "\""
)

// yields returns the file with a call of seeded.Yield wherever another goroutine may come between two halves of one step: after a call
// that unlocks, deferred or not, and before a statement that uses an atomic variable. The calls stand at the ends of the lines before, so
// that lines and columns stay. A file that does not parse stays as it is: the compiler says why.
func yields(text []byte) []byte {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return text
	}
	at := func(p token.Pos) int { return set.PositionFor(p, false).Offset }
	insert := map[int]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt:
			yieldIn(n.List, at(n.Lbrace)+1, at, insert)
		case *ast.CaseClause:
			yieldIn(n.Body, at(n.Colon)+1, at, insert)
		case *ast.CommClause:
			yieldIn(n.Body, at(n.Colon)+1, at, insert)
		}
		return true
	})
	if len(insert) == 0 {
		return text
	}
	insert[at(file.Name.End())] = yieldImport
	return Insert(text, insert)
}

// Insert returns the text with others in it, each before the byte at its offset, or at the end.
func Insert(text []byte, insert map[int]string) []byte {
	var out bytes.Buffer
	last := 0
	for _, offset := range slices.Sorted(maps.Keys(insert)) {
		out.Write(text[last:offset])
		out.WriteString(insert[offset])
		last = offset
	}
	out.Write(text[last:])
	return out.Bytes()
}

// yieldIn notes where the calls go in a list of statements that begins behind the offset first.
func yieldIn(list []ast.Stmt, first int, at func(token.Pos) int, insert map[int]string) {
	const call = yieldName + ".Yield()"
	for i := range len(list) + 1 {
		var calls []string
		if i > 0 && isUnlock(list[i-1]) || i < len(list) && usesAtomic(list[i]) {
			calls = append(calls, call)
		}
		if i < len(list) && defersUnlock(list[i]) {
			calls = append(calls, "defer "+call) // what is deferred first is done last
		}
		switch what := strings.Join(calls, "; "); {
		case what == "":
		case i == 0:
			insert[first] = " " + what + "; "
		default:
			insert[at(list[i-1].End())] = "; " + what
		}
	}
}

func isUnlock(stmt ast.Stmt) bool {
	x, ok := stmt.(*ast.ExprStmt)
	return ok && unlocks(x.X)
}

func defersUnlock(stmt ast.Stmt) bool {
	d, ok := stmt.(*ast.DeferStmt)
	return ok && unlocks(d.Call)
}

// unlocks reports whether an expression is a call like mu.Unlock().
func unlocks(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok || len(call.Args) > 0 {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (f.Sel.Name == "Unlock" || f.Sel.Name == "RUnlock")
}

// atomicName matches the names of methods, and those of functions for integers.
var atomicName = regexp.MustCompile(`^((Load|Store|Add|CompareAndSwap)(Int32|Int64|Uint32|Uint64)?|Swap|And|Or)$`)

// usesAtomic reports whether a statement calls a method, or a function of a package, named as those of sync/atomic are. What it does
// in blocks of its own, which have statements of their own, does not count. A method of another kind with such a name costs a call.
func usesAtomic(stmt ast.Stmt) (found bool) {
	if _, labelled := stmt.(*ast.LabeledStmt); labelled {
		return false
	}
	ast.Inspect(stmt, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
			return false
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok {
				found = found || atomicName.MatchString(f.Sel.Name)
			}
		}
		return !found
	})
	return found
}
