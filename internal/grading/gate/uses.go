package gate

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"distlabs/internal/grading/plain"
)

// readers are functions that only read the slice or map that they are given, and return nothing of it but values.
var readers = strings.Fields(`slices.Contains slices.ContainsFunc slices.Index slices.IndexFunc slices.Equal slices.EqualFunc
	slices.Compare slices.CompareFunc slices.Max slices.MaxFunc slices.Min slices.MinFunc slices.BinarySearch
	slices.IsSorted slices.IsSortedFunc slices.Clone slices.Concat slices.Repeat slices.Sorted slices.Values slices.All slices.Backward
	maps.Keys maps.Values maps.All maps.Clone maps.Equal maps.EqualFunc sort.SearchInts sort.SearchStrings sort.SearchFloat64s
	strings.Join bytes.Equal bytes.Compare bytes.Contains bytes.Count bytes.EqualFold bytes.Index bytes.LastIndex bytes.HasPrefix bytes.HasSuffix
	crypto/hmac.Equal crypto/subtle.ConstantTimeCompare crypto/md5.Sum crypto/sha1.Sum crypto/sha256.Sum256 crypto/sha512.Sum512 encoding/hex.EncodeToString`)

// printers are functions that only read a list or map of values which has no type of its own, and so no methods that they would call.
var printers = strings.Fields("fmt.Sprint fmt.Sprintf fmt.Sprintln fmt.Errorf")

// useChanges says how the use of a package variable could change it or give a reference to it away: a phrase that follows
// "which"; "" if it only reads.
func (c *checker) useChanges(id *ast.Ident, parents []ast.Node) string {
	var cur ast.Expr = id
	i := len(parents) - 1
	if sel, ok := parents[i].(*ast.SelectorExpr); ok && sel.Sel == id { // pkg.Name
		cur, i = sel, i-1
	}
	return c.valueChanges(cur, parents[:i+1])
}

// valueChanges does so for an expression that shares memory with a package variable.
func (c *checker) valueChanges(cur ast.Expr, parents []ast.Node) string {
	sliced, i := false, len(parents)-1
	for ; i >= 0; i-- { // outwards, as long as what is around it is a part of it
		switch p := parents[i].(type) {
		case *ast.ParenExpr:
			cur = p
			continue
		case *ast.IndexExpr:
			if p.X == cur {
				cur = p
				continue
			}
		case *ast.SelectorExpr:
			if p.X == cur {
				if sel := c.info.Selections[p]; sel != nil && sel.Kind() != types.FieldVal {
					return c.methodChanges(sel)
				}
				cur = p
				continue
			}
		case *ast.SliceExpr:
			if p.X == cur && !isString(c.info.TypeOf(cur)) {
				cur, sliced = p, true
				continue
			}
		}
		break
	}
	how := c.readsOnly(cur, parents[i], parents[:i])
	if sliced && how == passedOn {
		return "is sliced"
	}
	return how
}

// isString reports whether a type is one of strings; nil, which code with type errors has, is not.
func isString(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

// methodChanges judges the call of a method of a package variable.
func (c *checker) methodChanges(sel *types.Selection) string {
	f, ok := sel.Obj().(*types.Func)
	if !ok {
		return ""
	}
	recv := f.Signature().Recv()
	if types.IsInterface(sel.Recv()) || types.IsInterface(recv.Type()) {
		return "" // its value is fixed
	}
	if _, pointer := recv.Type().(*types.Pointer); pointer {
		if f.Pkg() == c.pkg && c.pointerReads(f.Origin().Signature().Recv()) {
			return ""
		}
		return fmt.Sprintf("method %s can change", plain.Word(f.Name()))
	}
	if !isCopy(recv.Type()) && !c.onlyReads(f.Origin().Signature().Recv()) {
		return fmt.Sprintf("method %s is given", plain.Word(f.Name()))
	}
	return ""
}

func isSignature(t types.Type) bool {
	_, ok := t.Underlying().(*types.Signature)
	return ok
}

// readsOnly judges what is done with e, a package variable or a part of one.
func (c *checker) readsOnly(e ast.Expr, parent ast.Node, above []ast.Node) string {
	switch p := parent.(type) {
	case *ast.AssignStmt:
		if slices.Contains(p.Lhs, e) {
			return c.assigned(e, parent, above)
		}
	case *ast.IncDecStmt:
		return c.assigned(e, parent, above)
	case *ast.RangeStmt:
		if p.Key == e || p.Value == e {
			return c.assigned(e, parent, above)
		}
	case *ast.UnaryExpr:
		if p.Op == token.AND {
			return "has its address taken"
		}
	case *ast.SelectorExpr:
		return ""
	case *ast.StarExpr:
		return "is changed" // through a pointer, which only another package's variable can be
	}
	t := c.info.Types[e].Type
	if id, ok := e.(*ast.Ident); ok && t == nil {
		t = c.info.Uses[id].Type()
	}
	if tuple, ok := t.(*types.Tuple); ok { // v, ok := m[k]
		t = tuple.At(0).Type()
	}
	if t == nil || isCopy(t) || types.IsInterface(t) {
		return ""
	}
	switch p := parent.(type) {
	case *ast.RangeStmt:
		if elem := elemOf(t); elem != nil && isCopy(elem) {
			return ""
		}
	case *ast.BinaryExpr:
		return "" // with nil
	case *ast.CallExpr:
		if c.reads(p, e) {
			return ""
		}
		if name, ok := c.builtin(p); ok && (name == "delete" || name == "clear" || name == "copy") {
			return "is changed"
		}
	}
	if c.staysReadOnly(e, parent, above) {
		return ""
	}
	return passedOn
}

const passedOn = "is passed on, so that it could change,"

// assigned judges an assignment to e. A local variable that holds a table may hold another one later, and of a struct or array that
// was copied to it the parts may change. And func init may fill a table with values: no node has begun then.
func (c *checker) assigned(e ast.Expr, parent ast.Node, above []ast.Node) string {
	if c.isLocal(e) || c.inInit(parent, above) && !c.isForeign(e) && isImmutable(c.info.TypeOf(e)) {
		return ""
	}
	return "is changed"
}

// isLocal reports whether an expression names a local variable or a part of its own memory.
func (c *checker) isLocal(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return c.info.Uses[e].Parent() != c.pkg.Scope()
	case *ast.SelectorExpr:
		sel := c.info.Selections[e]
		return sel != nil && !sel.Indirect() && c.isLocal(e.X)
	case *ast.IndexExpr:
		if t := c.info.TypeOf(e.X); t != nil {
			_, ok := t.Underlying().(*types.Array)
			return ok && c.isLocal(e.X)
		}
	}
	return false
}

