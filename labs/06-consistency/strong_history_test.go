package consistency_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"distlabs/internal/harness/check/linear"
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/06-consistency"
)

// A strongOp is a request as its client saw it. Of each key, every value is written once.
type strongOp struct {
	Number         int // in the history
	Client, Server labrpc.NodeID
	Method         string // "Put", "LogGet", "Get"
	Key, Value     string // Value of a read: what was read
	Call, Return   time.Duration
	Over           bool // there was a reply, or the client has given up
	Came           bool // there was a reply
	Done           bool
	Refused        bool          // a Put
	Leader         labrpc.NodeID // named in the reply
	Index          int           // of a Put that is done
}

func (op *strongOp) write() bool { return op.Method == "Put" }

// String describes the request in one line.
func (op *strongOp) String() string {
	what := fmt.Sprintf("on %v, %s", op.Client, op.call())
	switch {
	case !op.Came:
		return fmt.Sprintf("%s from %v, no reply", what, labtest.At(op.Call))
	case op.Refused, !op.Done:
		what += ", " + op.result()
	case !op.write():
		what += " = " + op.result()
	default:
		what += " was done"
	}
	return fmt.Sprintf("%s, from %v to %v", what, labtest.At(op.Call), labtest.At(op.Return))
}

// call describes the request without its reply.
func (op *strongOp) call() string {
	if op.write() {
		return fmt.Sprintf("Put(%s=%s) at %v", nameText(op.Key), nameText(op.Value), op.Server)
	}
	return fmt.Sprintf("%s(%s) at %v", op.Method, nameText(op.Key), op.Server)
}

// nameText writes a key or a value, in quotes if it is long or more than letters and digits.
func nameText(s string) string {
	plain := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' }
	if s == "" || len(s) > 40 || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return labtest.Quote(s)
	}
	return s
}

// result describes the reply.
func (op *strongOp) result() string {
	switch {
	case !op.Came:
		return "no reply"
	case op.Refused:
		return "refused"
	case !op.Done:
		return "not done"
	case op.write():
		return "done"
	}
	return fmt.Sprintf("%q", op.Value)
}

// put begins to write a key by a server.
func (c *strongCluster) put(client, server labrpc.NodeID, key, value string) *strongOp {
	op := &strongOp{Client: client, Server: server, Method: "Put", Key: key, Value: value, Call: c.s.Net.Now()}
	c.record(op)
	strongAsk(c, client, server, "Put", consistency.PutRequest{Key: key, Value: value}, func(at time.Duration, call *strongCall[consistency.PutReply]) {
		op.Return, op.Over, op.Came = at, true, call.came
		op.Done, op.Refused, op.Index, op.Leader = call.reply.Done, call.reply.Refused && !call.reply.Done, call.reply.Index, call.reply.Leader
		c.s.Returned(client, fmt.Sprint("call ", op.Number), op.result())
	})
	return op
}

// read begins to read a key by a server, with Get or LogGet.
func (c *strongCluster) read(client, server labrpc.NodeID, method, key string) *strongOp {
	op := &strongOp{Client: client, Server: server, Method: method, Key: key, Call: c.s.Net.Now()}
	c.record(op)
	strongAsk(c, client, server, method, consistency.GetRequest{Key: key}, func(at time.Duration, call *strongCall[consistency.GetReply]) {
		op.Return, op.Over, op.Came = at, true, call.came
		op.Done, op.Value, op.Leader = call.reply.Done, call.reply.Value, call.reply.Leader
		c.s.Returned(client, fmt.Sprint("call ", op.Number), op.result())
	})
	return op
}

func (c *strongCluster) record(op *strongOp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ops = append(c.ops, op)
	op.Number = len(c.ops)
	c.s.Called(op.Client, fmt.Sprint("call ", op.Number), op.call())
}

// hist returns what the clients did, by the calls.
func (c *strongCluster) hist() []*strongOp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ops)
}

// done waits until a request is Done, which it must be in time.
func (c *strongCluster) done(op *strongOp) *strongOp {
	c.s.Until(servesLimit, func() bool { return op.Over })
	if op.Done {
		return op
	}
	what := op.String() + ", want it done"
	if !op.Over {
		what = fmt.Sprintf("%v by %s, want it done within %v", op, labtest.At(c.s.Net.Now()), servesLimit)
	}
	c.s.Fail(labtest.Violation{What: what, Rule: ruleServes, Nodes: append([]labrpc.NodeID{op.Client}, c.servers...)})
	return op
}

// answered waits until requests are answered, in whatever way.
func (c *strongCluster) answered(ops ...*strongOp) {
	for _, op := range ops {
		limit := op.Call + answersLimit + servesLimit - c.s.Net.Now()
		if !c.s.Until(max(limit, 0), func() bool { return op.Over }) {
			c.s.Fail(labtest.Violation{
				What:  fmt.Sprintf("%v by %s, want a reply within %v, which may say that the request is not done", op, labtest.At(c.s.Net.Now()), answersLimit),
				Rule:  ruleAnswers,
				Nodes: append([]labrpc.NodeID{op.Client}, c.servers...),
			})
		}
	}
}

// sees reads a key by a server: it must be done in time, and have that value.
func (c *strongCluster) sees(client, server labrpc.NodeID, method, key, want string) {
	op := c.done(c.read(client, server, method, key))
	if op.Value != want {
		c.checkStrong()
		c.s.Fail(labtest.Violation{
			What: fmt.Sprintf("%v, want %q", op, want), Rule: ruleStrong, Nodes: append([]labrpc.NodeID{op.Client}, c.servers...),
		})
	}
}

