package consistency_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"distlabs/internal/harness/check/history"
	"distlabs/internal/harness/check/sequential"
	"distlabs/internal/harness/check/session"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/06-consistency"
)

const (
	ruleSequential = "one order of all operations explains the results of all sessions; it keeps each session's order, and the log's order of writes: sequential consistency (rule 8)"
	ruleSession    = "a Get returns nothing older than its session's own writes, and nothing older than what its session has read, whatever server it reads from (rule 9)"
	ruleUnseen     = "a write that returned ErrUnknown does not count as seen: the session does not wait for it (rule 9)"
	ruleLocal      = "a server whose state is not older than what the session has seen replies within 500ms from its own state, and asks no other server (rule 10)"
	ruleCatchesUp  = "a server replies within 500ms of its state reaching what the session has seen, and Get returns within 1s (rule 11)"
	ruleContext    = "Get continues until its ctx ends; within 100ms of that, Get and Put return ctx's error, or ErrUnknown from Put (rule 12)"
	ruleOnce       = "Put writes at most once, and looks for the leader until its ctx ends; after nil it has written, after ctx's error it never will, ErrUnknown means unknown (rule 13)"
	rulePutServes  = "in a calm network with all servers up and a leader, Put returns nil within 1s; while one server is down and the others follow a leader, a Put may return ErrUnknown, and the next Put returns nil (rule 14)"
)

const (
	putLimit     = time.Second            // rule 14
	getLimit     = time.Second            // rule 11
	contextSlack = 100 * time.Millisecond // rule 12
	sessionLimit = 3 * time.Second        // of a call in a test that expects it to return
)

// A sessionRun is a session and all that it did, on one goroutine of its node.
type sessionRun struct {
	c      *strongCluster
	number int // of the client in the history: a session that continues another one has that one's number
	client labrpc.NodeID
	server labrpc.NodeID
	jobs   chan func(s *consistency.Session)
}

// A sessionOp is a call of a session.
type sessionOp struct {
	history.Op
	Session string        // which
	Limit   time.Duration // of its context
	Err     string        // "", "ErrUnknown", "ctx", or what it says
	Over    bool
}

// String describes the call in one line.
func (op *sessionOp) String() string {
	what := fmt.Sprintf("%s: %s", op.Session, op.call())
	switch {
	case !op.Over:
		return fmt.Sprintf("%s from %v, not returned", what, labtest.At(op.Invoke))
	case op.Err == "" && op.Kind == history.Read:
		what += " = " + op.result()
	default:
		what += " returned " + op.result()
	}
	return fmt.Sprintf("%s, from %v to %v", what, labtest.At(op.Invoke), labtest.At(op.Return))
}

// call describes the call without its result.
func (op *sessionOp) call() string {
	if op.Kind == history.Write {
		return fmt.Sprintf("Put(%s=%s)", op.Key, op.Value)
	}
	return fmt.Sprintf("Get(%s)", op.Key)
}

// result describes what the call returned.
func (op *sessionOp) result() string {
	switch {
	case op.Err == "ctx":
		return "its context's error"
	case op.Err != "":
		return op.Err
	case op.Kind == history.Read:
		return fmt.Sprintf("%q", op.Value)
	}
	return "nil"
}

// A sessionHistory is what all sessions of a test did.
type sessionHistory struct {
	c   *strongCluster
	ops []*sessionOp
}

// opens starts a session on a client's node that reads from a server; one per node.
func (t *sessionHistory) opens(client, server labrpc.NodeID) *sessionRun {
	return t.begin(int(client), client, server, 0)
}

// goesOn starts a session with the token of another one, which has ended.
func (t *sessionHistory) goesOn(r *sessionRun, client, server labrpc.NodeID) *sessionRun {
	return t.begin(r.number, client, server, r.token())
}

func (t *sessionHistory) begin(number int, client, server labrpc.NodeID, token int) *sessionRun {
	r := &sessionRun{c: t.c, number: number, client: client, server: server, jobs: make(chan func(*consistency.Session), 100)}
	node := t.c.nodes[client]
	opts := consistency.SessionOptions{Servers: append([]labrpc.NodeID{server}, t.c.except(server)...), Token: token}
	go func() {
		s := consistency.NewSession(node, opts)
		for {
			select {
			case job := <-r.jobs:
				job(s)
			case <-node.Context().Done():
				return
			}
		}
	}()
	return r
}

// moves makes the session read from another server.
func (r *sessionRun) moves(to labrpc.NodeID) {
	r.server = to
	r.jobs <- func(s *consistency.Session) { s.Move(to) }
}

// token returns the session's token.
func (r *sessionRun) token() (token int) {
	over := false
	r.jobs <- func(s *consistency.Session) {
		_ = labrpc.Tell(r.c.nodes[r.client], s.Token(), func(_ time.Duration, got int) { token, over = got, true })
	}
	r.c.s.Until(sessionLimit, func() bool { return over })
	return token
}

// get and put begin a call whose context ends after the limit.
func (t *sessionHistory) get(r *sessionRun, key string, limit time.Duration) *sessionOp {
	return t.call(r, history.Op{Kind: history.Read, Key: key}, limit)
}

func (t *sessionHistory) put(r *sessionRun, key, value string, limit time.Duration) *sessionOp {
	return t.call(r, history.Op{Kind: history.Write, Key: key, Value: value}, limit)
}

// A sessionEnd is the result of a call.
type sessionEnd struct {
	Value, Err string
}