// isForeign reports whether an expression names a variable of another package or a part of one.
func (c *checker) isForeign(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.SelectorExpr:
		return c.info.Selections[e] == nil || c.isForeign(e.X)
	case *ast.IndexExpr:
		return c.isForeign(e.X)
	case *ast.SliceExpr:
		return c.isForeign(e.X)
	}
	return false
}

// isIterator reports whether an expression is a call of package slices or maps, whose iterators run a body before they return.
func (c *checker) isIterator(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	pkg, _, _ := strings.Cut(c.callee(call), ".")
	return pkg == "slices" || pkg == "maps"
}

// inInit reports whether a node is in func init, and not in a function literal there, or the body of a range over a function, which may run
// later. parent and above are what is around it.
func (c *checker) inInit(parent ast.Node, above []ast.Node) bool {
	later := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return true
		case *ast.RangeStmt:
			t := c.info.TypeOf(n.X)
			return t == nil || isSignature(t) && !c.isIterator(n.X)
		}
		return false
	}
	if len(above) < 2 || later(parent) || slices.ContainsFunc(above, later) {
		return false
	}
	f, ok := above[1].(*ast.FuncDecl)
	return ok && f.Recv == nil && f.Name.Name == "init"
}

// elemOf is the type of the values that a range over t gives; nil if that is none.
func elemOf(t types.Type) types.Type {
	switch u := t.Underlying().(type) {
	case *types.Slice:
		return u.Elem()
	case *types.Array:
		return u.Elem()
	case *types.Map:
		if isCopy(u.Key()) {
			return u.Elem()
		}
	}
	return nil
}

// reads reports whether a call only reads its argument.
func (c *checker) reads(call *ast.CallExpr, arg ast.Expr) bool {
	elem := elemOf(c.info.Types[arg].Type)
	values := elem != nil && isCopy(elem)
	callee := c.callee(call)
	switch name, ok := c.builtin(call); {
	case elem != nil && isUnnamed(c.info.Types[arg].Type) && isImmutable(elem) && slices.Contains(printers, callee):
		return true
	case callee == "crypto/hmac.New":
		return len(call.Args) == 2 && call.Args[1] == arg && c.isStandardHash(call.Args[0])
	case c.info.Types[call.Fun].IsType():
		return isString(c.info.Types[call].Type) // a copy
	case !ok:
		return values && slices.Contains(readers, callee)
	case name == "append":
		return values && call.Args[0] != arg && call.Ellipsis.IsValid()
	case name == "copy":
		return values && call.Args[0] != arg
	default:
		return name == "len" || name == "cap"
	}
}

func isUnnamed(t types.Type) bool {
	_, named := types.Unalias(t).(*types.Named)
	return !named
}

// isStandardHash reports whether an expression names the constructor of a hash of the standard library: another one may keep the key
// that package hmac writes to it.
func (c *checker) isStandardHash(e ast.Expr) bool {
	sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := c.info.Uses[sel.Sel].(*types.Func)
	return ok && f.Pkg() != nil && f.Signature().Recv() == nil && strings.HasPrefix(f.Pkg().Path(), "crypto/")
}

// builtin names the predeclared function that is called.
func (c *checker) builtin(call *ast.CallExpr) (name string, ok bool) {
	id, isName := ast.Unparen(call.Fun).(*ast.Ident)
	if !isName {
		return "", false
	}
	_, ok = c.info.Uses[id].(*types.Builtin)
	return id.Name, ok
}
