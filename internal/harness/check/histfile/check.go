package histfile

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Answer is what a check found.
type Answer int

// The answers.
const (
	Valid Answer = iota
	Invalid
	Undecided // a limit was met
)

// String returns the answer as a word.
func (a Answer) String() string { return [...]string{"valid", "invalid", "unknown"}[a] }

// A Verdict is an answer with its reason.
type Verdict struct {
	Answer Answer
	// Reason is one sentence: what is wrong, or which limit was met. It may be empty for a valid history.
	Reason string
	Lines  []string // the evidence, a line each
	Ops    int      // operations that were checked
	// Page writes a page that shows what is wrong; nil if the model has none, or nothing is wrong.
	Page func(io.Writer) error
}

// Options bound a check.
type Options struct {
	// Timeout bounds the search for an order, for the models that search. 0 is a minute.
	Timeout time.Duration
	// Total is what the accounts of the model bank have together; if nil, what the first read has.
	Total *int64
	// Negative permits accounts below zero in the model bank.
	Negative bool
}

// A Model is a correctness condition that Check knows.
type Model struct {
	Name string
	Says string // in one line
	make func(Options) checker
}

// A checker takes the operations of a history in the order of their completions, then those that were never completed, and judges them.
type checker interface {
	// add takes an operation. Its error is about an operation that the model does not know.
	add(op Operation) error
	verdict() (Verdict, error)
}

// caller is implemented by checkers that must see calls as they are made, before their outcomes.
type caller interface {
	call(e Entry) error
}

// Models lists the models, in the order in which a person looks for them.
func Models() []Model {
	models := []Model{
		{"register", "a linearizable register for each key: read, write", func(o Options) checker { return newLinear(registerModel, o) }},
		{"cas-register", "the same, with compare-and-set: cas [old new]", func(o Options) checker { return newLinear(registerModel, o) }},
		{"multi-register", "linearizable transactions that read and write registers", func(o Options) checker { return newLinear(multiModel, o) }},
		{"kv", "linearizable strings: get, put, append", func(o Options) checker { return newLinear(stringsModel(), o) }},
		{"mutex", "a linearizable lock: acquire, release", func(o Options) checker { return newLinear(mutexModel, o) }},
		{"set", "a set: each element whose add was confirmed is in the last read, and nothing that was not added", func(Options) checker { return newSet() }},
		{"set-full", "a linearizable set: each read after a confirmed add has the element", func(Options) checker { return newFullSet() }},
		{"counter", "a counter: each read is between the confirmed and the attempted adds", func(Options) checker { return newCounter() }},
		{"bank", "accounts: each read has the same total", func(o Options) checker { return newBank(o) }},
	}
	for _, c := range clientModels {
		models = append(models, Model{c.name, c.says, func(Options) checker { return &registers{model: c} }})
	}
	return append(models,
		Model{"list-append", "strict serializable transactions of reads and appends to lists; the strongest level is named", transactions("strict serializable")},
		Model{"rw-register", "strict serializable transactions of reads and writes; the strongest level is named", transactions("strict serializable")},
		Model{"read-uncommitted", "transactions of either sort", transactions("read uncommitted")},
		Model{"read-committed", "transactions of either sort", transactions("read committed")},
		Model{"snapshot-isolation", "transactions of either sort", transactions("snapshot isolation")},
		Model{"serializable", "transactions of either sort", transactions("serializable")},
		Model{"strict-serializable", "transactions of either sort", transactions("strict serializable")},
	)
}

// ModelNamed returns the model of that name.
func ModelNamed(name string) (Model, error) {
	models := Models()
	if i := slices.IndexFunc(models, func(m Model) bool { return m.Name == name }); i >= 0 {
		return models[i], nil
	}
	var names []string
	for _, m := range models {
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("there is no model %q; the models are %s", name, strings.Join(names, ", "))
}

// Check reads a history and judges it. The error is about the file: it names the line.
func Check(r io.Reader, m Model, opts Options) (Verdict, error) {
	if opts.Timeout == 0 {
		opts.Timeout = time.Minute
	}
	c := m.make(opts)
	calls, _ := c.(caller)
	p := newPairer()
	ops := 0
	err := Read(r, func(e Entry) error {
		if e.Type == Invoke && calls != nil {
			if err := calls.call(e); err != nil {
				return err
			}
		}
		op, complete, err := p.add(e)
		if err != nil || !complete {
			return err
		}
		ops++
		return c.add(op)
	})
	if err != nil {
		return Verdict{}, err
	}
	for _, op := range p.rest() {
		ops++
		if err := c.add(op); err != nil {
			return Verdict{}, &errSyntax{op.Line, err.Error()}
		}
	}
	if ops == 0 {
		return Verdict{}, fmt.Errorf("the file has no operations of clients")
	}
	v, err := c.verdict()
	v.Ops = ops
	return v, err
}

// describe tells of an operation in a line.
func describe(op Operation) string {
	outcome := map[Type]string{OK: "", Fail: ", which failed", Info: ", outcome unknown"}[op.Outcome]
	key := ""
	if op.Key != nil {
		key = " " + text(op.Key)
	}
	lines := fmt.Sprintf("line %d", op.Line)
	if op.Ends > op.Line {
		lines = fmt.Sprintf("lines %d and %d", op.Line, op.Ends)
	}
	return fmt.Sprintf("process %s: %s%s %s (%s)%s", op.Process, op.F, key, text(op.Value()), lines, outcome)
}

// unknownF says that a model does not have an operation.
func unknownF(op Operation, model string, known ...string) error {
	return fmt.Errorf("the model %s has no operation %q; it has %s", model, op.F, strings.Join(known, ", "))
}
