package histfile

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// A counter is only added to. A read must be at least the sum of the adds that were complete before it began, and at most that
// of the adds that began before it ended.
type counter struct {
	low, high int64
	reads     map[string]int64 // the low bound at the call of a running read
	wrong     *Verdict
}

func newCounter() *counter { return &counter{reads: map[string]int64{}} }

func (c *counter) call(e Entry) error {
	switch e.F {
	case "add":
		n, ok := e.Value.(int64)
		if !ok {
			return fmt.Errorf("add %s: want a number", text(e.Value))
		}
		if n < 0 {
			return fmt.Errorf("add %d: the model counter has no negative adds", n)
		}
		c.high += n
	case "read":
		c.reads[e.Process] = c.low
	}
	return nil
}

func (c *counter) add(op Operation) error {
	switch op.F {
	case "add":
		n := op.Call.(int64)
		switch op.Outcome {
		case OK:
			c.low += n
		case Fail:
			c.high -= n
		}
	case "read":
		low := c.reads[op.Process]
		delete(c.reads, op.Process)
		if op.Outcome != OK {
			return nil
		}
		n, ok := op.Result.(int64)
		if !ok {
			return fmt.Errorf("read %s: want a number", text(op.Result))
		}
		if (n < low || n > c.high) && c.wrong == nil {
			c.wrong = &Verdict{Answer: Invalid, Reason: fmt.Sprintf("a read returned %d, and it can only be from %d to %d", n, low, c.high), Lines: []string{describe(op)}}
		}
	default:
		return unknownF(op, "counter", "add", "read")
	}
	return nil
}

func (c *counter) verdict() (Verdict, error) {
	if c.wrong != nil {
		return *c.wrong, nil
	}
	return Verdict{Answer: Valid}, nil
}

// A bank has accounts between which amounts are transferred: every read has the same total.
type bank struct {
	opts  Options
	total *int64
	wrong *Verdict
	count int
}

func newBank(o Options) *bank { return &bank{opts: o, total: o.Total} }

func (b *bank) add(op Operation) error {
	switch {
	case op.F == "transfer":
		return nil
	case op.F != "read":
		return unknownF(op, "bank", "transfer", "read")
	case op.Outcome != OK:
		return nil
	}
	accounts, ok := op.Result.(map[any]any)
	if !ok {
		return fmt.Errorf("read %s: want a map of the accounts", text(op.Result))
	}
	sum := int64(0)
	for account, balance := range accounts {
		n, ok := balance.(int64)
		if !ok {
			return fmt.Errorf("account %s has %s, want a number", text(account), text(balance))
		}
		if n < 0 && !b.opts.Negative {
			b.find(op, fmt.Sprintf("account %s has %d, which is below zero", text(account), n))
		}
		sum += n
	}
	b.count++
	if b.total == nil {
		b.total = &sum
	}
	if sum != *b.total {
		b.find(op, fmt.Sprintf("the accounts have %d together, want %d", sum, *b.total))
	}
	return nil
}

func (b *bank) find(op Operation, reason string) {
	if b.wrong == nil {
		b.wrong = &Verdict{Answer: Invalid, Reason: reason, Lines: []string{describe(op)}}
	}
}

func (b *bank) verdict() (Verdict, error) {
	switch {
	case b.wrong != nil:
		return *b.wrong, nil
	case b.count == 0:
		return Verdict{Answer: Undecided, Reason: "no read returned, so nothing was checked"}, nil
	}
	return Verdict{Answer: Valid}, nil
}

// members returns the elements of what a read of a set returned.
func members(op Operation) (map[any]bool, error) {
	out := map[any]bool{}
	switch v := op.Result.(type) {
	case nil:
	case set:
		return v, nil
	case []any:
		for _, x := range v {
			out[hashable(x)] = true
		}
	default:
		return nil, fmt.Errorf("read %s: want a set", text(op.Result))
	}
	return out, nil
}

func listed(elements []any) string {
	var words []string
	for _, e := range elements {
		words = append(words, text(e))
	}
	sort.Strings(words)
	if n := len(words); n > 8 {
		words = append(words[:8], fmt.Sprintf("and %d more", n-8))
	}
	return strings.Join(words, ", ")
}

