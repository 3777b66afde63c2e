package histfile

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func check(t *testing.T, model, text string) (Verdict, error) {
	t.Helper()
	m, err := ModelNamed(model)
	require.NoError(t, err)
	return Check(strings.NewReader(text), m, Options{})
}

// The same history in each form in which a file may have it.
func TestForms(t *testing.T) {
	call := []string{`{:process 0, :type :invoke, :f :write, :value 1}`, `{:process 0, :type :ok, :f :write, :value 1}`,
		`{:process 1, :type :invoke, :f :read, :value nil}`, `{:process 1, :type :ok, :f :read, :value %s}`}
	json := []string{`{"process": 0, "type": "invoke", "f": "write", "value": 1}`, `{"process": 0, "type": "ok", "f": "write", "value": 1}`,
		`{"process": 1, "type": "invoke", "f": "read", "value": null}`, `{"process": 1, "type": "ok", "f": "read", "value": %s}`}
	log := []string{"INFO  jepsen.util - 0\t:invoke\t:write\t1", "INFO  jepsen.util - 0\t:ok\t:write\t1", "INFO  jepsen.util - 1\t:invoke\t:read\tnil", "INFO  jepsen.util - 1\t:ok\t:read\t%s"}
	bare := []string{"0\t:invoke\t:write\t1", "0\t:ok\t:write\t1", "1\t:invoke\t:read\tnil", "1\t:ok\t:read\t%s"}
	for name, form := range map[string]string{
		"EDN, a line each":       strings.Join(call, "\n"),
		"EDN, a vector":          "[" + strings.Join(call, "\n") + "]\n",
		"EDN, a list":            "; a comment {\n(" + strings.Join(call, ",\n ; another ]\n") + ")",
		"EDN, records":           "#jepsen.history.Op" + strings.Join(call, "\n#jepsen.history.Op"),
		"EDN, with a nemesis":    "{:process :nemesis, :type :info, :f :start, :value \"cut } off\"}\n" + strings.Join(call, "\n"),
		"EDN, a character":       strings.ReplaceAll(strings.Join(call, "\n"), ":f :write", `:error \}, :f :write`),
		"JSON, a line each":      strings.Join(json, "\n"),
		"JSON, an array":         "[" + strings.Join(json, ",\n") + "]",
		"a log":                  strings.Join(log, "\n") + "\nINFO  jepsen.core - done\n",
		"a history in a text":    strings.Join(bare, "\n"),
		"JSON, on a single line": "[" + strings.Join(json, ",") + "]",
	} {
		t.Run(name, func(t *testing.T) {
			v, err := check(t, "cas-register", fmt.Sprintf(form, "1"))
			require.NoError(t, err)
			require.Equal(t, Verdict{Answer: Valid, Ops: 2}, v)
			v, err = check(t, "cas-register", fmt.Sprintf(form, "2"))
			require.NoError(t, err)
			require.Equal(t, Invalid, v.Answer)
			require.Contains(t, v.Lines[0], "the first result that nothing explains: process 1: read 2 (line")
		})
	}
}

// entries writes operations as a file has them: "0 invoke write 1; 0 ok write 1".
func entries(short string) string {
	var b strings.Builder
	for _, entry := range strings.Split(short, ";") {
		f := strings.SplitN(strings.TrimSpace(entry), " ", 4)
		fmt.Fprintf(&b, "{:process %s, :type :%s, :f :%s, :value %s}\n", f[0], f[1], f[2], f[3])
	}
	return b.String()
}

