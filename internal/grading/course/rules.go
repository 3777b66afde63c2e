package course

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoRules says that a lab has no rules.yaml.
var ErrNoRules = errors.New("course: the lab has no rules.yaml")

// Rule is one numbered rule of a lab's README.
type Rule struct {
	Number  int
	Says    string // its short name
	Clauses []Clause
}

// Clause is one requirement of a rule: what some test holds, and some known-wrong solution breaks.
type Clause struct {
	ID    string // 12a
	Says  string
	Tests []string // those that hold it
}

// Rules is all rules of a lab, in the order of their numbers.
type Rules []Rule

// Find returns the clause of an id, and the number of its rule.
func (r Rules) Find(id string) (clause Clause, rule int, ok bool) {
	for _, rule := range r {
		for _, c := range rule.Clauses {
			if c.ID == id {
				return c, rule.Number, true
			}
		}
	}
	return Clause{}, 0, false
}

// RulesFile is the path of the lab's rules, relative to the course's root, with slashes.
func (l Lab) RulesFile() string { return l.Dir() + "/rules.yaml" }

// Rules reads and checks a lab's rules.yaml. The error wraps ErrNoRules if there is none; any other is one line that names the
// file, the line in it where there is one, and what is wrong.
func (c *Course) Rules(lab Lab) (Rules, error) {
	file := lab.RulesFile()
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(file)))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrNoRules, file)
	case err != nil:
		return nil, fmt.Errorf("course: %w", err)
	}
	raw, err := decode[rawRules](file, text)
	if err == nil {
		err = ruleChecker{file: file, lab: lab}.check(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("course: %w", err)
	}
	return raw.rules(), nil
}

// The raw forms mirror rules.yaml key by key.
type (
	rawRules struct {
		Rules []rawRule `yaml:"rules"`
	}
	rawRule struct {
		Rule    located[int]    `yaml:"rule"`
		Says    located[string] `yaml:"says"`
		Clauses []rawClause     `yaml:"clauses"`
	}
	rawClause struct {
		ID    located[string]   `yaml:"id"`
		Says  located[string]   `yaml:"says"`
		Tests []located[string] `yaml:"tests"`
	}
)

// rules converts what the checker has passed.
func (r rawRules) rules() (list Rules) {
	for _, one := range r.Rules {
		rule := Rule{Number: one.Rule.value, Says: one.Says.value}
		for _, c := range one.Clauses {
			rule.Clauses = append(rule.Clauses, Clause{ID: c.ID.value, Says: c.Says.value, Tests: values(c.Tests)})
		}
		list = append(list, rule)
	}
	return list
}

// ruleChecker holds a rules.yaml against the lab.
type ruleChecker struct {
	file string
	lab  Lab
}

func (c ruleChecker) fail(line int, format string, args ...any) error {
	return &problem{file: c.file, line: line, what: fmt.Sprintf(format, args...)}
}

func (c ruleChecker) check(r rawRules) error {
	if len(r.Rules) == 0 {
		return c.fail(0, "rules is missing")
	}
	last := 0
	ids := map[string]bool{}
	for _, rule := range r.Rules {
		n := rule.Rule.value
		switch {
		case rule.Rule.line == 0:
			return c.fail(rule.Says.line, "a rule has no number")
		case n <= last:
			return c.fail(rule.Rule.line, "rule %d follows rule %d: want each number once, in ascending order", n, last)
		case strings.TrimSpace(rule.Says.value) == "":
			return c.fail(rule.Rule.line, "rule %d does not say what it is about: says is missing", n)
		case len(rule.Clauses) == 0:
			return c.fail(rule.Rule.line, "rule %d has no clauses", n)
		}
		last = n
		for _, clause := range rule.Clauses {
			if err := c.clause(n, rule.Rule.line, clause, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c ruleChecker) clause(rule, line int, r rawClause, ids map[string]bool) error {
	id, line := r.ID.value, max(line, r.ID.line)
	switch {
	case id == "":
		return c.fail(max(line, r.Says.line), "a clause of rule %d has no id", rule)
	case !regexp.MustCompile(fmt.Sprintf(`^%d[a-z]?$`, rule)).MatchString(id):
		return c.fail(line, "clause %q of rule %d is not named like %da: the rule's number and a letter", id, rule, rule)
	case ids[id]:
		return c.fail(line, "clause %s is there twice", id)
	case strings.TrimSpace(r.Says.value) == "":
		return c.fail(line, "clause %s does not say what it demands: says is missing", id)
	case len(r.Tests) == 0:
		return c.fail(line, "clause %s has no tests", id)
	}
	ids[id] = true
	var seen []string
	for _, t := range r.Tests {
		switch {
		case !slices.ContainsFunc(c.lab.Tests(), func(known Test) bool { return known.Name == t.value }):
			return c.fail(t.line, "clause %s: the lab has no test %s", id, t.value)
		case slices.Contains(seen, t.value):
			return c.fail(t.line, "clause %s: test %s is there twice", id, t.value)
		}
		seen = append(seen, t.value)
	}
	return nil
}

// citation matches "rule 12", "rules 9 and 10", "rules 3, 4 and 7", "rules 18 to 21", and what names another lab's: "lab 05, rule 12".
var citation = regexp.MustCompile(`(\blab \d\d?,? )?\brules? (\d+(?:(?:, | and |, and | or | to )\d+)*)`)

var citedNumber = regexp.MustCompile(`(to )?(\d+)`)

// Cited lists the numbers of the lab's own rules that a message cites, each once, in ascending order.
func Cited(message string) []int {
	var numbers []int
	for _, match := range citation.FindAllStringSubmatch(message, -1) {
		if match[1] != "" {
			continue
		}
		for _, one := range citedNumber.FindAllStringSubmatch(match[2], -1) {
			n, err := strconv.Atoi(one[2])
			if err != nil {
				continue // more digits than a number has
			}
			if one[1] != "" && len(numbers) > 0 {
				for between := numbers[len(numbers)-1] + 1; between < n; between++ {
					numbers = append(numbers, between)
				}
			}
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
