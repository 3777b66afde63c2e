package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// The status line is redrawn in place, fits a terminal and says how far it is.
func TestStatusLine(t *testing.T) {
	var out bytes.Buffer
	s := newStatus(&out, ofTests, 2)
	require.False(t, s.live, "no terminal: a line a minute")
	s.live = true
	s.step(grade.Progress{Stage: grade.StageBuild, Lab: "01-links"})
	s.step(grade.Progress{Stage: grade.StageTest, Lab: "01-links", Test: "TestX1A", Seed: 81})
	s.step(grade.Progress{Stage: grade.StageTested, Test: "TestX1A", Result: &result.Test{Status: report.Fail}})
	s.step(grade.Progress{Stage: grade.StageTest, Test: strings.Repeat("é", 200)})
	s.clear()
	lines := strings.Split(out.String(), "\r\x1b[K")
	require.Equal(t, []string{"",
		"0 of 2 tests done, 0 failed · building 01-links",
		"0 of 2 tests done, 0 failed · TestX1A seed 81",
		"1 of 2 tests done, 1 failed · TestX1A",
		"1 of 2 tests done, 1 failed · " + strings.Repeat("é", 48),
		"",
	}, lines)
}

// In a log there is a line a minute, with the time that is left; an interrupt leaves what was found.
func TestStatusInALog(t *testing.T) {
	var out bytes.Buffer
	s := newStatus(&out, ofRuns, 400)
	for seed := range uint64(100) {
		s.step(grade.Progress{Stage: grade.StageTest, Test: "TestX1A", Seed: seed + 1})
	}
	require.Empty(t, out.String(), "the minute is not over")
	s.last, s.began = time.Now().Add(-2*time.Minute), time.Now().Add(-2*time.Minute)
	s.step(grade.Progress{Stage: grade.StageTested, Test: "TestX1A", Result: &result.Test{
		Status: report.Fail, Failed: []uint64{7, 81}, Failures: []report.Failure{{What: "two leaders\nin term 3"}}}})
	require.Equal(t, "TestX1A failed on seeds [7 81]: two leaders in term 3\n100 of 400 runs done, 1 failed · about 6m0s left\n", out.String())
	out.Reset()
	s.step(grade.Progress{Stage: grade.StageTest, Test: "TestX1A", Seed: 9})
	require.Empty(t, out.String(), "once a minute")
	s.interrupted()
	require.Equal(t, "until the interrupt, after 2m0s: 101 of 400 runs done; found:\n    TestX1A failed on seeds [7 81]: two leaders in term 3\n", out.String())
}

// Mutants are counted when all their tests are over; what survives is what an interrupt leaves.
func TestStatusOfMutants(t *testing.T) {
	var out bytes.Buffer
	s := newStatus(&out, ofMutants, 0)
	for _, test := range []string{"TestX1A", "TestY1A"} {
		s.step(grade.Progress{Stage: grade.StageTested, Mutant: "forgets", Test: test, Result: &result.Test{Status: report.Fail}})
	}
	s.interrupted()
	require.Empty(t, out.String(), "nothing was done")
	s.step(grade.Progress{Stage: grade.StageMutant, Lab: "01", Mutant: "forgets", Total: 5})
	s.step(grade.Progress{Stage: grade.StageMutant, Lab: "01", Mutant: "sleeps", Problem: "survived TestX1A", Total: 5})
	s.step(grade.Progress{Stage: grade.StageMutant, Lab: "02", Mutant: "lies", Total: 3})
	require.Regexp(t, `^3 of 8 mutants done, 1 not killed as they should$`, s.line())
	s.interrupted()
	require.Regexp(t, "^until the interrupt, after 0\\.\\ds: 3 of 8 mutants done; found:\n    sleeps survived TestX1A\n$", out.String())
}

// Colours do not disturb the columns.
func TestTableAlignsColouredCells(t *testing.T) {
	var plain, coloured bytes.Buffer
	for _, p := range []*printer{{w: &plain}, {w: &coloured, colour: true}} {
		tab := table{head: []string{"part", "points", "time"}}
		tab.add("1A", p.good("20/20"), "1.0s")
		tab.add("1B  Größe", p.bad("0/25"), "12.0s")
		p.table(tab)
	}
	require.Equal(t, "part       points  time\n1A         20/20   1.0s\n1B  Größe  0/25    12.0s\n", plain.String())
	require.Contains(t, coloured.String(), "\x1b[")
	bare := coloured.String()
	for strings.Contains(bare, "\x1b[") {
		start := strings.Index(bare, "\x1b[")
		end := start + strings.IndexByte(bare[start:], 'm')
		bare = bare[:start] + bare[end+1:]
	}
	require.Equal(t, plain.String(), bare)
}

// A stranger's text cannot start a line of its own, which a CI system might obey.
func TestOneLine(t *testing.T) {
	require.Equal(t, "a  ::error::b [31m", oneLine("a\r\n::error::b\x1b[31m"))
}

// One cause is said once, however many tests it costs.
func TestEqualFailuresShareALine(t *testing.T) {
	failed := func(name, what string) result.Test {
		return result.Test{Name: name, Max: 1, Status: report.Fail, Failures: []report.Failure{{Test: name, Kind: report.Rule, What: what, Replay: "again"}}}
	}
	r := &result.Result{Labs: []result.Lab{{ID: "01-echo", Parts: []result.Part{{ID: "1A", Tests: []result.Test{
		failed("TestA", "it spins"), failed("TestB", "it spins"), failed("TestC", "it is wrong"), failed("TestD", "it spins"), failed("TestE", "it is wrong")}}}}}}
	r.Source.Kind = course.WorkingTree
	var out bytes.Buffer
	printFailures(newPrinter(&out), r, false)
	require.Equal(t, 1, strings.Count(out.String(), "it spins"), out.String())
	require.Contains(t, out.String(), "\nfailed: TestC: it is wrong [again]\nfailed: TestB, TestD: the same as TestA\nfailed: TestE: the same as TestC\n")

	out.Reset()
	printFailures(newPrinter(&out), r, true)
	require.Equal(t, 3, strings.Count(out.String(), "it spins"), "all in full")
}
