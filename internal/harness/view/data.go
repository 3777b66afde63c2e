package view

import (
	"encoding/json"
	"strconv"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// payload is what the page's script reads.
type payload struct {
	Title      string      `json:"title"`
	Runs       []runData   `json:"runs"`
	Difference *difference `json:"difference,omitempty"`
}

type difference struct {
	Steps [2]int           `json:"steps"` // index in each run; -1 where it has none
	At    [2]time.Duration `json:"at"`
	Text  string           `json:"text"`
}

// runData is a run by columns: the page of 20 000 steps is then 2 MB and not 9, and is parsed in milliseconds.
type runData struct {
	Test    string           `json:"test"`
	Module  string           `json:"module"`
	Seed    string           `json:"seed"` // a JavaScript number holds 53 bits of 64
	Nodes   int              `json:"nodes"`
	Steps   int              `json:"steps"`
	Broke   *time.Duration   `json:"broke"` // when the rule broke
	Failure *report.Failure  `json:"failure"`
	Key     int              `json:"key"` // the step that the failure is about, -1 if it names none
	Faults  []string         `json:"faults"`
	Strings []string         `json:"strings"` // what the columns' indexes mean; the first is ""
	Columns map[string][]int `json:"columns"` // a column of zeroes is left out
	Snips   map[string]*snip `json:"snips"`   // by Event.Source
}

// encode prepares a run for the page.
func (o Options) encode(run *trace.Run) runData {
	_, faults := trace.ShortFaults(run)
	h := run.Header
	d := runData{
		Test: h.Test, Module: h.Module, Seed: strconv.FormatUint(h.Seed, 10), Nodes: h.Nodes, Steps: len(run.Steps),
		Faults: trace.FaultTexts(faults), Columns: map[string][]int{}, Snips: o.snips(run),
	}
	d.Failure, d.Broke = failureOf(run)
	columns := newColumns(len(run.Steps), d.Columns)
	columns.steps(run.Steps)
	named := namesOf(run)
	d.Key = named.Key
	columns.column("named", func(i int) int {
		if i < len(named.Keep) && named.Keep[i] {
			return 1
		}
		return 0
	})
	routine := findRoutine(run)
	columns.column("routine", func(i int) int {
		if routine[i] {
			return 1
		}
		return 0
	})
	d.Strings = columns.strings.list
	return d
}

// failureOf returns how the run failed and when. A failure whose time nobody
// recorded broke at the last thing that a node did: a test stops when it has seen enough.
func failureOf(run *trace.Run) (*report.Failure, *time.Duration) {
	var f *report.Failure
	if raw := run.Header.Failure; len(raw) > 0 {
		f = &report.Failure{}
		if err := json.Unmarshal(raw, f); err != nil || f.What == "" {
			f.What = string(raw)
		}
	}
	if v := run.Header.Violation; v != nil {
		at := v.At
		return f, &at
	}
	if f == nil {
		return nil, nil
	}
	for i := len(run.Steps) - 1; i >= 0; i-- {
		if s := &run.Steps[i]; s.Node != 0 && !closing(s) {
			at := s.At
			return f, &at
		}
	}
	return f, nil
}

// namesOf returns the steps that the run's failure names: nothing of a run that passed.
func namesOf(run *trace.Run) trace.Named {
	f, broke := failureOf(run)
	switch {
	case broke == nil:
		return trace.Named{Key: -1}
	case f == nil:
		return run.Names(*broke, "")
	}
	return run.Names(*broke, f.What, f.Seen...)
}

// closing reports whether the step is one of the crashes by which a network ends.
func closing(s *trace.Step) bool {
	return s.Kind == labrpc.EventCrashed && s.Reason == "network closed"
}
