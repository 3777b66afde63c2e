package histfile

import (
	"fmt"
	"sort"
	"strings"
)

// nothing is the value of a register that nobody has written.
const nothing = "\x00nothing"

func valueOf(v any) any {
	if v == nil {
		return nothing
	}
	return hashable(v)
}

// registerModel is a register. A read that returned nil found nothing there.
var registerModel = object{name: "cas-register", known: []string{"read", "write", "cas"}, initial: nothing, pairs: true,
	step: func(state any, op Operation) (any, bool, error) {
		switch op.F {
		case "read":
			return state, valueOf(op.Result) == state, nil
		case "write":
			return valueOf(op.Call), true, nil
		}
		pair, ok := op.Value().([]any)
		if ok && len(pair) == 2 {
			if inner, nested := pair[1].([]any); nested { // of an independent key, before its key is taken out
				pair = inner
			}
		}
		if !ok || len(pair) != 2 {
			return nil, false, fmt.Errorf("cas %s: want [old new]", text(op.Value()))
		}
		if valueOf(pair[0]) == state {
			return valueOf(pair[1]), true, nil
		}
		return state, op.Outcome == Info, nil // one with an unknown outcome may have failed
	}}

// mutexModel is a lock that does not know who holds it.
var mutexModel = object{name: "mutex", known: []string{"acquire", "release"}, initial: false,
	step: func(state any, op Operation) (any, bool, error) {
		held := state.(bool)
		if op.F == "acquire" {
			return true, !held || op.Outcome == Info, nil
		}
		return false, held || op.Outcome == Info, nil
	}}

// stringsModel is a string for each key. Its states are numbers, so that comparing two of them is cheap however long the strings grow.
func stringsModel() object {
	texts, numbers := []string{""}, map[string]int{"": 0}
	number := func(s string) int {
		n, known := numbers[s]
		if !known {
			n = len(texts)
			texts, numbers[s] = append(texts, s), n
		}
		return n
	}
	return object{name: "kv", known: []string{"get", "put", "append"}, initial: 0,
		step: func(state any, op Operation) (any, bool, error) {
			value := ""
			if v := op.Value(); v != nil {
				value = text(v)
			}
			switch op.F {
			case "get":
				return state, value == texts[state.(int)], nil
			case "put":
				return number(value), true, nil
			}
			return number(texts[state.(int)] + value), true, nil
		}}
}

// multiModel is a map of registers, of which a transaction reads and writes several. Its state is the text of the map.
var multiModel = object{name: "multi-register", known: []string{"txn", "read", "write"}, initial: "",
	step: func(state any, op Operation) (any, bool, error) {
		registers := parseRegisters(state.(string))
		micros, ok := op.Value().([]any)
		if !ok {
			return nil, false, fmt.Errorf("the transaction's value is %s, want a list of [f key value]", text(op.Value()))
		}
		for _, m := range micros {
			f, key, value, err := micro(m)
			if err != nil {
				return nil, false, err
			}
			k := text(key)
			switch f {
			case "r", "read":
				// A read that returned nil matches anything: the register may have had a value before the history.
				if old, known := registers[k]; known && value != nil && op.Outcome == OK && old != text(value) {
					return state, false, nil
				} else if !known && value != nil {
					registers[k] = text(value) // as it was before the history
				}
			case "w", "write":
				registers[k] = text(value)
			default:
				return nil, false, fmt.Errorf("a transaction has reads and writes, not %q", f)
			}
		}
		return printRegisters(registers), true, nil
	}}

func parseRegisters(s string) map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(s, "\x00") {
		if k, v, found := strings.Cut(line, "\x01"); found {
			m[k] = v
		}
	}
	return m
}

func printRegisters(m map[string]string) string {
	var lines []string
	for k, v := range m {
		lines = append(lines, k+"\x01"+v)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\x00")
}

// micro takes an operation within a transaction apart: [f key value].
func micro(m any) (f string, key, value any, err error) {
	list, ok := m.([]any)
	if !ok || len(list) < 2 || len(list) > 3 {
		return "", nil, nil, fmt.Errorf("an operation of the transaction is %s, want [f key value]", text(m))
	}
	if len(list) == 3 {
		value = list[2]
	}
	return strings.TrimPrefix(text(list[0]), ":"), list[1], value, nil
}
