package gate

import (
	"fmt"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/globals"
)

func shares(line, name, which string) string {
	return "echo.go:" + line + ": nodes share no memory, but all of them would share the package variable " + name + ", which " + which + ": keep it in your struct"
}

// Every row is code that the compiler takes, and the sentence that it meets; "" lets it pass. light rows meet the same
// sentence in a plain go test; those of the other refused rows need types.
func TestCheckMemory(t *testing.T) {
	for _, tc := range []struct {
		name, code, want string
		light            bool
	}{
		// What honest code has.
		{"errors", `var ErrA = errors.New("a"); var ErrB = fmt.Errorf("b: %w, %d", ErrA, 3); var ErrC = fmt.Errorf("%w, 5%% of %q and %v", context.Canceled, "x", ErrA); var ErrD error = code(3)
type code int; func (code) Error() string { return "" }`, "", false},
		{"numbers and times", `var wait = 3 * time.Second; var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); var origin struct{ X, Y int }; var none labrpc.NodeID`, "", false},
		{"an interface that is met", `type T struct{}; func (*T) Error() string { return "" }; var _ error = (*T)(nil)`, "", false},
		{"tables", `var names = map[int]string{1: "a"}; var primes = []int{2, 3}; var grid = [][]int{{1}, {2}}; var points = []struct{ X int }{{1}}
func F() string { for i, p := range primes { _, _ = i, p }; v, ok := names[2]; _, _ = v, ok; _ = slices.Contains(primes, 3); _ = append([]int(nil), primes...)
	return names[len(primes)+grid[0][1]+points[0].X] }`, "", false},
		{"a table with a second name", `var quick, slow = []int{1, 2}, []int{3, 4}
func F(late bool) (n int) { steps := quick; if late { steps = slow }; var same = steps[1:]; a, b := same, slow; func() { n += a[0] + b[0] }(); for n = range steps {}; return steps[n] }`, "", false},
		{"a table, to functions that read", `var t, magic = []int{1}, []byte("m"); func F(b []byte) string { _ = slices.IndexFunc(t, func(i int) bool { return i > 1 }); _ = slices.Concat(t, t)
	if bytes.HasPrefix(b, magic) || sha256.Sum256(magic)[0] == 1 { return hex.EncodeToString(magic) }; if sha1.Sum(magic)[0] == 1 { return string(magic) }; return string(magic[:1]) }`, "", false},
		{"functions in tables", `var ops = map[string]func(int) int{"up": up, "down": func(i int) int { return i - 1 }, "none": nil}; func up(i int) int { return i + 1 }
var steps = []struct{ name string; run func(int) int }{{"up", up}, {run: none.a}}; var none struct{ a func(int) int }
func F(s string) int { op, ok := ops[s]; if !ok { op = up }; for _, s := range steps { s.run(op(1)) }; return ops[s](1) }`, shares("4", "steps", "holds a function that may remember something"), false},
		{"plain functions in tables", `var ops = map[string]func(int) int{"up": up, "down": func(i int) int { return i - 1 }, "none": nil}; func up(i int) int { return i + 1 }
var steps = []struct{ name string; run func(int) int }{{"up", up}, {run: func(i int) int { return 2 * i }}, {}}; var later = make(map[string][]func())
func F(s string) int { op, ok := ops[s]; if !ok { op = up }; for _, s := range steps { s.run(op(1)) }; return ops[s](1) + len(later) }`, "", false},
		{"a copy that is changed", `type S struct{ n int; more struct{ a [2]int }; peers []int }; var defaults = S{n: 3, peers: []int{1}}
func F() int { s := defaults; s.n++; s.more.a[1] = 2; s.peers = nil; (s).n = 4; return s.n + g(defaults) }; func g(s S) int { s.n = 5; return s.n + len(s.peers) }`, "", false},
		{"rows of a table", `var grid = [][]int{{1}, {2}}; var rows = map[string][]int{"a": {1}}
func F() int { for _, row := range grid[:1] { for _, x := range row { _ = x } }; row, ok := rows["a"]; _ = ok; first := grid[0]; _ = grid; return row[0] + first[0] }`, "", false},
		{"a table, to a function of its own", `var t, u = []int{1}, [][]int{{2}}; func F() int { return at(t, 0) + sum(u...) + sum(t, u[0]) }; func at(t []int, i int) int { if i == 9 { return at(t, 0) }; return t[i] }
func sum(rows ...[]int) (n int) { for _, r := range rows { n += len(r) + rows[0][0] }; return n }`, "", false},
		{"a table, from a function of its own", `var quick, slow = []int{1, 2}, []int{3, 4}; func F(late bool) int { s := steps(late); return s[0] + (steps(late))[1] }
func steps(late bool) []int { if late { return slow }; return quick }; type V struct{}; func (V) all() []int { return quick }; func G() int { var v V; return len(v.all()) + v.all()[0] }`, "", false},
		{"a table, by a method that reads", `type V []int; func (v V) at(i int) int { return v[i] }; func (v V) last() int { return v.at(len(v) - 1) }; var t = V{1}; func F() int { f := t.at; return t.last() + f(0) }`, "", false},
		{"errors in tables", `var ErrA, ErrB = errors.New("a"), errors.New("b"); var final = []error{ErrA, context.Canceled, nil, code(3)}; var names = map[error]string{ErrA: "a"}; type code int; func (code) Error() string { return "" }
var rows = []struct{ err error; run func() error; more [2]error }{{ErrA, nil, [2]error{ErrB}}, {run: G, err: (ErrB)}, {more: [...]error{1: labrpc.ErrDown}}}; var later = make(map[string]error)
func F() error { for _, e := range final { if e != nil { return e } }; _ = slices.Contains(final, ErrB); _ = slices.Clone(final); for _, r := range rows { _ = errors.Is(r.err, ErrA) }; _ = names[final[0]]; return later["x"] }; func G() error { return nil }`, "", false},
		{"a type that mentions itself", `type menu struct { name string; parts []menu; by map[string]menu }; var all = menu{"a", []menu{{name: "b"}}, nil}; func F() string { for _, m := range all.parts { return m.name }; return all.by["c"].name }`, "", false},
		{"a table that init fills", `var byName = map[string]int{}; var table [8]uint32; var names = []string{"a"}; var n int; var p struct{ x, y int }; func init() { for i, s := range names { byName[s] = i; table[i] = uint32(i) }; n++; p.x, p.y = 1, 2; for n = range 3 {}; for i, s := range slices.Backward(names) { byName[s] = i } }
func F() int { return byName["a"] + int(table[1]) + n + p.x }`, "", false},
		{"rows with errors and functions", `var ErrA = errors.New("a"); type row struct{ code int; err error }; type op struct{ name string; run func(int) int }; var rows, ops = []row{{1, ErrA}}, []op{{"up", up}}; var failed = row{2, ErrA}; func up(i int) int { return i + 1 }
func F(c chan row) (op, row, error) { i := slices.IndexFunc(rows, func(r row) bool { return r.code == 2 }); c <- rows[i]; for _, o := range ops { if o.name == "x" { return o, failed, failed.err } }; return ops[0], slices.Clone(rows)[0], nil }`, "", false},
		{"a pointer method that reads", `type Config struct{ n int; peers []int }; func (c *Config) quorum() int { return c.n/2 + 1 + c.peers[0] + c.last() }; func (c *Config) last() int { for i := range c.peers { return i }; return len(c.peers) }; var defaults = Config{n: 3}; func F() int { f := defaults.last; return defaults.quorum() + f() }`, "", false},
		{"a list in a text", `var kinds, weights = []string{"a"}, map[string]int{"a": 1}; func F(k string) error { _ = fmt.Sprint(kinds, weights); return fmt.Errorf("kind %q, want one of %v (%[2]q)", k, kinds) }`, "", false},
		{"a key of a standard hash", `var key = []byte("k"); func F() { hmac.New(sha256.New, key).Sum(nil) }`, "", false},
		{"functions", `var less = func(a, b int) bool { return a < b }; var up = strings.ToUpper; func F() { less(1, 2); up("a"); slices.SortFunc([]int{1}, func(a, b int) int { return 0 }) }`, "", false},
		{"a variable that another hides", `var wait = 3; func F() { wait := 4; wait = 5; _ = wait }`, "", false},
		{"constants and local variables", `const Max = 3; func F() { m := map[int]int{}; m[1]++; var mu sync.Mutex; mu.Lock() }`, "", false},
		{"errors of others", `func F(err error) bool { return errors.Is(err, context.Canceled) || err == labrpc.ErrDown }`, "", false},
		{"byte order", `func F(b []byte) uint64 { return binary.BigEndian.Uint64(b) }`, "", false},
		{"time zones, passed on", `func F(t time.Time) time.Time { return t.In(time.UTC) }`, "", false},

		// Memory that nodes would share.
		{"a map", `var up = map[labrpc.NodeID]bool{}; func F() { up[1] = true }`, shares("3", "up", "is changed in line 3"), true},
		{"a number", `var n int; func F() { n++ }`, shares("3", "n", "is changed in line 3"), true},
		{"a number, in another way", `var n int; func F() { n, _ = 3, 4 }`, shares("3", "n", "is changed in line 3"), true},
		{"in a range", `var n int; func F() { for n = range 3 {} }`, shares("3", "n", "is changed in line 3"), true},
		{"an array", `var n [3]int; func F() { n[1] += 2 }`, shares("3", "n", "is changed in line 3"), true},
		{"a field", `var n struct{ x struct{ y int } }; func F() { n.x.y = 1 }`, shares("3", "n", "is changed in line 3"), true},
		{"an address", `var n int; func F() *int { return &n }`, shares("3", "n", "has its address taken in line 3"), true},
		{"the address of a part", `var n [3]struct{ x int }; func F() *int { return &n[1].x }`, shares("3", "n", "has its address taken in line 3"), true},
		{"a mutex", `var mu sync.Mutex`, shares("3", "mu", "is a sync.Mutex"), true},
		{"a sync.Map", `var m sync.Map`, shares("3", "m", "is a sync.Map"), true},
		{"a pool", `var m = sync.Pool{}`, shares("3", "m", "is a sync.Pool"), true},
		{"an atomic", `var n atomic.Int64`, shares("3", "n", "is a atomic.Int64"), true},
		{"an atomic pointer", `var n atomic.Pointer[int]`, shares("3", "n", "is a atomic.Pointer"), true},
		{"an atomic in a struct", `var n struct{ c atomic.Int64 }`, shares("3", "n", "holds references to what could change"), false},
		{"an atomic function", `var n int64; func F() { atomic.AddInt64(&n, 1) }`, shares("3", "n", "has its address taken in line 3"), true},
		{"a channel", `var c = make(chan int)`, shares("3", "c", "is a channel"), true},
		{"a channel, declared", `var c chan int = newChan(); func newChan() chan int { return nil }`, shares("3", "c", "is a channel"), true},
		{"a channel, by inference", `var c = newChan(); func newChan() chan int { return nil }`, shares("3", "c", "is a channel"), false},
		{"a pointer", `var p = &struct{ x int }{}`, shares("3", "p", "is a pointer"), true},
		{"a pointer, by new", `var p = new(int)`, shares("3", "p", "is a pointer"), true},
		{"a pointer, by a function", `var p = newT(); type T struct{ x int }; func newT() *T { return &T{} }`, shares("3", "p", "is a pointer"), false},
		{"one of two", `var a, p = newT(); type T struct{ x int }; func newT() (int, *T) { return 1, &T{} }`, shares("3", "p", "is a pointer"), false},
		{"an interface", `var x any = &struct{ y int }{}`, shares("3", "x", "is a pointer"), true},
		{"an interface, by a function", `var x = get(); func get() any { return map[int]int{} }`, shares("3", "x", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error with memory", `type E struct{ m map[int]int }; func (E) Error() string { return "" }; var ErrX error = E{map[int]int{}}`,
			shares("3", "ErrX", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that wraps memory", `type E struct{ m map[int]int }; func (E) Error() string { return "" }; var ErrX = fmt.Errorf("x: %w", E{map[int]int{}})`,
			shares("3", "ErrX", "holds a value that could change (an error made by errors.New could not)"), false},
		{"a function that remembers", `var next = counter(); func counter() func() int { n := 0; return func() int { n++; return n } }`,
			shares("3", "next", "holds a function that may remember something"), false},
		{"a function that remembers, at once", `var next = func() func() int { n := 0; return func() int { n++; return n } }()`,
			shares("3", "next", "holds a function that may remember something"), false},
		{"a method that remembers", `type T struct{ n int }; func (t *T) next() int { t.n++; return t.n }; var next = (&T{}).next`,
			shares("3", "next", "holds a function that may remember something"), false},
		{"OnceValue", `var get = sync.OnceValue(func() map[int]int { return map[int]int{} })`, shares("3", "get", "holds a function that may remember something"), false},
		{"a function that is changed", `var f func(); func F() { f = F }`, shares("3", "f", "is changed in line 3"), true},
		{"functions in a table", `var f = []func() int{counter()}; func counter() func() int { return nil }`, shares("3", "f", "holds a function that may remember something"), false},
		{"a table that is handed out", `var t = []int{1}; func F() []int { return t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table that is sliced", `var t = []int{1}; func F() []int { return t[:1] }`, shares("3", "t", "is sliced in line 3"), false},
		{"a part of a table that is handed out", `var t = [][]int{{1}}; func F() []int { return t[0] }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a part of a table, by range", `var t = [][]int{{1}}; func F() { for _, x := range t { x[0] = 2 } }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a key", `var key = []byte("k"); func F(h func() hash.Hash) { hmac.New(h, key) }`, shares("3", "key", "is passed on, so that it could change, in line 3"), false},
		{"a table that is sorted", `var t = []int{1}; func F() { sort.Ints(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, by append", `var t = make([]int, 0, 9); func F() { _ = append(t, 1) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name that is changed", `var t = []int{1}; func F() { x := t; x[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name, later", `var t = []int{1}; func F() { var x []int; x = t; defer func() { x[0]++ }() }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name of a second name", `var t = []int{1}; func F() { x := t; y, z := x, 0; y[z] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name with an address", `var t = []int{1}; func F() { x := t; p := &x; (*p)[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name by append", `var t = make([]int, 0, 9); func F() { x := t; _ = append(x[:0], 1) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name as an interface", `var t = []int{1}; func F() { var x any = t; x.([]int)[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a second name of another package variable", `var t = []int{1}; var u = t; func F() int { return u[0] }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a named result", `var t = []int{1}; func F() (x []int) { x = t; return }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a field", `var t = []int{1}; type S struct{ x []int }; func F() { var s S; s.x = t; s.x[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table in a table", `var t = []int{1}; func F() { x := append([][]int(nil), t); x[0][0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table in a literal", `var t = []int{1}; func F() { x := [][]int{t}; x[0][0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a row, found by a function", `var t = [][]int{{1}}; func F() { x := slices.MaxFunc(t, func(a, b []int) int { return 0 }); x[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, converted", `type V []int; var t = []int{1}; func F() { x := V(t); x[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a copy of which a table is changed", `type S struct{ m map[int]int; l []int }; var d = S{l: []int{1}}; func F() { s := d; s.l[0] = 2 }`, shares("3", "d", "is passed on, so that it could change, in line 3"), false},
		{"a copy in a copy", `type S struct{ in struct{ l []struct{ n int } } }; var d S; func F() { s := d; s.in.l[0].n++ }`, shares("3", "d", "is passed on, so that it could change, in line 3"), false},
		{"the address of a copy", `type S struct{ l []int }; var d = S{l: []int{1}}; func F() *S { s := d; return &s }`, shares("3", "d", "is passed on, so that it could change, in line 3"), false},
		{"functions that remember, in a map of lists", `var f = map[int][]func() int{1: {one, counter()}}; func one() int { return 1 }; func counter() func() int { n := 0; return func() int { n++; return n } }`,
			shares("3", "f", "holds a function that may remember something"), false},
		{"a list of errors that may change", `var t = []error{ErrA, &E{}}; var ErrA = errors.New("a"); type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that is a map", `var t = []error{E{}}; type E map[int]int; func (E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that is made", `var t = [1]error{make(E)}; type E map[int]int; func (E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"errors that are keys", `var t = map[error]int{&E{}: 1}; type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"errors in structs", `var t = map[string]struct{ n int; err error }{"a": {1, &E{}}}; type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"errors in structs, by name", `var t = []struct{ a, b error }{{b: &E{}}}; type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"errors by a function", `var t = get(); func get() []error { return nil }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"errors by a function of two", `var n, t = get(); func get() (int, []error) { return 1, nil }`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error of a package variable's that may change", `var t = []error{e}; var e error = &E{}; type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "e", "is a pointer"), false},
		{"a list of errors that is changed", `var t = []error{nil}; func F(e error) { t[0] = e }`, shares("3", "t", "is changed in line 3"), true},
		{"a list of errors, later", `var t = []error{nil}; func F(e error) { x := t; x[0] = e }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a list of errors, passed on", `var t = []error{nil}; func F() error { return errors.Join(t...) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"interfaces in tables", `var t = []any{1}`, shares("3", "t", "holds references to what could change"), false},
		{"functions that remember, one of two", `var n, f = both(); func both() (int, []func()) { return 1, nil }`, shares("3", "f", "holds a function that may remember something"), false},
		{"a table of functions that is changed", `var f = map[int]func(){}; func F() { f[1] = F }`, shares("3", "f", "is changed in line 3"), true},
		{"a table of functions, later", `var f = make([]func(), 1); func F() { g := f; g[0] = F }`, shares("3", "f", "is passed on, so that it could change, in line 3"), false},
		{"a named result, deferred", `var t = []int{1}; func get(v int) (x []int) { defer func() { x[0] = v }(); return t }; func F(v int) { _ = get(v) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a named result of a method", `type V struct{ l []int }; func (v V) self() (r V) { defer func() { r.l[0] = 7 }(); return v }; var t = V{[]int{1}}; func F() int { return t.self().l[0] }`, shares("3", "t", "method self is given in line 3"), false},
		{"what is searched for", `var t = []int{1}; func F() { slices.BinarySearchFunc([]int{0}, t, func(_ int, x []int) int { x[0] = 2; return 0 }) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"errors that are joined", `var ErrC = errors.Join(context.Canceled); func F(e error) { ErrC.(interface{ Unwrap() []error }).Unwrap()[0] = e }`, shares("3", "ErrC", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that wraps two", `var ErrC = fmt.Errorf("%w %w", context.Canceled, context.DeadlineExceeded); func F(e error) { ErrC.(interface{ Unwrap() []error }).Unwrap()[0] = e }`, shares("3", "ErrC", "holds a value that could change (an error made by errors.New could not)"), false},
		{"a text as bytes", `var x any = []byte("abc"); func F(v byte) { x.([]byte)[0] = v }`, shares("3", "x", "holds a value that could change (an error made by errors.New could not)"), false},
		{"a text as runes that are an error", `type E []rune; func (e E) Error() string { return "" }; var ErrX = fmt.Errorf("x: %w", E("abc")); func F(v rune) { errors.Unwrap(ErrX).(E)[0] = v }`, shares("3", "ErrX", "holds a value that could change (an error made by errors.New could not)"), false},
		{"a table, by a channel", `var t = []int{1}; func F(c chan []int) { c <- t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a function that changes it", `var t = []int{1}; func F() { set(1, t) }; func set(n int, t []int) { if n > 0 { set(n-1, t) }; t[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a function with many", `var t = []int{1}; func F() { set(nil, t) }; func set(rows ...[]int) { rows[1][0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a generic function", `var t = []int{1}; func F() { set(t) }; func set[T any](t T) { any(t).([]int)[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a generic function of slices", `var t = []int{1}; func F() { set(t) }; func set[T any](t []T) { clear(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a method that changes it", `type V struct{}; func (V) set(t []int) { t[0] = 2 }; var t = []int{1}; func F() { V{}.set(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a method expression", `type V []int; func (v V) set(i int) { v[i] = 2 }; var t = V{1}; func F() { V.set(t, 0) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to an interface's method", `type S interface{ set(t []int) }; var t = []int{1}; func F(s S) { s.set(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a function value", `var t = []int{1}; func F(f func([]int)) { f(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, to a literal", `var t = []int{1}; func F() { func(x []int) { x[0] = 2 }(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a function", `var t = []int{1}; func F() { get()[0] = 2 }; func get() []int { return t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a function, later", `var t = []int{1}; func F() { x := get(); x[0] = 2 }; func get() []int { return t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a function of two", `var t = []int{1}; func F() { x, _ := get(); x[0] = 2 }; func get() ([]int, int) { return t, 1 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a function value", `var t = []int{1}; func F() { f := get; f()[0] = 2 }; func get() []int { return t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a literal", `var t = []int{1}; func F() { func() []int { return t }()[0] = 2 }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, from a method by an interface", `type I interface{ get() []int }; type V struct{}; func (V) get() []int { return t }; var t = []int{1}; func F(i I) { i.get()[0] = 2 }; func G() int { return V{}.get()[0] }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a row, by range", `var t = [][]int{{1}}; func F() { for _, x := range t { y := x; y[0]++ } }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a row, by range over the rest", `var t = [][]int{{1}}; func F() { for _, x := range t[:] { clear(x) } }`, shares("3", "t", "is sliced in line 3"), false},
		{"a row of a map", `var t = map[int][]int{1: {1}}; func F() { if x, ok := t[1]; ok { x[0] = 2 } }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table, by a method of a method", `type V []int; func (v V) at(i int) int { v.set(); return v[i] }; func (v V) set() { v[0] = 1 }; var t = V{1}; func F() { t.at(0) }`, shares("3", "t", "method at is given in line 3"), false},
		{"a table, by a method", `type V []int; func (v V) set() { v[0] = 1 }; var t = V{1}; func F() { t.set() }`, shares("3", "t", "method set is given in line 3"), false},
		{"a value, by a method", `type V int; func (v *V) set() { *v = 1 }; var t V; func F() { t.set() }`, shares("3", "t", "method set can change in line 3"), false},
		{"a struct with a map", `var s = struct{ m map[int]int }{map[int]int{}}; func F() { x := s; x.m[1] = 1 }`, shares("3", "s", "is passed on, so that it could change, in line 3"), false},
		{"a generic method value", `type T[A any] struct{ a A }; func (t *T[A]) set(a A) { t.a = a }; var t T[int]; func F() { f := t.set; f(1) }`, shares("3", "t", "method set can change in line 3"), false},
		{"a table as an error", `type E []int; func (E) Error() string { return "" }; var t = E{1}; func F(v int) { var e error = t; e.(E)[0] = v }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, assigned", `type E []int; func (E) Error() string { return "" }; var t = E{1}; func F(v int) { var e error; e = t; e.(E)[0] = v }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, to a function", `type E map[int]int; func (E) Error() string { return "" }; var t = E{}; func F(v int) { g(t, v) }; func g(e error, v int) { e.(E)[1] = v }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, one of many", `type E []int; func (E) Error() string { return "" }; var t = E{1}; func F(v int) { g(v, t) }; func g(v int, e ...error) { e[0].(E)[0] = v }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, from a function", `type E []int; func (E) Error() string { return "" }; var t = E{1}; func F(v int) { get().(E)[0] = v }; func get() error { return t }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, by range", `type E []int; func (E) Error() string { return "" }; var t = []E{{1}}; func F(v int) { var e error; for _, e = range t { e.(E)[0] = v } }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table as an error, out of a map", `type E []int; func (E) Error() string { return "" }; var t = map[int]E{1: {1}}; func F(v int) { var e error; var ok bool; e, ok = t[1]; _ = ok; e.(E)[0] = v }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"an error that lists the same twice", `var ErrC = fmt.Errorf("%w %[1]w", context.Canceled)`, shares("3", "ErrC", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that lists the same twice, in a table", `var t = []error{fmt.Errorf("%w %#[1]w", context.Canceled)}`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that lists what is no error", `var ErrC = fmt.Errorf("%w %w", context.Canceled, 4)`, shares("3", "ErrC", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error that lists two, with flags", `var t = []error{fmt.Errorf("%d%%: %+3.2w %w", 4, context.Canceled)}`, shares("3", "t", "holds a value that could change (an error made by errors.New could not)"), false},
		{"an error by a format that is not known", `var ErrC = fmt.Errorf(format(), context.Canceled); func format() string { return "%w %[1]w" }`, shares("3", "ErrC", "holds a value that could change (an error made by errors.New could not)"), false},
		{"a method of another package's that changes", `var t = sort.IntSlice{1, 2}; func F() { t.Swap(0, 1) }`, shares("3", "t", "method Swap is given in line 3"), false},
		{"a method of another package's, of a second name", `var t = []int{1, 2}; func F() { var x sort.IntSlice = t; x.Swap(0, 1) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a method of another package's, embedded", `var t = struct{ sort.StringSlice }{[]string{"b", "a"}}; func F() { t.Sort() }`, shares("3", "t", "method Sort is given in line 3"), false},
		{"the zone, by inference", `func set[T any](x, y interface{ Location() *T }) { *x.Location() = *y.Location() }; func F(a, b time.Time) { set(a, b) }`,
			"echo.go:3: a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time", false},
		{"a pointer method that changes", `type Config struct{ n int }; func (c *Config) raise() { c.n++ }; func (c *Config) up() { c.raise() }; var t Config; func F() { t.up() }`, shares("3", "t", "method up can change in line 3"), false},
		{"a pointer method that changes what it holds", `type Config struct{ l []int; a [2]int }; func (c *Config) set() { c.a[0] = 1 }; var t Config; func F() { t.set() }`, shares("3", "t", "method set can change in line 3"), false},
		{"a pointer method that gives itself away", `type Config struct{ n int }; func (c *Config) self() *Config { return c }; var t Config; func F() { t.self().n = 1 }`, shares("3", "t", "method self can change in line 3"), false},
		{"a pointer method that copies itself", `type Config struct{ l []int }; func (c *Config) copy() Config { return *c }; var t Config; func F() { t.copy().l[0] = 1 }`, shares("3", "t", "method copy can change in line 3"), false},
		{"a pointer method that takes an address", `type Config struct{ n int }; func (c *Config) at() *int { return &c.n }; var t Config; func F() { *t.at() = 1 }`, shares("3", "t", "method at can change in line 3"), false},
		{"a list of a type with methods, in a text", `type V []int; func (v V) String() string { v[0]++; return "" }; var t = V{1}; func F() { fmt.Sprint(t) }`, shares("3", "t", "is passed on, so that it could change, in line 3"), false},
		{"a table that init shares", `var t [][]int; func init() { x := []int{1}; t = append(t, x) }`, shares("3", "t", "is changed in line 3"), false},
		{"a row that init shares", `var t = make([][]int, 1); func init() { x := []int{1}; t[0] = x; go func() { x[0] = 2 }() }`, shares("3", "t", "is changed in line 3"), false},
		{"an error that init sets", `var ErrX error; func init() { ErrX = &E{} }; type E struct{ n int }; func (*E) Error() string { return "" }`, shares("3", "ErrX", "is changed in line 3"), false},
		{"a function that init sets", `var next func() int; func init() { n := 0; next = func() int { n++; return n } }`, shares("3", "next", "is changed in line 3"), false},
		{"a number that init's goroutine changes", `var n int; func init() { go func() { for { n++ } }() }`, shares("3", "n", "is changed in line 3"), true},
		{"what init's iterator runs", `var n int; func seq(yield func(int) bool) { go yield(1) }; func init() { for i := range seq { n += i } }`, shares("3", "n", "is changed in line 3"), false},
		{"what init's iterator sets", `var n int; func seq(yield func(int) bool) { go yield(1) }; func init() { for n = range seq {} }`, shares("3", "n", "is changed in line 3"), false},
		{"what init's iterator sets, in a list", `var n = []int{1}; func seq() func(func(int, int) bool) { return nil }; func init() { for _, n[0] = range seq() {} }`, shares("3", "n", "is changed in line 3"), false},
		{"another package's variable, in init", `func init() { binary.BigEndian = binary.BigEndian }`, "echo.go:3: binary.BigEndian is a variable of another package, which all nodes share: a submission may not change it", true},
		{"a method init", `type T struct{}; var n int; func (T) init() { n++ }`, shares("3", "n", "is changed in line 3"), true},
		{"random numbers", `var r = rand.New(rand.NewPCG(1, 2))`, shares("3", "r", "is a rand.Rand"), false},
		{"delete", `var m map[int]int; func F() { delete(m, 1) }`, shares("3", "m", "is changed in line 3"), true},
		{"clear", `var m map[int]int; func F() { clear(m) }`, shares("3", "m", "is changed in line 3"), true},

		// What others keep.
		{"another package's error", `func F() { context.Canceled = nil }`, "echo.go:3: context.Canceled is a variable of another package, which all nodes share: a submission may not change it", true},
		{"its address", `func F() *error { return &context.Canceled }`, "echo.go:3: context.Canceled is a variable of another package, which all nodes share: a submission may not change it", true},
		{"the network's errors", `func init() { labrpc.ErrDown, labrpc.ErrNoReply = nil, nil }`, "echo.go:3: labrpc.ErrDown is a variable of another package, which all nodes share: a submission may not change it", true},
		{"the zone that all times carry", `func F() { *time.UTC = *time.FixedZone("message", 0) }`,
			"echo.go:3: a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time", false},
		{"the zone, by a generic function", `func F() { set(time.UTC, *time.Local) }; func set[T any](p *T, v T) { *p = v }`,
			"echo.go:3: a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time", false},
		{"the zone, out of a time", `func F(t time.Time) string { return t.Location().String() }`,
			"echo.go:3: a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time", false},
		{"the zone, set", `func F() { time.Local = time.UTC }`,
			"echo.go:3: a *time.Location is memory that all nodes share: a submission may only pass time.UTC or time.Local to a function of package time", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, check(t, tc.code))
			light := globals.Check(map[string][]byte{"echo.go": program(tc.code)})
			if tc.light {
				require.Equal(t, tc.want, light)
			} else if tc.want == "" {
				require.Empty(t, light)
			}
		})
	}
}

// Code that does not compile is read as far as it goes.
func TestCheckReadsWhatIsWrong(t *testing.T) {
	for _, code := range []string{
		`var t = []struct{ a error }{{b: nil}, {nil, nil}, {3: nil}}; var u = map[error]int{1, 2}; var v = []error{x, {}, 1: 2}`,
		`var t = struct{ a, b error }{a: nil, undefined}; type T struct{ T; e []T }; var w T`,
		`type T []T; var t = []func(){ T(nil) }`,
		`var t = undefinedThing; func F() { _ = t[1:] }`,
		`var t = []int{1}; func F() { _ = string(t) }`,
		`var t = []int{1}; func F() { x := t; g(x); a, b, c := t, x; h(t); (f())(t) }; func g() {}`,
	} {
		require.NotPanics(t, func() { packages(t).Check(Source{Lab: echoLab, Files: map[string][]byte{"echo.go": program(code)}}) }, code)
	}
}

// A table is followed over many names, but not without end.
func TestCheckFollowsSoFar(t *testing.T) {
	code := func(names int) string {
		var b strings.Builder
		b.WriteString("var t = []int{1}; func F() int { x0 := t")
		for i := range names - 1 {
			fmt.Fprintf(&b, "; x%d := x%d", i+1, i)
		}
		fmt.Fprintf(&b, "; return x%d[0] }", names-1)
		return b.String()
	}
	require.Empty(t, check(t, code(maxHops)))
	require.NotEmpty(t, check(t, code(maxHops+1)))
}

// program makes a file of some code: imports are what the code mentions, all on the first lines.
func program(code string) []byte {
	var imports []string
	for _, path := range allowed {
		name := path[strings.LastIndexByte(path, '/')+1:]
		if path == "math/rand" {
			continue
		}
		if name == "v2" {
			name = "rand"
		}
		if strings.Contains(code, name+".") {
			imports = append(imports, `"`+path+`"`)
		}
	}
	return []byte("package echo\nimport ( " + strings.Join(imports, "; ") + " )\n" + code + "\n")
}

// check passes code through the whole gate.
func check(t *testing.T, code string) string {
	files := map[string][]byte{"echo.go": program(code)}
	if refused := Look(echoLab, files); refused != "" {
		return refused
	}
	v := packages(t).Check(Source{Lab: echoLab, Files: files})
	if v.Refused == "" {
		require.Empty(t, v.Doubt)
	}
	return v.Refused
}

const hiddenRule = ": a submission may not use packages reflect and unsafe, however it gets at their types"

// Every row is a way to a type that cannot be named. encoding/json stands for a package of the list that a new Go has
// spoilt: the first layer is taken away.
func TestCheckHidden(t *testing.T) {
	packages := exports(t, "encoding/json")
	before := allowed
	allowed = append(allowed, "encoding/json")
	defer func() { allowed = before }()
	const pun = `func F() any { _, err := json.Marshal(func() {}); e, _ := errors.AsType[*json.UnsupportedValueError](err); `
	for _, tc := range []struct{ name, code, want string }{
		{"the type itself", `var e *json.UnsupportedValueError`, "echo.go:3: this has to do with *encoding/json.UnsupportedValueError"},
		{"a field", pun + `return e.Value }`, "echo.go:3: this has to do with func[E error](err error) (E, bool)"},
		{"by inference", `func F(err error) { var e json.UnsupportedTypeError; g(e.Type) }; func g[T any](t T) {}`, "echo.go:3: this has to do with encoding/json.UnsupportedTypeError"},
		{"embedded", `type E struct{ json.UnsupportedTypeError }`, "echo.go:3: this has to do with"},
		{"a pointer of the atomics", `func F() { get(atomic.LoadPointer) }; func get[T any](f func(*T) T) (t T) { return f(&t) }`, "echo.go:3: this has to do with"},
		{"a method value", `var f = (*json.UnsupportedTypeError).Error`, "echo.go:3: this has to do with"},
		{"in a channel", `func F(c chan json.UnsupportedTypeError) {}`, "echo.go:3: this has to do with"},
		{"in a map", `type M map[string][]json.UnsupportedTypeError`, "echo.go:3: this has to do with"},
		{"in a type switch", `func F(err error) { switch e := err.(type) { case *json.UnsupportedTypeError: _ = e } }`, "echo.go:3: this has to do with"},
		{"in a constraint", `func F[T interface{ json.UnsupportedTypeError }](t T) {}`, "echo.go:3: this has to do with"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string][]byte{"echo.go": program(tc.code)}
			require.Empty(t, Look(echoLab, files))
			v := packages.Check(Source{Lab: echoLab, Files: files})
			require.Empty(t, v.Doubt)
			require.Contains(t, v.Refused, strings.SplitN(tc.want, "func[E", 2)[0])
			require.Contains(t, v.Refused, hiddenRule)
		})
	}
}

func TestCheckNames(t *testing.T) {
	testFile := []byte("package echo_test\n\nimport . \"distlabs/labs/01-echo\"\n\nfunc TestEcho(t *testing.T) { Echo() }\n\ntype Cluster struct{}\n\nfunc helper() {}\n")
	inside := []byte("package echo\n\nfunc TestEcho(t *testing.T) {}\n\nfunc helper() {}\n")
	stub := []byte("package echo\n\ntype Order int\n\nconst (\n\tBefore Order = iota\n\tAfter\n)\n\nconst Window = 64\n\nconst Size = 64\n")
	for _, tc := range []struct {
		name, code string
		tests      []byte
		want       string
	}{
		{"names of its own", `func Echo() {}; func helper() {}; type T struct{ len int }; func (T) append() {}`, testFile, ""},
		{"append", `func append(a ...int) {}`, testFile, "echo.go:3: the name append is Go's own: a submission may not give it another meaning for the whole package"},
		{"true", `const true = 1 > 2`, testFile, "echo.go:3: the name true is Go's own: a submission may not give it another meaning for the whole package"},
		{"error", `type error interface{ Error() string }`, testFile, "echo.go:3: the name error is Go's own: a submission may not give it another meaning for the whole package"},
		{"a name of the tests, which import all", `type Cluster struct{}`, testFile, "echo.go:3: the tests declare the name Cluster: give yours another one"},
		{"a test of its own", `func TestEcho() {}`, testFile, "echo.go:3: the tests declare the name TestEcho: give yours another one"},
		{"a helper of tests in the same package", `func helper() {}`, inside, "echo.go:3: the tests declare the name helper: give yours another one"},
		{"equal constants", `type Order int; const ( Before Order = 0; After Order = 0 )`, testFile, "echo.go:3: the constants Before and After are equal: they must stay different"},
		{"different constants", `type Order int; const ( Before Order = 2; After Order = 1; Sooner = Before ); const Window, Size = 3, 3`, testFile, ""},
		{"a network of its own", `func F() { labrpc.New(labrpc.Options{Seed: 1, Nodes: 3}) }`, testFile,
			"echo.go:3: labrpc.New is for tests: a submission may use of labrpc only what a node has (Node, NodeID, Clock, Disk, Call, Handle, Send, Receive, Marshal, Unmarshal, ErrNoReply, ErrDown, ErrNoNode, ErrNoMethod, ErrType)"},
		{"what a node has", `func F(n *labrpc.Node) { labrpc.Send(n, n.Peers()[0], "m", 1); n.Disk().Names(); n.Note("a", 1) }`, testFile, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string][]byte{"echo.go": program(tc.code)}
			v := packages(t).Check(Source{Lab: echoLab, Files: files, Tests: map[string][]byte{"echo_test.go": tc.tests}, Stubs: map[string][]byte{"echo.go": stub}})
			require.Empty(t, v.Doubt)
			require.Equal(t, tc.want, v.Refused)
		})
	}
}

// What the compiler may understand in another way than the gate is in doubt.
func TestCheckDoubts(t *testing.T) {
	for code, want := range map[string]string{
		"func F() int { return \"a\" }": "echo.go:3:23: cannot use \"a\" (untyped string constant) as int value in return statement",
		"func F() {":                    "echo.go:3:12: expected '}', found 'EOF'",
	} {
		v := packages(t).Check(Source{Lab: echoLab, Files: map[string][]byte{"echo.go": program(code)}})
		require.Equal(t, Verdict{Doubt: want}, v)
	}
	// A reason that types give is told although other errors are there.
	v := packages(t).Check(Source{Lab: echoLab, Files: map[string][]byte{"echo.go": program("var mu sync.Mutex; func F() int { return \"a\" }")}})
	require.Equal(t, shares("3", "mu", "is a sync.Mutex"), v.Refused)
}

// The tests of every lab are a package of their own, which is initialised after the harness has taken the key of the results
// channel: see anchor_test.go in the labs.
func TestLabTestsAreExternal(t *testing.T) {
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, lab := range c.Labs {
		src := source(t, c, lab, nil, nil)
		for name, text := range src.Tests {
			if name == "anchor_test.go" {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly)
			require.NoError(t, err)
			require.Equal(t, lab.Package+"_test", file.Name.Name, "%s/%s", lab.Dir(), name)
		}
		require.Contains(t, string(src.Tests["anchor_test.go"]), `import _ "distlabs/internal/harness/labtest"`, lab.Dir())
	}
}

// The largest reference is read in much less than the 0.3 seconds of processor time that a submission may cost.
func BenchmarkCheck(b *testing.B) {
	c, err := course.Load(root)
	require.NoError(b, err)
	lab := c.Labs[4]
	files := map[string][]byte{}
	for _, name := range lab.Files() {
		if files[name], err = os.ReadFile(filepath.Join(root, lab.SolutionDir(), name)); err != nil {
			b.Fatal(err)
		}
	}
	src := source(b, c, lab, files, map[string]*types.Package{})
	for b.Loop() {
		if refused := Look(lab, files); refused != "" {
			b.Fatal(refused)
		}
		if v := packages(b).Check(src); v.Types == nil {
			b.Fatal(v.Refused, v.Doubt)
		}
	}
}