func (t *sessionHistory) call(r *sessionRun, what history.Op, limit time.Duration) *sessionOp {
	op := &sessionOp{Op: what, Limit: limit}
	op.Client, op.Invoke = r.number, t.c.s.Net.Now()
	op.Session = fmt.Sprintf("the session on %v, whose server is %v", r.client, r.server)
	if op.Kind == history.Read {
		op.Where = r.server.String()
	}
	t.ops = append(t.ops, op)
	id := fmt.Sprint("session call ", len(t.ops))
	t.c.s.Called(r.client, id, op.call())
	node := t.c.nodes[r.client]
	r.jobs <- func(s *consistency.Session) {
		_ = labrpc.Tell(node, sessionStep(node, s, what, limit), func(at time.Duration, e sessionEnd) {
			op.Return, op.Over, op.Err = at, true, e.Err
			if op.Kind == history.Read {
				op.Value = e.Value
			}
			t.c.s.Returned(r.client, id, op.result())
		})
	}
	return op
}

// sessionStep makes one call.
func sessionStep(node *labrpc.Node, s *consistency.Session, what history.Op, limit time.Duration) (e sessionEnd) {
	ctx, cancel := labtest.WithTimeout(node.Context(), limit)
	defer cancel()
	var err error
	if what.Kind == history.Read {
		e.Value, err = s.Get(ctx, what.Key)
	} else {
		err = s.Put(ctx, what.Key, what.Value)
	}
	switch {
	case err == nil:
	case errors.Is(err, consistency.ErrUnknown):
		e.Err = "ErrUnknown"
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		e.Err = "ctx"
	default:
		e.Err = strings.TrimSpace(fmt.Sprintf("the error %q", err))
	}
	return e
}

// returns waits until a call returns: at the latest a little after its context ends.
func (t *sessionHistory) returns(op *sessionOp) *sessionOp {
	if !t.c.s.Until(op.Invoke+op.Limit+contextSlack-t.c.s.Net.Now(), func() bool { return op.Over }) {
		t.fail(ruleContext, op, fmt.Sprintf("%v, although its ctx ended at %v", op, labtest.At(op.Invoke+op.Limit)))
	}
	if op.Err != "" && op.Err != "ctx" && (op.Err != "ErrUnknown" || op.Kind == history.Read) {
		t.fail(ruleContext, op, op.String()+", want ctx's error, or ErrUnknown from Put")
	}
	return op
}

// gets reads a key: it must return a value in time. The checkers check which value.
func (t *sessionHistory) gets(r *sessionRun, rule, key string) string {
	op := t.returns(t.get(r, key, getLimit))
	if op.Err != "" {
		t.fail(rule, op, fmt.Sprintf("%v, want a value", op))
	}
	return op.Value
}

// puts writes a key: it must return nil in time.
func (t *sessionHistory) puts(r *sessionRun, key, value string) {
	if op := t.returns(t.put(r, key, value, putLimit)); op.Err != "" {
		t.fail(rulePutServes, op, fmt.Sprintf("%v, want nil within %v", op, putLimit))
	}
}

func (t *sessionHistory) fail(rule string, op *sessionOp, what string) {
	t.c.s.Fail(labtest.Violation{What: what, Rule: rule, Nodes: t.c.s.Net.Nodes()})
}

// operations returns what the checkers check. A read without a value says nothing; a write that returned ctx's error
// was not executed, says the session.
func (t *sessionHistory) operations() []history.Op {
	var ops []history.Op
	for _, op := range t.ops {
		unknown := !op.Over || op.Err == "ErrUnknown"
		if op.Err == "" && op.Over || unknown && op.Kind == history.Write {
			op.Op.Indeterminate = unknown
			ops = append(ops, op.Op)
		}
	}
	return ops
}

// check checks the session guarantees first, because their violations are shorter, and then sequential consistency.
func (t *sessionHistory) check() {
	ops := t.operations()
	v, err := session.Check(ops, session.Options{Guarantees: session.ReadYourWrites | session.MonotonicReads, LinearWrites: true})
	t.report(ruleSession, v, err)
	v, err = sequential.Check(ops, sequential.Options{LinearWrites: true})
	t.report(ruleSequential, v, err)
}

var clientInText = regexp.MustCompile(`\bclient (\d+)\b`)

// ofSessions names the clients of a checker's sentences: client 4 is the session that began on n4.
func ofSessions(lines ...string) []string {
	for i, l := range lines {
		lines[i] = clientInText.ReplaceAllString(l, "the session of n$1")
	}
	return lines
}

func (t *sessionHistory) report(rule string, v *history.Violation, err error) {
	switch {
	case err != nil:
		t.c.s.Failf("none: this is an error in the test, not in your code", "the history could not be checked: %v", err)
	case v == nil:
		return
	}
	for _, op := range v.Ops {
		for _, other := range t.ops {
			if other.Err == "ctx" && other.Key == op.Key && other.Value == op.Value && other.Kind == history.Write {
				rule = ruleOnce
			}
		}
	}
	t.c.s.Fail(labtest.Violation{What: ofSessions(v.Sentence)[0], Rule: rule, Seen: ofSessions(v.Lines()...), Nodes: t.c.s.Net.Nodes(), At: v.At()})
}

// lag cuts a server off from the other servers; clients reach it.
func (c *strongCluster) disconnect(id labrpc.NodeID) {
	for _, o := range c.except(id) {
		c.s.Net.CutBoth(id, o)
	}
}
