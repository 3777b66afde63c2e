package check_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/check/causal"
	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/check/session"

	"github.com/stretchr/testify/require"
)

// parse reads a history, a client a line: "x=1" is a write, "x:1" a read, "x:"
// one that found nothing, "x=1?" a write without an answer; "." lets a second
// go by. Each operation takes a second.
func parse(text string) []history.Op {
	var ops []history.Op
	for client, line := range strings.Split(strings.TrimSpace(text), "\n") {
		for at, word := range strings.Fields(line) {
			if word == "." {
				continue
			}
			op := history.Op{Client: client + 1, Invoke: time.Duration(at) * time.Second, Return: time.Duration(at)*time.Second + 900*time.Millisecond}
			word, op.Indeterminate = strings.CutSuffix(word, "?")
			if key, value, write := strings.Cut(word, "="); write {
				op.Key, op.Value, op.Kind = key, value, history.Write
			} else {
				op.Key, op.Value, _ = strings.Cut(word, ":")
			}
			ops = append(ops, op)
		}
	}
	return ops
}

// Verdicts, from the strongest model to the weakest.
type verdicts struct{ linear, sequential, convergent, causal, session bool }

var (
	none       = verdicts{}
	onlyCausal = verdicts{causal: true, session: true}
	anyCausal  = verdicts{causal: true, convergent: true, session: true}
	inSequence = verdicts{sequential: true, causal: true, convergent: true, session: true}
	all        = verdicts{linear: true, sequential: true, causal: true, convergent: true, session: true}
)

func judge(t require.TestingT, ops []history.Op) verdicts {
	ok := func(v *history.Violation, err error) bool {
		require.NoError(t, err)
		return v == nil
	}
	return verdicts{
		linear:     isLinear(t, ops),
		sequential: ok(sequential.Check(ops, sequential.Options{})),
		convergent: ok(causal.Check(ops, causal.Options{Convergent: true})),
		causal:     ok(causal.Check(ops, causal.Options{})),
		session:    ok(session.Check(ops, session.Options{})),
	}
}

// isLinear asks Porcupine.
func isLinear(t require.TestingT, ops []history.Op) bool {
	type access struct {
		kind  history.Kind
		value string
	}
	register := linear.Model[string, access, string]{Step: func(state string, in access, out *string) (string, bool) {
		if in.kind == history.Write {
			return in.value, true
		}
		return state, out == nil || *out == state
	}}
	var h []linear.Op[access, string]
	for _, op := range ops {
		h = append(h, linear.Op[access, string]{
			Client: op.Client, Key: op.Key, In: access{op.Kind, op.Value}, Out: op.Value,
			Call: op.Invoke, Return: op.Return, Pending: op.Indeterminate,
		})
	}
	err := linear.Check(register, h, linear.Options{})
	require.NotErrorIs(t, err, linear.ErrUndecided)
	return err == nil
}