// Each model accepts what it must and refuses what it must.
func TestModels(t *testing.T) {
	for _, row := range []struct {
		model, text string
		want        Answer
		reason      string
	}{
		{"cas-register", "0 invoke write 1; 0 ok write 1; 1 invoke cas [1 2]; 1 ok cas [1 2]; 2 invoke read nil; 2 ok read 2", Valid, ""},
		{"cas-register", "0 invoke write 1; 0 ok write 1; 1 invoke cas [3 2]; 1 ok cas [3 2]", Invalid, "no order"},
		{"cas-register", "0 invoke write 1; 0 ok write 1; 1 invoke cas [3 2]; 1 fail cas [3 2]; 1 invoke read nil; 1 ok read 1", Valid, ""},
		{"cas-register", "0 invoke write 1; 0 info write 1; 1 invoke read nil; 1 ok read nil; 1 invoke read nil; 1 ok read 1", Valid, ""},
		{"cas-register", "0 invoke write 1; 0 info write 1; 1 invoke read nil; 1 ok read 1; 1 invoke read nil; 1 ok read nil", Invalid, "no order"},
		{"cas-register", "0 invoke write [7 1]; 0 ok write [7 1]; 1 invoke write [8 2]; 1 ok write [8 2]; 2 invoke read [7 nil]; 2 ok read [7 1]", Valid, ""},
		{"cas-register", "0 invoke write [7 1]; 0 ok write [7 1]; 1 invoke write [8 2]; 1 ok write [8 2]; 2 invoke read [7 nil]; 2 ok read [7 2]", Invalid, "on key 7"},
		{"multi-register", "0 invoke txn [[:w :x 1] [:w :y 1]]; 0 ok txn [[:w :x 1] [:w :y 1]]; 1 invoke txn [[:r :x nil] [:r :y nil]]; 1 ok txn [[:r :x 1] [:r :y 1]]", Valid, ""},
		{"multi-register", "0 invoke txn [[:w :x 1] [:w :y 1]]; 0 ok txn [[:w :x 1] [:w :y 1]]; 1 invoke txn [[:r :x nil] [:r :y nil]]; 1 ok txn [[:r :x 1] [:r :y 2]]", Invalid, "no order"},
		{"kv", `0 invoke append "a"; 0 ok append "a"; 0 invoke append "b"; 0 ok append "b"; 1 invoke get nil; 1 ok get "ab"`, Valid, ""},
		{"kv", `0 invoke append "a"; 0 ok append "a"; 0 invoke append "b"; 0 ok append "b"; 1 invoke get nil; 1 ok get "ba"`, Invalid, "no order"},
		{"mutex", "0 invoke acquire nil; 0 ok acquire nil; 1 invoke acquire nil; 0 invoke release nil; 0 ok release nil; 1 ok acquire nil", Valid, ""},
		{"mutex", "0 invoke acquire nil; 0 ok acquire nil; 1 invoke acquire nil; 1 ok acquire nil", Invalid, "no order"},
		{"set", "0 invoke add 1; 0 ok add 1; 0 invoke add 2; 0 info add 2; 1 invoke read nil; 1 ok read #{1 2}", Valid, ""},
		{"set", "0 invoke add 1; 0 ok add 1; 1 invoke read nil; 1 ok read #{}", Invalid, "lost: the last read does not have 1"},
		{"set", "0 invoke add 1; 0 ok add 1; 1 invoke read nil; 1 ok read [1 3]", Invalid, "unexpected: the last read has 3"},
		{"set", "0 invoke add 1; 0 ok add 1", Undecided, "nothing was checked"},
		{"set-full", "0 invoke add 1; 1 invoke read nil; 1 ok read #{1}; 0 ok add 1; 1 invoke read nil; 1 ok read #{1}", Valid, ""},
		{"set-full", "0 invoke add 1; 1 invoke read nil; 1 ok read #{1}; 1 invoke read nil; 1 ok read #{}; 0 ok add 1", Invalid, "lost: a read does not have 1"},
		{"set-full", "1 invoke read nil; 1 ok read #{1}; 0 invoke add 1; 0 ok add 1", Invalid, "unexpected"},
		{"counter", "0 invoke add 2; 1 invoke read nil; 1 ok read 2; 0 ok add 2; 1 invoke read nil; 1 ok read 2", Valid, ""},
		{"counter", "0 invoke add 2; 0 ok add 2; 1 invoke read nil; 1 ok read 1", Invalid, "a read returned 1, and it can only be from 2 to 2"},
		{"bank", "0 invoke read nil; 0 ok read {0 5, 1 5}; 0 invoke transfer {:from 0, :to 1, :amount 1}; 0 ok transfer {:from 0, :to 1, :amount 1}; 0 invoke read nil; 0 ok read {0 4, 1 6}", Valid, ""},
		{"bank", "0 invoke read nil; 0 ok read {0 5, 1 5}; 0 invoke read nil; 0 ok read {0 4, 1 5}", Invalid, "the accounts have 9 together, want 10"},
		{"bank", "0 invoke read nil; 0 ok read {0 -1, 1 5}", Invalid, "account 0 has -1"},
		{"sequential", "0 invoke write 1; 0 ok write 1; 1 invoke read nil; 1 ok read nil", Valid, ""},
		{"sequential", "0 invoke write 1; 0 ok write 1; 0 invoke read nil; 0 ok read nil", Invalid, "no one order"},
		{"causal", "0 invoke write 1; 0 ok write 1; 0 invoke write 2; 0 ok write 2; 1 invoke read nil; 1 ok read 2; 1 invoke read nil; 1 ok read 1", Invalid, ""},
		{"read-your-writes", "0 invoke write 1; 0 ok write 1; 0 invoke read nil; 0 ok read nil", Invalid, ""},
		{"monotonic-reads", "0 invoke write 1; 0 ok write 1; 1 invoke read nil; 1 ok read 1; 1 invoke read nil; 1 ok read nil", Invalid, ""},
		{"sequential", "0 invoke write 1; 0 ok write 1; 0 invoke write 1; 0 ok write 1", Undecided, "twice"},
		{"list-append", "0 invoke txn [[:append :x 1]]; 0 ok txn [[:append :x 1]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x [1]]]", Valid, "The history is at strict serializable"},
		{"list-append", "0 invoke txn [[:append :x 1]]; 0 ok txn [[:append :x 1]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x []]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x [1]]]", Invalid, "G-single-realtime"},
		{"serializable", "0 invoke txn [[:append :x 1]]; 0 ok txn [[:append :x 1]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x []]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x [1]]]", Valid, "serializable, and at no stronger level"},
		{"list-append", "0 invoke txn [[:append :x 1]]; 0 fail txn [[:append :x 1]]; 1 invoke txn [[:r :x nil]]; 1 ok txn [[:r :x [1]]]", Invalid, "G1a"},
		{"snapshot-isolation", "0 invoke txn [[:r :x nil] [:w :y 1]]; 1 invoke txn [[:r :y nil] [:w :x 1]]; 0 ok txn [[:r :x nil] [:w :y 1]]; 1 ok txn [[:r :y nil] [:w :x 1]]", Valid, "snapshot isolation"},
		{"rw-register", "0 invoke txn [[:r :x nil] [:w :y 1]]; 1 invoke txn [[:r :y nil] [:w :x 1]]; 0 ok txn [[:r :x nil] [:w :y 1]]; 1 ok txn [[:r :y nil] [:w :x 1]]", Invalid, "G2-item"},
	} {
		t.Run(row.model+" "+row.text, func(t *testing.T) {
			v, err := check(t, row.model, entries(row.text))
			require.NoError(t, err)
			require.Equal(t, row.want, v.Answer, "%+v", v)
			require.Contains(t, v.Reason, row.reason)
		})
	}
}

