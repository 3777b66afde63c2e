package prove

import (
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// A mutant must die by a message that cites a rule which it breaks.
func TestAstray(t *testing.T) {
	rule := func(text string) report.Failure { return report.Failure{Kind: report.Rule, Rule: text} }
	for _, tc := range []struct {
		name    string
		breaks  []string
		failure report.Failure
		want    string
	}{
		{"its rule", []string{"12a"}, rule("a majority (rule 12; Raft §5.2)"), ""},
		{"one of several", []string{"12a", "14b"}, rule("a majority (rules 9 and 14)"), ""},
		{"another rule", []string{"12a", "14b"}, rule("one vote (rules 9 and 10)"), "rule 9, 10, want rule 12, 14"},
		{"no rule", []string{"12a"}, rule("a majority"), "no rule, want rule 12"},
		{"another lab's rule", []string{"12a"}, rule("agreement (lab 05, rule 12)"), "no rule, want rule 12"},
		{"a race", []string{"12a"}, report.Failure{Kind: report.Race, Rule: "memory model"}, "the harness (race), want rule 12"},
		{"a race that the header allows", []string{"12a", Harness}, report.Failure{Kind: report.Race}, ""},
		{"a rule, where the header allows a race too", []string{"12a", Harness}, rule("(rule 13)"), "rule 13, want rule 12"},
		{"a race alone", []string{Harness}, report.Failure{Kind: report.Race}, ""},
		{"a rule where a race is wanted", []string{Harness}, rule("(rule 13)"), "rule 13, want the harness"},
		{"a header without clauses is not judged", nil, rule("(rule 13)"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Equal(t, tc.want, Mutant{Breaks: tc.breaks}.astray(tc.failure)) })
	}
}

// A mutant that breaks two clauses proves the one whose rule the message cites.
func TestProves(t *testing.T) {
	fate := MutantResult{
		Mutant: Mutant{DiesBy: "TestX", Breaks: []string{"12a", "14b"}}, Runs: 2, Killed: map[string]int{"TestX": 2},
		Said: report.Failure{Kind: report.Rule, Rule: "a majority (rule 14)"},
	}
	require.True(t, fate.Proves(course.Clause{ID: "14b", Tests: []string{"TestX"}}, 14))
	require.False(t, fate.Proves(course.Clause{ID: "12a", Tests: []string{"TestX"}}, 12), "the message is about the other")
	require.False(t, fate.Proves(course.Clause{ID: "14b", Tests: []string{"TestY"}}, 14), "the clause is held by another test")
	require.False(t, fate.Proves(course.Clause{ID: "14c", Tests: []string{"TestX"}}, 14), "the header does not name the clause")
	fate.Killed["TestX"] = 1
	require.False(t, fate.Proves(course.Clause{ID: "14b", Tests: []string{"TestX"}}, 14), "it survived a repetition")
}