// The histories by which the literature tells the models apart.
var classics = []struct {
	name string
	text string
	want verdicts
}{
	{"one after another", "x=1\n. x:1", all},
	{"a value that nobody wrote", "x:7", none},
	{"sequential, not linearizable: the read comes too late in real time (Attiya and Welch 1994)", "x=1\n. x:", inSequence},
	{"sequential, not linearizable: two writes swapped (Herlihy and Wing 1990, for registers)", "x=1\n. x=2\n. . x:2 x:1", inSequence},
	{"store buffers: Dekker's algorithm lets both in (Lamport 1979)", "x=1 y:\ny=1 x:", anyCausal},
	{"store buffers: one is let in", "x=1 y:\ny=1 x:1", inSequence},
	{"store buffers, one at a time", "x=1 y:\n. . y=1 x:1", all},
	{"message passing: the flag without the message", "x=1 y=1\n. . y:1 x:", none},
	{"message passing", "x=1 y=1\n. . y:1 x:1", all},
	{"load buffering: both from the future", "x:1 y=1\ny:1 x=1", none},
	{"IRIW: two readers see independent writes in different orders (Boehm and Adve 2008)", "x=1\ny=1\n. x:1 y:\n. y:1 x:", anyCausal},
	{"IRIW, in one order", "x=1\ny=1\n. x:1 y:\n. . . y:1 x:1", inSequence},
	{"WRC: a cause is lost on the way (Boehm and Adve 2008)", "x=1\n. x:1 y=1\n. . . y:1 x:", none},
	{"WRC: the cause is seen", "x=1\n. x:1 y=1\n. . . y:1 x:1", all},
	{"causal memory: readers disagree on concurrent writes (Ahamad et al. 1995)", "x=1\nx=2\n. x:1 x:2\n. x:2 x:1", onlyCausal},
	{"readers disagree on writes of which one is the cause of the other (Ahamad et al. 1995)", "x=1\n. x:1 x=2\n. . . x:1 x:2\n. . . x:2 x:1", none},
	{"causal convergence, not causal memory: a value returns (Bouajjani et al. 2017, figure 3)", "z=1 x=1 y=1\nx=2 z: y:1 x:2", verdicts{convergent: true, session: true}},
	{"coherence: a client sees its own two writes backwards", "x=1 x=2\n. . x:2 x:1", none},
	{"two clients, each its own write last", "x=1 x:1\nx=2 x:2", inSequence},
	{"two clients, each the other's write last", "x=1 x:2\nx=2 x:1", onlyCausal},
	{"Terry: read your writes", "x=1 x:", none},
	{"Terry: monotonic reads", "x=1\n. x:1 x:", none},
	{"Terry: writes follow reads", "x=1\n. x:1 y=1\n. . . y:1 x:", none},
	{"Terry: monotonic writes", "x=1 x=2\n. . x:2 x:1", none},
	{"without an answer, and never seen", "x=1?\n. x:", all},
	{"without an answer, and happened late", "x=1? x:\n. . x:1", all},
	{"without an answer, happened and undone", "x=1?\n. x:1 x:", none},
	{"without an answer, still after what its client did before", "y=1 x=1?\n. . x:1 y:", none},
	{"without an answer, not before what its client did after", "x=1? y=1\n. . y:1 x: x:1", all},
	{"a read without an answer tells nothing", "x=1\n. x:1 x:?", all},
}

func TestClassics(t *testing.T) {
	for _, c := range classics {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, judge(t, parse(c.text))) })
	}
}

// The guarantees one at a time: each of Terry's four anomalies is named, and the
// other guarantees do not see it.
func TestTerrysFour(t *testing.T) {
	for _, c := range []struct {
		name   string
		text   string
		broken session.Guarantees // by itself; for the last two, with monotonic reads as witness
		says   string
	}{
		{"own write missing", "x=1 x:", session.ReadYourWrites,
			"client 1 found nothing in x at 1.900s after its own write x=1 had finished at 0.900s"},
		{"own write older than what is read", "x=1 x=2 x:1", session.ReadYourWrites | session.MonotonicWrites,
			"client 1 read x=1 at 2.900s after its own write x=2 had finished at 1.900s"},
		{"read goes back", "x=1\n. x:1 x:", session.MonotonicReads,
			"client 2 found nothing in x at 2.900s after it had read x=1 at 1.900s, which is newer"},
		{"there and back", "x=1\nx=2\n. x:1 x:2 x:1", session.MonotonicReads,
			"client 3 read x=1 at 3.900s after it had read x=2 at 2.900s, which is newer"},
		{"the answer without the question", "x=1\n. x:1 y=1\n. . . y:1 x:", session.MonotonicReads | session.WritesFollowReads,
			"client 3 found nothing in x at 4.900s after it had read y=1 at 3.900s, which client 2 wrote after reading x=1"},
		{"the second without the first", "x=1 y=1\n. . y:1 x:", session.MonotonicReads | session.MonotonicWrites,
			"client 2 found nothing in x at 3.900s after it had read y=1 at 2.900s, which client 1 wrote after x=1"},
		{"one key, backwards", "x=1 x=2\n. . x:2 x:1", session.MonotonicReads | session.MonotonicWrites,
			"client 2 read x=1 at 3.900s after it had read x=2 at 2.900s, which is newer"},
		{"from the future", "x:1 y=1\ny:1 x=1", session.WritesFollowReads,
			"no order of the writes has writes follow reads: client 1 read x=1 at 0.900s, then wrote y=1 at 1.900s; client 2 read y=1 at 0.900s, then wrote x=1 at 1.900s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := session.Check(parse(c.text), session.Options{})
			require.NoError(t, err)
			require.NotNil(t, v)
			require.Equal(t, c.broken.String(), v.Model)
			require.Equal(t, c.says, v.Sentence)
			for g := session.Guarantees(1); g <= session.All; g++ {
				v, err := session.Check(parse(c.text), session.Options{Guarantees: g})
				require.NoError(t, err)
				require.Equal(t, g&c.broken == c.broken, v != nil, "%v: %v", g, v)
			}
			for check, g := range map[*func([]history.Op) (*history.Violation, error)]session.Guarantees{
				&readYourWrites: session.ReadYourWrites, &monotonicReads: session.MonotonicReads,
				&writesFollowReads: session.WritesFollowReads | session.MonotonicReads, &monotonicWrites: session.MonotonicWrites | session.MonotonicReads,
			} {
				v, err := (*check)(parse(c.text))
				require.NoError(t, err)
				// What breaks monotonic reads alone bears no witness against the others.
				want := g&c.broken == c.broken && (g.String() == c.broken.String() || c.broken != session.MonotonicReads)
				require.Equal(t, want, v != nil, "%v: %v", g, v)
			}
		})
	}
}

