package export

import (
	"bytes"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// A student's page begins with how much passed, and names each cause once.
func TestEqualCausesAreOne(t *testing.T) {
	r := sample()
	fail := func(name, what, rule string) result.Test {
		return result.Test{Name: name, Max: 2, Status: report.Fail, Failures: []report.Failure{{What: what, Rule: rule, Where: "a_test.go:7"}}}
	}
	r.Labs = r.Labs[1:]
	r.Labs[0].Parts = []result.Part{{ID: "4A", Tests: []result.Test{
		fail("TestOne4A", "n1 leaks a goroutine at 1.5s", "no goroutine outlives its node"),
		{Name: "TestTwo4A", Max: 3, Status: report.Pass},
		fail("TestThree4A", "a goroutine of n2 is left at 0.25s", "no goroutine outlives its node"),
		fail("TestFour4A", "n2 leaks a goroutine at 0.25s", "another rule"),
		{Name: "TestFive4A", Max: 3, Status: report.Skip, Skipped: "no port"},
	}}}
	causes, passed, tests := causesOf(sum(r))
	require.Equal(t, "1 of 5 tests passed. Why the others did not:", verdict(causes, passed, tests))
	require.Equal(t, []*cause{
		{What: "n1 leaks a goroutine at 1.5s", Rule: "no goroutine outlives its node", Tests: []string{"TestOne4A", "TestThree4A"}, Points: 4},
		{What: "n2 leaks a goroutine at 0.25s", Rule: "another rule", Tests: []string{"TestFour4A"}, Points: 2},
		{What: "skipped: no port", Tests: []string{"TestFive4A"}, Points: 3},
	}, causes)
	require.Equal(t, "2 tests, 4 points: TestOne4A, TestThree4A", causes[0].Cost())

	var page bytes.Buffer
	require.NoError(t, StudentPage(&page, StudentOf(r), ""))
	summary, _, found := bytes.Cut(page.Bytes(), []byte("<section class=\"lab\">"))
	require.True(t, found)
	require.Contains(t, string(summary), "1 of 5 tests passed.")
	require.Equal(t, 3, bytes.Count(page.Bytes(), []byte("<details>")))
	causes, passed, tests = causesOf(perfect("bob", ""))
	require.Equal(t, "All 6 tests passed.", verdict(causes, passed, tests)[:19])
	refused := sample()
	refused.Labs = refused.Labs[:1]
	causes, passed, tests = causesOf(sum(refused))
	require.Equal(t, "0 of 1 test passed. The others have one cause:", verdict(causes, passed, tests))
	require.Equal(t, "01-links does not compile: labs/01-links/stubborn.go:9:2: undefined: x", causes[0].What)
}

// The class's page counts what became of each test, of those who were graded.
func TestDifficultyOfTests(t *testing.T) {
	var d difficulty
	for s, err := range someClass() {
		require.NoError(t, err)
		if s.graded() {
			d.add(s.Result)
		}
	}
	rows := map[string]testRow{}
	for _, row := range d.rows {
		rows[row.Name] = *row
	}
	require.Equal(t, testRow{lab: "04-election", Part: "4C", Name: "TestOneLeaderPerTerm4C", Max: 20, Passed: 1, Failed: 1}, rows["TestOneLeaderPerTerm4C"])
	require.Equal(t, testRow{lab: "01-links", Part: "1A", Name: "TestDeliversDespiteLoss1A", Max: 20, Passed: 1, NotRun: 1}, rows["TestDeliversDespiteLoss1A"])
	one := rows["TestOneLeaderPerTerm4C"]
	require.Equal(t, "50 %", one.Share())
	require.Equal(t, "–", testRow{NotRun: 3}.Share())
}

// What is not graded has no points in any form that can say so, and the reason is there.
func TestNotGradedIsNotZero(t *testing.T) {
	r := corrupt("carol")
	const why = "the archive is corrupt"
	zero := regexp.MustCompile(`\b0(/| of )\d+|:=>> *0|"score": *0`)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"github":       func(b *bytes.Buffer) error { return Summary(b, r) },
		"vpl":          func(b *bytes.Buffer) error { return VPL(b, r, 100) },
		"prairielearn": func(b *bytes.Buffer) error { return PrairieLearn(b, r) },
		"csv":          func(b *bytes.Buffer) error { return CSV(b, OfResults(r)) },
		"html":         func(b *bytes.Buffer) error { return ClassPage(b, "Labs", OfResults(r), nil) },
	} {
		var out bytes.Buffer
		require.NoError(t, write(&out), name)
		require.Contains(t, out.String(), why, name)
		require.Empty(t, zero.FindAllString(out.String(), -1), "%s:\n%s", name, out.String())
	}
}
