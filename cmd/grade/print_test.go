package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// The status line is redrawn in place, fits a terminal and says how far it is.
func TestStatusLine(t *testing.T) {
	var out bytes.Buffer
	s := newStatus(&out, 2)
	require.Nil(t, s.w, "no terminal, no status")
	s.w = &out
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

// A stranger's text can not start a line of its own, which a CI system might obey.
func TestOneLine(t *testing.T) {
	require.Equal(t, "a  ::error::b [31m", oneLine("a\r\n::error::b\x1b[31m"))
}