var (
	readYourWrites    = session.CheckReadYourWrites
	monotonicReads    = session.CheckMonotonicReads
	writesFollowReads = session.CheckWritesFollowReads
	monotonicWrites   = session.CheckMonotonicWrites
)

// What the order of the writes is said to be decides whether a read is stale.
func TestOrderOfTheWrites(t *testing.T) {
	stale := parse("x=1\n. x=2 x:1")
	for _, c := range []struct {
		name string
		opts session.Options
		want bool
	}{
		{"nobody knows that x=2 is newer", session.Options{}, true},
		{"the writes are linearizable", session.Options{LinearWrites: true}, false},
	} {
		v, err := session.Check(stale, c.opts)
		require.NoError(t, err)
		require.Equal(t, c.want, v == nil, c.name)
	}
	disagree := parse("x=1\nx=2\n. x:1 x:2\n. x:2 x:1")
	v, err := session.Check(disagree, session.Options{OneOrder: true})
	require.NoError(t, err)
	require.Equal(t, "monotonic reads", v.Model)

	v, err = sequential.Check(parse("x=1\n. x=2\n. . x:2 x:1"), sequential.Options{LinearWrites: true})
	require.NoError(t, err)
	require.NotNil(t, v)
	v, err = sequential.Check(parse("x=1\n. x:"), sequential.Options{LinearWrites: true})
	require.NoError(t, err)
	require.Nil(t, v, "a read may be behind")
}

