package clocks_test

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"

	"pgregory.net/rapid"
)

// rapidFlags guards rapid's settings, which are global.
var rapidFlags sync.Mutex

// property checks prop on 200 random inputs, which follow from the run's seed, and
// fails the run with what prop says of the smallest input that it can find.
func property(s *labtest.Sim, prop func(t *rapid.T) *labtest.Violation) {
	rapidFlags.Lock()
	defer rapidFlags.Unlock()
	for name, value := range map[string]string{
		"rapid.seed": strconv.FormatUint(s.Seed|1<<32, 10), "rapid.checks": "200", "rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	var last *labtest.Violation
	tb := &propertyTB{s: s}
	tb.check(func(t *rapid.T) {
		last = nil
		if v := prop(t); v != nil {
			last = v
			t.FailNow()
		}
	})
	switch {
	case last != nil:
		s.Fail(*last)
	case tb.failed:
		s.Fail(labtest.Violation{What: tb.text, Rule: "a clock takes every stamp that a clock can give"})
	}
}

// propertyTB is what rapid reports to, in place of a testing.TB: rapid must end
// neither the test nor its goroutine, and its own words are not for students.
type propertyTB struct {
	s      *labtest.Sim
	failed bool
	text   string // the first complaint
}

type propertyOver struct{}

// check runs rapid. FailNow comes back here.
func (tb *propertyTB) check(prop func(*rapid.T)) {
	defer func() {
		if v := recover(); v != nil && v != (propertyOver{}) {
			panic(v)
		}
	}()
	rapid.Check(tb, prop)
}

func (tb *propertyTB) Errorf(format string, args ...any) {
	if !tb.failed {
		tb.text = strings.TrimPrefix(fmt.Sprintf(format, args...), "[rapid] ")
	}
	tb.failed = true
}

func (tb *propertyTB) Name() string              { return "property" }
func (tb *propertyTB) Failed() bool              { return tb.failed }
func (tb *propertyTB) Fail()                     { tb.failed = true }
func (tb *propertyTB) FailNow()                  { tb.failed = true; panic(propertyOver{}) }
func (tb *propertyTB) Error(args ...any)         { tb.Errorf("%s", fmt.Sprint(args...)) }
func (tb *propertyTB) Fatal(args ...any)         { tb.Error(args...); tb.FailNow() }
func (tb *propertyTB) Fatalf(f string, a ...any) { tb.Errorf(f, a...); tb.FailNow() }
func (tb *propertyTB) Helper()                   {}
func (tb *propertyTB) Log(...any)                {}
func (tb *propertyTB) Logf(string, ...any)       {}
func (tb *propertyTB) Skip(...any)               { panic(propertyOver{}) }
func (tb *propertyTB) Skipf(string, ...any)      { panic(propertyOver{}) }
func (tb *propertyTB) SkipNow()                  { panic(propertyOver{}) }

// A step is a line of the script of an execution without a network: a small
// one, which rapid can make smaller.
type step struct {
	Node int // from 0
	Do   int // 0: something, 1: send a letter, 2: receive one
	Pick int // the receiver, or which of those under way
}

// script draws the steps of an execution.
func script(t *rapid.T) []step {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			Node: rapid.IntRange(0, scriptNodes-1).Draw(t, "node"),
			Do:   rapid.IntRange(0, 2).Draw(t, "do"),
			Pick: rapid.IntRange(0, 5).Draw(t, "pick"),
		}
	})
	return rapid.SliceOfN(one, 1, 15).Draw(t, "script")
}

const scriptNodes = 3

// play performs a script with the clocks that newClock returns. A step that
// receives where nothing is under way is an event without a letter.
func play[T any](steps []step, newClock func(id labrpc.NodeID) clock[T]) history[T] {
	var clocks [scriptNodes]clock[T]
	var inbox [scriptNodes][]message[T]
	var places [scriptNodes]int
	for i := range clocks {
		clocks[i] = newClock(labrpc.NodeID(i + 1))
	}
	var events []event[T]
	sent := 0
	for _, st := range steps {
		n := st.Node
		places[n]++
		m := event[T]{Node: labrpc.NodeID(n + 1), Place: places[n]}
		switch waiting := inbox[n]; {
		case st.Do == 1:
			sent++
			m.Sends, m.Stamp = sent, clocks[n].tick()
			to := (n + 1 + st.Pick%(scriptNodes-1)) % scriptNodes
			inbox[to] = append(inbox[to], message[T]{ID: sent, Stamp: m.Stamp})
		case st.Do == 2 && len(waiting) > 0:
			i := st.Pick % len(waiting)
			m.Receives, m.Stamp = waiting[i].ID, clocks[n].receive(waiting[i].Stamp)
			inbox[n] = append(append([]message[T]{}, waiting[:i]...), waiting[i+1:]...)
		default:
			m.Stamp = clocks[n].tick()
		}
		events = append(events, m)
	}
	return newHistory(events)
}
