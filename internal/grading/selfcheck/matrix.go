package selfcheck

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/result"
)

// Matrix checks the lab's rules without running anything: README.md and rules.yaml have the same numbers, the messages of the
// tests cite no other, each mutant names clauses that exist, and each clause has a mutant that breaks it and dies by one of
// its tests.
func Matrix(c *course.Course, lab course.Lab) Check {
	check := Check{Lab: lab.ID, Promise: "README.md, rules.yaml, the tests and the mutants have the same rules"}
	numbers, err := ruleNumbers(c, lab)
	if err != nil {
		check.Problems = append(check.Problems, err.Error())
		return check
	}
	cited, err := citedByTests(filepath.Join(c.Root, filepath.FromSlash(lab.Dir())))
	if err != nil {
		check.Problems = append(check.Problems, err.Error())
	}
	for _, one := range cited {
		if !slices.Contains(numbers, one.rule) {
			check.Problems = append(check.Problems, fmt.Sprintf("%s:%d: a message cites rule %d, which README.md does not have", one.file, one.line, one.rule))
		}
	}
	rules, err := c.Rules(lab)
	switch {
	case errors.Is(err, course.ErrNoRules):
		check.Problems = append(check.Problems, lab.RulesFile()+" is missing: nothing says which tests hold which rule")
		return check
	case err != nil:
		check.Problems = append(check.Problems, strings.TrimPrefix(err.Error(), "course: "))
		return check
	}
	check.Problems = append(check.Problems, sameNumbers(numbers, rules)...)
	mutants, err := prove.Mutants(c, lab)
	if err != nil {
		return check // the check of the mutants says so
	}
	check.Problems = append(check.Problems, broken(rules, mutants)...)
	return check
}

var numberedRule = regexp.MustCompile(`(?m)^ *(\d+)\. `)

// ruleNumbers lists the numbers of the rules on the lab's page.
func ruleNumbers(c *course.Course, lab course.Lab) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(lab.Dir()), "README.md"))
	if err != nil {
		return nil, fmt.Errorf("README.md cannot be read: %w", err)
	}
	sections, _ := split(string(text))
	var numbers []int
	for _, match := range numberedRule.FindAllStringSubmatch(sections["The rules"], -1) {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			return nil, fmt.Errorf("README.md: rule %s: %w", match[1], err)
		}
		if slices.Contains(numbers, n) {
			return nil, fmt.Errorf("README.md has rule %d twice", n)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// sameNumbers holds the rules of rules.yaml against those of the page.
func sameNumbers(page []int, rules course.Rules) (problems []string) {
	var listed []int
	for _, r := range rules {
		listed = append(listed, r.Number)
		if !slices.Contains(page, r.Number) {
			problems = append(problems, fmt.Sprintf("rules.yaml has rule %d, which README.md does not have", r.Number))
		}
	}
	for _, n := range page {
		if !slices.Contains(listed, n) {
			problems = append(problems, fmt.Sprintf("README.md has rule %d, which rules.yaml does not have", n))
		}
	}
	return problems
}

// citation is a rule that a message of a test cites.
type citation struct {
	file string
	line int
	rule int
}

// citedByTests lists the rules that the texts in a folder's test files cite.
func citedByTests(dir string) ([]citation, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	var all []citation
	for _, path := range paths {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return true
			}
			for _, rule := range course.Cited(text) {
				all = append(all, citation{file: filepath.Base(path), line: fset.Position(lit.Pos()).Line, rule: rule})
			}
			return true
		})
	}
	return all, nil
}

// broken holds the headers of the mutants against the rules.
func broken(rules course.Rules, mutants []prove.Mutant) (problems []string) {
	for _, m := range mutants {
		if unknown := m.Unknown(rules); len(unknown) > 0 {
			problems = append(problems, fmt.Sprintf("mutant %s breaks %s, which rules.yaml does not have", m.Name, strings.Join(unknown, ", ")))
		}
		if len(m.Breaks) == 0 {
			problems = append(problems, fmt.Sprintf("mutant %s does not say which clause it breaks: its header needs a line like \"breaks: 12a\"", m.Name))
		}
	}
	for _, rule := range rules {
		for _, clause := range rule.Clauses {
			if len(prove.Breakers(clause, mutants)) == 0 {
				problems = append(problems, fmt.Sprintf("clause %s is held by no mutant: none breaks it and dies by %s", clause.ID, strings.Join(clause.Tests, " or ")))
			}
		}
	}
	return problems
}

// held checks the clauses of which all mutants were run: one of them must have died under the clause's own rule.
func held(rules course.Rules, all []prove.Mutant, fates []prove.MutantResult) Check {
	var c Check
	judged := 0
	for _, rule := range rules {
		for _, clause := range rule.Clauses {
			left := len(prove.Breakers(clause, all))
			proven := left == 0 // Matrix has said so
			for _, fate := range fates {
				if fate.Mutant.MayProve(clause) {
					left--
					proven = proven || fate.Proves(clause, rule.Number)
				}
			}
			if left > 0 && !proven {
				continue // a mutant that was not run may show it
			}
			judged++
			if !proven {
				c.Problems = append(c.Problems, fmt.Sprintf("clause %s: no mutant that breaks it dies by one of its tests with a message that cites rule %d", clause.ID, rule.Number))
			}
		}
	}
	c.Promise = fmt.Sprintf("each clause has a mutant that dies under its rule (%d clauses judged)", judged)
	return c
}

// uncited lists the failures of a result that cite a rule which README.md does not have.
func uncited(c *course.Course, lab course.Lab, r *result.Result) (problems []string) {
	numbers, err := ruleNumbers(c, lab)
	if err != nil {
		return nil // Matrix has said so
	}
	r.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
		for _, f := range t.Failures {
			for _, rule := range course.Cited(f.Rule) {
				if !slices.Contains(numbers, rule) {
					problems = append(problems, fmt.Sprintf("%s cites rule %d, which README.md does not have: %s", t.Name, rule, f.Rule))
				}
			}
		}
	})
	return problems
}