// Sentences name the operations, and of a long history only what matters is shown.
func TestExplains(t *testing.T) {
	noise := "a=1 a:1 a=2 a:2 a=3\n. . b=1 b:1 a:2 b=2 b=3\n"
	for _, c := range []struct {
		text    string
		says    string
		minimal int
		check   func([]history.Op) (*history.Violation, error)
	}{
		{noise + "x=1 y:\ny=1 x:", "no one order of all operations has what the clients saw: " +
			"client 3 wrote x=1 at 0.900s, then found nothing in y at 1.900s; client 4 wrote y=1 at 0.900s, then found nothing in x at 1.900s", 4, inSequenceCheck},
		{noise + "x=1\n. x:1 y=1\n. . . y:1 x:", "client 5 found nothing in x at 4.900s, although x=1 comes causally before: " +
			"client 3 wrote x=1 at 0.900s; client 4 read x=1 at 1.900s, then wrote y=1 at 2.900s; client 5 read y=1 at 3.900s, then found nothing in x at 4.900s", 5, causalCheck},
		{noise + "x=1\n. x:1 x=2\n. . . x:2 x:1", "client 5 read x=1 at 4.900s, although x=2 comes causally before and has overwritten it: " +
			"client 3 wrote x=1 at 0.900s; client 4 read x=1 at 1.900s, then wrote x=2 at 2.900s; client 5 read x=2 at 3.900s, then read x=1 at 4.900s", 5, causalCheck},
		{noise + "x=1\nx=2\n. x:1 x:2 x:1", "no order of the writes has what client 5 saw: " +
			"client 3 wrote x=1 at 0.900s; client 4 wrote x=2 at 0.900s; client 5 read x=1 at 1.900s, then read x=2 at 2.900s, then read x=1 at 3.900s", 5, causalCheck},
		{noise + "x=1\nx=2\n. x:1 x:2\n. x:2 x:1", "no one order of the writes has what the clients saw: " +
			"client 3 wrote x=1 at 0.900s; client 4 wrote x=2 at 0.900s; client 5 read x=1 at 1.900s, then read x=2 at 2.900s; client 6 read x=2 at 1.900s, then read x=1 at 2.900s", 6, convergentCheck},
		{noise + "x:1 y=1\ny:1 x=1", "each of these would have to come before itself: " +
			"client 3 read x=1 at 0.900s, then wrote y=1 at 1.900s; client 4 read y=1 at 0.900s, then wrote x=1 at 1.900s", 4, causalCheck},
		{noise + "x:7", "client 3 read x=7 at 0.900s, which nobody wrote", 1, causalCheck},
	} {
		v, err := c.check(parse(c.text))
		require.NoError(t, err)
		require.NotNil(t, v)
		require.Equal(t, c.says, v.Sentence)
		require.Len(t, v.Minimal, c.minimal)
		require.Len(t, v.Lines(), c.minimal)
		again, err := c.check(v.Minimal)
		require.NoError(t, err)
		require.NotNil(t, again, "the minimal part is wrong too")
	}
}

func inSequenceCheck(ops []history.Op) (*history.Violation, error) {
	return sequential.Check(ops, sequential.Options{})
}

func causalCheck(ops []history.Op) (*history.Violation, error) {
	return causal.Check(ops, causal.Options{})
}

func convergentCheck(ops []history.Op) (*history.Violation, error) {
	return causal.Check(ops, causal.Options{Convergent: true})
}

// What is no history, and what is too much, is an error with the reason, never a pass.
func TestErrors(t *testing.T) {
	for name, ops := range map[string][]history.Op{
		"one value is written twice":       parse("x=1\n. x=1"),
		"the empty value is written":       {{Client: 1, Key: "x", Kind: history.Write}},
		"it returns before its call":       {{Client: 1, Key: "x", Invoke: 2, Return: 1}},
		"a client does two things at once": {{Client: 1, Key: "x", Invoke: 1, Return: 3}, {Client: 1, Key: "x", Invoke: 2, Return: 4}},
	} {
		for _, check := range []func([]history.Op) (*history.Violation, error){inSequenceCheck, causalCheck, convergentCheck,
			func(ops []history.Op) (*history.Violation, error) { return session.Check(ops, session.Options{}) },
			readYourWrites, monotonicReads, writesFollowReads, monotonicWrites} {
			_, err := check(ops)
			require.ErrorIs(t, err, history.ErrMalformed)
			require.ErrorContains(t, err, name)
		}
	}
	long := parse(strings.Repeat("x: ", 11))
	_, err := sequential.Check(long, sequential.Options{MaxOps: 10})
	require.ErrorIs(t, err, history.ErrUndecided)
	_, err = causal.Check(long, causal.Options{MaxOps: 10})
	require.ErrorIs(t, err, history.ErrUndecided)
	_, err = session.Check(long, session.Options{MaxOps: 10})
	require.ErrorIs(t, err, history.ErrUndecided)
}

// Many clients write at once and read what they wrote, and two found nothing that
// both have written: no search of two steps can tell.
func TestSequentialRunsOutOfSteps(t *testing.T) {
	var text strings.Builder
	for c := range 8 {
		fmt.Fprintf(&text, "x=%d x:%d y=%d y:%d\n", c, c, c, c)
	}
	v, err := sequential.Check(parse(text.String()), sequential.Options{Steps: 2})
	require.Nil(t, v)
	require.ErrorIs(t, err, history.ErrUndecided)
	require.ErrorContains(t, err, "32 operations, 2 steps")
	v, err = sequential.Check(parse(text.String()), sequential.Options{})
	require.NoError(t, err)
	require.Nil(t, v)
}