// What is wrong with a file is one sentence with the line.
func TestMalformed(t *testing.T) {
	for _, row := range []struct{ text, want string }{
		{"", "the file has no operations"},
		{"hello", `line 1: an operation is a map and begins with {, not with 'h'`},
		{"{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read", "line 2: the file ends within the operation that begins here"},
		{"[{:process 0, :type :invoke, :f :read}\n", "line 2: the file ends within the list of operations: ']' is missing"},
		{"{:process 0, :type :invoke, :f :read]", "line 1: ']' closes nothing"},
		{"{:process 0, :type :invoke, :f}", "line 1: not EDN: "},
		{"{:process 0, :type :started, :f :read}", `line 1: the operation's type is "started", want invoke, ok, fail or info`},
		{"\n{:process 0, :type :ok, :f :read}", "line 2: process 0 completes (ok read) what it did not call"},
		{"{:process 0, :type :invoke, :f :read}\n{:process 0, :type :invoke, :f :read}", "line 2: process 0 calls read while its call of line 1 is not complete"},
		{"{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :write}", "line 2: process 0 completes write, but it called read on line 1"},
		{"{:process 0, :type :invoke, :f :leap}\n{:process 0, :type :ok, :f :leap}", `line 2: the model cas-register has no operation "leap"; it has read, write, cas`},
		{`{"process": 0, "type": "invoke", "f": "read",}`, "line 1: not JSON: "},
		{"{:process 0, :type :invoke, :f :cas, :value 3}\n{:process 0, :type :ok, :f :cas, :value 3}", "line 2: cas 3: want [old new]"},
	} {
		_, err := check(t, "cas-register", row.text)
		require.ErrorContains(t, err, row.want)
	}
	_, err := ModelNamed("regster")
	require.ErrorContains(t, err, `there is no model "regster"; the models are register, cas-register, `)
}

// endless yields a history of so many adds.
type endless struct {
	left int
	buf  []byte
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.buf) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.buf = []byte("{:process 0, :type :invoke, :f :add, :value 1}\n{:process 0, :type :ok, :f :add, :value 1}\n")
	}
	n := copy(p, e.buf)
	e.buf = e.buf[n:]
	return n, nil
}

// A counter's history is not kept: what is allocated for one that is ten times as long is ten times as much, and is not held.
func TestStreams(t *testing.T) {
	m, err := ModelNamed("counter")
	require.NoError(t, err)
	v, err := Check(&endless{left: 50_000}, m, Options{})
	require.NoError(t, err)
	require.Equal(t, Verdict{Answer: Valid, Ops: 50_000}, v)
}
