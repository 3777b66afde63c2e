package course

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const goodRules = `# The rules of README.md, clause by clause.
rules:
  - rule: 1
    says: "Messages arrive."
    clauses:
      - id: 1a
        says: "A message arrives within 5s."
        tests: [TestDelivers1A]
      - id: 1b
        says: "A message arrives once."
        tests: [TestOnce1B, TestDelivers1A]
  - rule: 3
    says: "Sending stops."
    clauses:
      - {id: "3", says: "A message that is acknowledged is not sent again.", tests: [TestStops1A]}
`

func TestRules(t *testing.T) {
	root := newCourse(t, good)
	c, err := Load(root)
	require.NoError(t, err)
	_, err = c.Rules(c.Labs[0])
	require.ErrorIs(t, err, ErrNoRules)
	write(t, root, "labs/01-links/rules.yaml", goodRules)
	rules, err := c.Rules(c.Labs[0])
	require.NoError(t, err)
	require.Equal(t, Rules{
		{Number: 1, Says: "Messages arrive.", Clauses: []Clause{
			{ID: "1a", Says: "A message arrives within 5s.", Tests: []string{"TestDelivers1A"}},
			{ID: "1b", Says: "A message arrives once.", Tests: []string{"TestOnce1B", "TestDelivers1A"}},
		}},
		{Number: 3, Says: "Sending stops.", Clauses: []Clause{{ID: "3", Says: "A message that is acknowledged is not sent again.", Tests: []string{"TestStops1A"}}}},
	}, rules)
	clause, rule, ok := rules.Find("1b")
	require.True(t, ok)
	require.Equal(t, 1, rule)
	require.Equal(t, "1b", clause.ID)
	_, _, ok = rules.Find("2a")
	require.False(t, ok)
}

func TestRulesRefuses(t *testing.T) {
	for _, tc := range []struct {
		name     string
		old, new string
		want     string // after "course: labs/01-links/rules.yaml"
	}{
		{"an empty file", goodRules, "", ": is empty"},
		{"an unknown key", "says: \"Sending", "name: \"Sending", `:13: unknown key "name"`},
		{"no rules", goodRules[strings.Index(goodRules, "rules:"):], "rules: []\n", ": rules is missing"},
		{"a number that is none", "rule: 3", "rule: three", ":12: found str `three`, want a whole number"},
		{"a rule twice", "rule: 3", "rule: 1", ":12: rule 1 follows rule 1: want each number once, in ascending order"},
		{"rules out of order", "rule: 1", "rule: 4", ":6: clause \"1a\" of rule 4 is not named like 4a: the rule's number and a letter"},
		{"a rule without name", "\"Sending stops.\"", "\"\"", ":12: rule 3 does not say what it is about: says is missing"},
		{"no clauses", "clauses:\n      - {id: \"3\", says: \"A message that is acknowledged is not sent again.\", tests: [TestStops1A]}", "clauses: []", ":12: rule 3 has no clauses"},
		{"a clause of another rule", "id: 1b", "id: 2b", ":9: clause \"2b\" of rule 1 is not named like 1a: the rule's number and a letter"},
		{"a clause twice", "id: 1b", "id: 1a", ":9: clause 1a is there twice"},
		{"a clause without id", "id: 1b\n        ", "", ":9: a clause of rule 1 has no id"},
		{"a clause that says nothing", "A message arrives once.", " ", ":9: clause 1b does not say what it demands: says is missing"},
		{"no tests", "[TestDelivers1A]", "[]", ":6: clause 1a has no tests"},
		{"a test that does not exist", "[TestDelivers1A]", "[TestDeliver1A]", ":8: clause 1a: the lab has no test TestDeliver1A"},
		{"a test twice", "[TestDelivers1A]", "[TestDelivers1A, TestDelivers1A]", ":8: clause 1a: test TestDelivers1A is there twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, goodRules, tc.old, "the edit must change something")
			root := newCourse(t, good)
			c, err := Load(root)
			require.NoError(t, err)
			write(t, root, "labs/01-links/rules.yaml", strings.Replace(goodRules, tc.old, tc.new, 1))
			_, err = c.Rules(c.Labs[0])
			require.EqualError(t, err, "course: labs/01-links/rules.yaml"+tc.want)
		})
	}
}

func TestCited(t *testing.T) {
	for message, want := range map[string][]int{
		"at most one leader per term (rule 9; Raft §5.2)":           {9},
		"a server keeps what it has said (§5.6; rules 1 and 4)":     {1, 4},
		"what the acceptors check (rules 18 to 21)":                 {18, 19, 20, 21},
		"both (rules 24, 27, 28)":                                   {24, 27, 28},
		"all (rules 24, 25 and 27; also rule 3)":                    {3, 24, 25, 27},
		"rule 12: entry k of V(e) counts the events of node k":      {12},
		"a leader within 5s (lab 05, rule 10)":                      nil,
		"the rule of 3 servers, and 4 rules":                        nil,
		"do not hold a mutex across Call, a channel or Sleep":       nil,
		"a leader within 5s (rule 17; lab 05, rule 10; RFC 5905 3)": {17},
	} {
		require.Equal(t, want, Cited(message), message)
	}
}
