package selfcheck

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/internal/harness/report"
)

var rules = course.Rules{
	{Number: 1, Clauses: []course.Clause{{ID: "1a", Tests: []string{"TestX1A"}}, {ID: "1b", Tests: []string{"TestX1A", "TestY1A"}}}},
	{Number: 3, Clauses: []course.Clause{{ID: "3a", Tests: []string{"TestY1A"}}}},
}

func mutant(name, diesBy string, breaks ...string) prove.Mutant {
	return prove.Mutant{Name: name, DiesBy: diesBy, Breaks: breaks}
}

func TestSameNumbers(t *testing.T) {
	require.Empty(t, sameNumbers([]int{1, 3}, rules))
	require.Equal(t, []string{"rules.yaml has rule 3, which README.md does not have", "README.md has rule 2, which rules.yaml does not have"},
		sameNumbers([]int{1, 2}, rules))
}

func TestBrokenClauses(t *testing.T) {
	require.Empty(t, broken(rules, []prove.Mutant{mutant("a", "TestX1A", "1a", "1b"), mutant("b", "TestY1A", "3a", prove.Harness)}))
	require.Equal(t, []string{
		"mutant b breaks 3c, which rules.yaml does not have",
		`mutant c does not say which clause it breaks: its header needs a line like "breaks: 12a"`,
		"clause 1b is held by no mutant: none breaks it and dies by TestX1A or TestY1A",
		"clause 3a is held by no mutant: none breaks it and dies by TestY1A",
	}, broken(rules, []prove.Mutant{mutant("a", "TestX1A", "1a", "3a"), mutant("b", "TestY1A", "3c"), mutant("c", "TestY1A")}))
}

// A clause is held if one of its mutants dies under its rule. It is judged once one has, or all of them were run.
func TestHeld(t *testing.T) {
	all := []prove.Mutant{mutant("a", "TestX1A", "1a", "1b"), mutant("b", "TestY1A", "1b"), mutant("c", "TestY1A", "3a")}
	fate := func(m prove.Mutant, rule string) prove.MutantResult {
		return prove.MutantResult{Mutant: m, Runs: 1, Killed: map[string]int{m.DiesBy: 1}, Said: report.Failure{Kind: report.Rule, Rule: rule}}
	}
	c := held(rules, all, []prove.MutantResult{fate(all[0], "(rule 1)"), fate(all[1], "(rule 1)"), fate(all[2], "(rule 3)")})
	require.Empty(t, c.Problems)
	require.Contains(t, c.Promise, "3 clauses judged")
	c = held(rules, all, []prove.MutantResult{fate(all[0], "(rule 3)"), fate(all[2], "(rule 1)")})
	require.Contains(t, c.Promise, "2 clauses judged", "b was not run, and may hold 1b")
	require.Equal(t, []string{
		"clause 1a: no mutant that breaks it dies by one of its tests with a message that cites rule 1",
		"clause 3a: no mutant that breaks it dies by one of its tests with a message that cites rule 3",
	}, c.Problems)
}

func TestCitedByTests(t *testing.T) {
	dir := t.TempDir()
	text := "package x\n\nconst (\n\truleA = \"one leader (rule 9; Raft §5.2)\"\n\t// rule 77 is in a comment\n\truleB = `what lab 05, rule 8 says (rules 2 and 3)`\n)\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(text), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.go"), []byte("package x\n\nconst c = \"rule 5\"\n"), 0o666))
	cited, err := citedByTests(dir)
	require.NoError(t, err)
	require.Equal(t, []citation{{"x_test.go", 4, 9}, {"x_test.go", 6, 2}, {"x_test.go", 6, 3}}, cited)
}

// The messages of the real labs cite rules that their pages have.
func TestMessagesOfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, lab := range c.Labs {
		numbers, err := ruleNumbers(c, lab)
		require.NoError(t, err, lab.ID)
		require.NotEmpty(t, numbers, lab.ID)
		cited, err := citedByTests(filepath.Join(root, filepath.FromSlash(lab.Dir())))
		require.NoError(t, err)
		require.NotEmpty(t, cited, "no message of %s cites a rule", lab.ID)
		for _, one := range cited {
			require.Contains(t, numbers, one.rule, "%s/%s:%d", lab.ID, one.file, one.line)
		}
	}
}