// writes puts a key by the leader of a majority: it must be done in time.
func (c *strongCluster) writes(client, leader labrpc.NodeID, key, value string) *strongOp {
	return c.done(c.put(client, leader, key, value))
}

// visible waits, for a limited time, until each read that is called later must return what a Put writes: until the Put is done, or a Get at its server
// has returned its value. The Put alone may take as long as rule 4 allows, which is longer than another server waits for its leader, or for a reply.
func (c *strongCluster) visible(put *strongOp, limit time.Duration) {
	end := c.s.Net.Now() + limit
	seen := c.s.Until(min(limit, 50*time.Millisecond), func() bool { return put.Over })
	for !seen && !put.Over && c.s.Net.Now() < end {
		get := c.read(put.Client, put.Server, "Get", put.Key)
		c.s.Until(end-c.s.Net.Now(), func() bool { return put.Over || get.Over })
		seen = get.Done && get.Value == put.Value
	}
}

// strongModel is a register.
var strongModel = linear.Model[string, *strongOp, string]{
	Step: func(state string, in *strongOp, out *string) (string, bool) {
		if in.write() {
			return in.Value, true
		}
		return state, out == nil || *out == state
	},
}

// checkStrong checks that all that the clients saw is linearizable (rule 1), and that nothing that
// was refused was seen (rule 2).
func (c *strongCluster) checkStrong() {
	v, wrong := c.strongViolation()
	if wrong != nil {
		v.Page = func(w io.Writer) error { return linear.Page(w, strongModel, wrong, strongDescribe, linear.Options{}) }
	}
	if v != nil {
		c.s.Fail(*v)
	}
}

// strongViolation is how the history breaks a rule, and the operation that no order allows, if that is why.
func (c *strongCluster) strongViolation() (*labtest.Violation, *linear.Violation[*strongOp, string]) {
	refused := map[string]*strongOp{}
	var history []linear.Op[*strongOp, string]
	for _, op := range c.hist() {
		if op.Refused {
			refused[op.Key+"="+op.Value] = op
		}
		if op.write() && !op.Refused || op.Done {
			history = append(history, linear.Op[*strongOp, string]{
				Client: int(op.Client), Key: op.Key, In: op, Out: op.Value, Call: op.Call, Return: op.Return, Pending: !op.Done,
			})
		}
	}
	for _, op := range c.hist() {
		if put := refused[op.Key+"="+op.Value]; put != nil && op.Done && !op.write() {
			return &labtest.Violation{
				What: fmt.Sprintf("%v read %s=%s from %v at %v, although %v refused to write that value at %v",
					op.Client, op.Key, op.Value, op.Server, labtest.At(op.Return), put.Server, labtest.At(put.Return)),
				Rule: ruleRefused, Nodes: append([]labrpc.NodeID{op.Client, put.Client}, c.servers...), At: op.Return,
			}, nil
		}
	}
	err := linear.Check(strongModel, history, linear.Options{})
	var wrong *linear.Violation[*strongOp, string]
	switch {
	case errors.As(err, &wrong):
		return &labtest.Violation{
			What:  strongSentence(wrong),
			Rule:  ruleStrong,
			Seen:  strongEvidence(wrong),
			Nodes: append([]labrpc.NodeID{wrong.Op.In.Client}, c.servers...), At: wrong.Op.Return,
		}, wrong
	case err != nil:
		return &labtest.Violation{What: fmt.Sprintf("the history could not be checked: %v", err), Rule: "none: this is an error in the test, not in your code"}, nil
	}
	return nil, nil
}

// strongSentence says what is wrong with an answer, and names the write that it misses if there is one.
func strongSentence(wrong *linear.Violation[*strongOp, string]) string {
	bad := wrong.Op.In
	if bad.write() {
		return fmt.Sprintf("the history is not linearizable, because no order of the operations allows this result: %v", bad)
	}
	var saw, missed *strongOp
	for _, o := range wrong.Before {
		op := o.In
		switch {
		case !op.write():
		case op.Value == bad.Value:
			saw = op
		case op.Done && op.Return <= bad.Call && (missed == nil || op.Return > missed.Return):
			missed = op
		}
	}
	read := fmt.Sprintf("%v read %s=%s from %v at %v", bad.Client, bad.Key, bad.Value, bad.Server, labtest.At(bad.Return))
	if bad.Value == "" {
		read = fmt.Sprintf("%v read %s from %v at %v and found no value", bad.Client, bad.Key, bad.Server, labtest.At(bad.Return))
	}
	switch {
	case saw == nil && bad.Value != "":
		return read + ", a value that no client has written"
	case missed != nil && (bad.Value == "" || saw.Done && saw.Return <= missed.Call):
		return fmt.Sprintf("%s (%s, called at %v), although %v had written %s=%s, which was Done at %v",
			read, bad.Method, labtest.At(bad.Call), missed.Client, missed.Key, missed.Value, labtest.At(missed.Return))
	}
	return fmt.Sprintf("the history is not linearizable: %s (%s), which no order of the operations allows", read, bad.Method)
}

// strongEvidence lists the last operations on the key before the wrong answer.
func strongEvidence(wrong *linear.Violation[*strongOp, string]) []string {
	var lines []string
	for _, o := range slices.Backward(wrong.Before) {
		if len(lines) == 8 {
			break
		}
		lines = append(lines, strongDescribe(o))
	}
	slices.Reverse(lines)
	return lines
}

// strongDescribe tells of an operation as it was known when the wrong answer came.
func strongDescribe(o linear.Op[*strongOp, string]) string {
	op := *o.In
	op.Came = op.Came && !o.Pending
	return op.String()
}
