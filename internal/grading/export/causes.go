package export

import (
	"fmt"
	"regexp"
	"strings"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// A cause is why tests did not pass: one sentence, and the tests that it cost.
type cause struct {
	What, Rule string
	Tests      []string
	Points     int // that these tests are worth
}

var numbers = regexp.MustCompile(`\d+`)

// causesOf groups the tests that did not pass by the rule that they break, or, without one, by what they say, except for the numbers in
// it. The causes are in the order of their first tests, and the first test's sentence stands for all.
func causesOf(r *result.Result) (all []*cause, passed, tests int) {
	known := map[string]*cause{}
	r.Tests(func(lab *result.Lab, _ *result.Part, t *result.Test) {
		tests++
		if t.Status == report.Pass {
			passed++
			return
		}
		what, rule := whyNot(lab, t)
		key := rule
		if rule == "" {
			key = numbers.ReplaceAllString(what, "#")
		}
		if known[key] == nil {
			known[key] = &cause{What: what, Rule: rule}
			all = append(all, known[key])
		}
		c := known[key]
		c.Tests = append(c.Tests, line(t.Name))
		c.Points += t.Max
	})
	return all, passed, tests
}

// whyNot is why a test did not pass, in one sentence, and the rule that was broken.
func whyNot(lab *result.Lab, t *result.Test) (what, rule string) {
	switch {
	case lab.Refused != "":
		return notRun(lab), ""
	case t.Status == report.Skip:
		return line("skipped: " + t.Skipped), ""
	case len(t.Failures) == 0:
		return "failed without a message", ""
	}
	f := t.Failures[0]
	if what = line(f.What); what == "" {
		what = line(string(f.Kind))
	}
	return what, line(f.Rule)
}

// notRun says that a lab was not run, and why.
func notRun(lab *result.Lab) string {
	if strings.HasPrefix(lab.Refused, "does not compile") {
		return line(lab.ID + " " + lab.Refused)
	}
	return line(lab.ID + " was not run: " + lab.Refused)
}

// verdict is the first sentence of a student's page.
func verdict(causes []*cause, passed, tests int) string {
	switch {
	case passed == tests:
		return fmt.Sprintf("All %s passed.", plural(tests, "test"))
	case len(causes) == 1:
		return fmt.Sprintf("%d of %s passed. The others have one cause:", passed, plural(tests, "test"))
	}
	return fmt.Sprintf("%d of %s passed. Why the others did not:", passed, plural(tests, "test"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Cost says which tests a cause failed, the first few by name.
func (c *cause) Cost() string {
	const few = 6
	names := c.Tests
	more := ""
	if len(names) > few {
		more = fmt.Sprintf(" and %d more", len(names)-few)
		names = names[:few]
	}
	return fmt.Sprintf("%s, %s: %s%s", plural(len(c.Tests), "test"), plural(c.Points, "point"), strings.Join(names, ", "), more)
}
