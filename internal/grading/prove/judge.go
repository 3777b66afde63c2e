package prove

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// Harness is what a mutant's header lists after the clauses that it breaks if it may die by what the harness notices: a data
// race, a leak, a panic, a lock that is held across a wait, a test that does not end. Such a failure cites no rule of the lab.
const Harness = "harness"

// raced reports whether the mutant is run with the race detector: it may die by its word, or its header does not say by what.
func (m Mutant) raced() bool { return len(m.Breaks) == 0 || slices.Contains(m.Breaks, Harness) }

// BrokenRules lists the numbers of the rules whose clauses the mutant breaks.
func (m Mutant) BrokenRules() []int {
	var rules []int
	for _, clause := range m.Breaks {
		if n, err := strconv.Atoi(strings.TrimRight(clause, "abcdefghijklmnopqrstuvwxyz")); err == nil {
			rules = append(rules, n)
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// Unknown lists the clauses in the mutant's header that the lab's rules do not have.
func (m Mutant) Unknown(rules course.Rules) []string {
	var unknown []string
	for _, clause := range m.Breaks {
		if _, _, ok := rules.Find(clause); !ok && clause != Harness {
			unknown = append(unknown, clause)
		}
	}
	return unknown
}

// shows reports whether a failure shows that a rule is broken: it cites the rule, or it is the harness's and the
// mutant may die so.
func (m Mutant) shows(f report.Failure, rule int) bool {
	if f.Kind != report.Rule {
		return slices.Contains(m.Breaks, Harness)
	}
	return slices.Contains(course.Cited(f.Rule), rule)
}

// astray says under which rules a failure is that shows none of those that the mutant breaks: "rule 27, want 12". It is ""
// for one that does, and for a mutant whose header names no clause.
func (m Mutant) astray(f report.Failure) string {
	broken := m.BrokenRules()
	if len(m.Breaks) == 0 || slices.ContainsFunc(broken, func(rule int) bool { return m.shows(f, rule) }) ||
		f.Kind != report.Rule && slices.Contains(m.Breaks, Harness) {
		return ""
	}
	under := "no rule"
	if f.Kind != report.Rule {
		under = fmt.Sprintf("the harness (%s)", f.Kind)
	} else if cited := course.Cited(f.Rule); len(cited) > 0 {
		under = "rule " + numbers(cited)
	}
	want := "rule " + numbers(broken)
	if len(broken) == 0 {
		want = "the harness"
	}
	return under + ", want " + want
}

func numbers(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ", ")
}

// Proves reports whether the mutant shows that a clause is held: the clause is among those that it breaks, and in every repetition the
// named test, which is one of the clause's, killed it with a failure that cites the clause's rule.
func (f MutantResult) Proves(clause course.Clause, rule int) bool {
	return f.Dead() && f.Mutant.MayProve(clause) && f.Mutant.shows(f.Said, rule)
}

// MayProve reports whether the mutant breaks a clause and names one of its tests: then its death may prove that the clause is held.
func (m Mutant) MayProve(clause course.Clause) bool {
	return slices.Contains(m.Breaks, clause.ID) && slices.Contains(clause.Tests, m.DiesBy)
}

// Breakers lists the mutants that may prove that a clause is held.
func Breakers(clause course.Clause, mutants []Mutant) (list []Mutant) {
	for _, m := range mutants {
		if m.MayProve(clause) {
			list = append(list, m)
		}
	}
	return list
}
