package view

import "distlabs/internal/harness/trace"

// Steps are some steps of a run by columns, as the page reads them: what was added to a run that goes on.
type Steps struct {
	Count   int              `json:"count"`
	Strings []string         `json:"strings"`
	Columns map[string][]int `json:"columns"`
}

// EncodeSteps prepares steps for the page.
func EncodeSteps(steps []trace.Step) Steps {
	out := Steps{Count: len(steps), Columns: map[string][]int{}}
	columns := newColumns(len(steps), out.Columns)
	columns.steps(steps)
	out.Strings = columns.strings.list
	return out
}

// columns collects steps by columns.
type columns struct {
	count   int
	strings *stringTable
	out     map[string][]int
}

func newColumns(count int, out map[string][]int) columns {
	return columns{count: count, strings: &stringTable{index: map[string]int{"": 0}, list: []string{""}}, out: out}
}

// column adds a column; one of zeroes is left out.
func (c columns) column(name string, value func(i int) int) {
	values, any := make([]int, c.count), false
	for i := range values {
		values[i] = value(i)
		any = any || values[i] != 0
	}
	if any {
		c.out[name] = values
	}
}

// steps adds the columns of all that a step carries.
func (c columns) steps(steps []trace.Step) {
	number := func(name string, value func(s *trace.Step) int) {
		c.column(name, func(i int) int { return value(&steps[i]) })
	}
	text := func(name string, value func(s *trace.Step) string) {
		c.column(name, func(i int) int { return c.strings.add(value(&steps[i])) })
	}
	number("at", func(s *trace.Step) int { return int(s.At) })
	number("node", func(s *trace.Step) int { return int(s.Node) })
	number("inc", func(s *trace.Step) int { return s.Inc })
	number("msg", func(s *trace.Step) int { return int(s.Msg) })
	number("copy", func(s *trace.Step) int { return s.Copy })
	number("from", func(s *trace.Step) int { return int(s.From) })
	number("to", func(s *trace.Step) int { return int(s.To) })
	number("number", func(s *trace.Step) int { return int(s.Number) })
	number("replyTo", func(s *trace.Step) int { return int(s.ReplyTo) })
	text("kind", func(s *trace.Step) string { return string(s.Kind) })
	text("message", func(s *trace.Step) string { return string(s.Message) })
	text("method", func(s *trace.Step) string { return s.Method })
	text("type", func(s *trace.Step) string { return s.Type })
	text("body", func(s *trace.Step) string { return s.Body })
	text("source", func(s *trace.Step) string { return s.Source })
	text("reason", func(s *trace.Step) string { return s.Reason })
	text("name", func(s *trace.Step) string { return s.Name })
	text("value", func(s *trace.Step) string { return s.Value })
}

// stringTable gives every string a number.
type stringTable struct {
	index map[string]int
	list  []string
}

func (t *stringTable) add(s string) int {
	i, ok := t.index[s]
	if !ok {
		i = len(t.list)
		t.index[s] = i
		t.list = append(t.list, s)
	}
	return i
}