// A setChecker looks at the last read only.
type setChecker struct {
	tried, added map[any]bool
	last         map[any]bool
	op           Operation
}

func newSet() *setChecker { return &setChecker{tried: map[any]bool{}, added: map[any]bool{}} }

func (s *setChecker) add(op Operation) error {
	switch op.F {
	case "add":
		e := hashable(op.Call)
		switch op.Outcome {
		case OK:
			s.added[e] = true
			s.tried[e] = true
		case Info:
			s.tried[e] = true
		}
	case "read":
		if op.Outcome != OK {
			return nil
		}
		last, err := members(op)
		if err != nil {
			return err
		}
		s.last, s.op = last, op
	default:
		return unknownF(op, "set", "add", "read")
	}
	return nil
}

func (s *setChecker) verdict() (Verdict, error) {
	if s.last == nil {
		return Verdict{Answer: Undecided, Reason: "no read returned, so nothing was checked"}, nil
	}
	var lost, unexpected []any
	for e := range s.added {
		if !s.last[e] {
			lost = append(lost, e)
		}
	}
	for e := range s.last {
		if !s.tried[e] {
			unexpected = append(unexpected, e)
		}
	}
	switch {
	case len(lost) > 0:
		return Verdict{Answer: Invalid, Reason: "lost: the last read does not have " + listed(lost) + ", whose add was confirmed", Lines: []string{fmt.Sprintf("the last read is on line %d", s.op.Line)}}, nil
	case len(unexpected) > 0:
		return Verdict{Answer: Invalid, Reason: "unexpected: the last read has " + listed(unexpected) + ", which nobody added", Lines: []string{fmt.Sprintf("the last read is on line %d", s.op.Line)}}, nil
	}
	return Verdict{Answer: Valid}, nil
}

// A fullSet looks at every read: an element is there in each read that began after its add was confirmed, or after another
// read had it. (Jepsen's set-full permits, besides, that an element appears late; a linearizable set does not.)
type fullSet struct {
	elements map[any]*life
	reads    []setRead
}

type life struct {
	begin, end int // of the add; end is 0 if it was not confirmed
	line       int
	known      int // the first entry at which it was certainly there
}

type setRead struct {
	op Operation
	in map[any]bool
}

func newFullSet() *fullSet { return &fullSet{elements: map[any]*life{}} }

func (s *fullSet) add(op Operation) error {
	switch op.F {
	case "add":
		if op.Outcome == Fail {
			return nil
		}
		l := &life{begin: op.Begin, line: op.Line}
		if op.Outcome == OK {
			l.end, l.known = op.End, op.End
		}
		s.elements[hashable(op.Call)] = l
	case "read":
		if op.Outcome != OK {
			return nil
		}
		in, err := members(op)
		if err != nil {
			return err
		}
		s.reads = append(s.reads, setRead{op, in})
	default:
		return unknownF(op, "set-full", "add", "read")
	}
	return nil
}

func (s *fullSet) verdict() (Verdict, error) {
	if len(s.reads) == 0 {
		return Verdict{Answer: Undecided, Reason: "no read returned, so nothing was checked"}, nil
	}
	for _, r := range s.reads {
		for e := range r.in {
			l := s.elements[e]
			if l == nil || l.begin > r.op.End {
				return Verdict{Answer: Invalid, Reason: "unexpected: a read has " + text(e) + ", which nobody had added", Lines: []string{fmt.Sprintf("the read is on line %d", r.op.Line)}}, nil
			}
			if l.known == 0 || r.op.End < l.known {
				l.known = r.op.End
			}
		}
	}
	slices.SortFunc(s.reads, func(a, b setRead) int { return a.op.Begin - b.op.Begin })
	for _, r := range s.reads {
		for e, l := range s.elements {
			if !r.in[e] && l.known > 0 && l.known < r.op.Begin {
				return Verdict{Answer: Invalid, Reason: fmt.Sprintf("lost: a read does not have %s, which was there before the read began", text(e)),
					Lines: []string{fmt.Sprintf("the add is on line %d, the read on line %d", l.line, r.op.Line)}}, nil
			}
		}
	}
	return Verdict{Answer: Valid}, nil
}
