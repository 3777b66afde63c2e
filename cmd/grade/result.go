package main

import (
	"fmt"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// printResult prints the table of parts, then what failed: the first in full,
// the others in a line each, or with verbose all of them in full.
func printResult(p *printer, r *result.Result, verbose bool) {
	if r.Ungraded != "" { // which is not the same as no points
		p.printf("%s %s\n", p.bad("not graded:"), oneLine(r.Ungraded))
		return
	}
	for _, lab := range r.Labs {
		printLab(p, r.Source.Kind, lab, verbose)
	}
	if len(r.Labs) > 1 {
		p.printf("\n%s %d/%d\n", p.strong("all labs"), r.Points, r.Max)
	}
	for _, lab := range r.Labs {
		printRefusal(p, lab)
	}
	printFailures(p, r, verbose)
}

// printLab prints the table of one lab.
func printLab(p *printer, from course.Origin, lab result.Lab, verbose bool) {
	t := table{head: []string{lab.ID, "points", "tests", "seeds", "virtual", "real"}}
	for _, part := range lab.Parts {
		passed, seeds := 0, 0
		for _, test := range part.Tests {
			seeds += test.Seeds
			if test.Status == report.Pass {
				passed++
			}
		}
		t.add(part.ID+"  "+part.Title, points(p, part.Points, part.Max), fmt.Sprintf("%d/%d", passed, len(part.Tests)),
			fmt.Sprint(seeds), seconds(part.VirtualTime().Seconds()), seconds(part.Seconds()))
		if !verbose {
			continue
		}
		for _, test := range part.Tests {
			t.add("    "+test.Name, points(p, test.Points, test.Max), string(test.Status), fmt.Sprint(test.Seeds),
				seconds(test.Virtual), seconds(test.Real))
			for _, m := range test.Measures {
				t.add("        "+strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", m.Name, m.Number(), m.Unit, m.Bound)), "", "", "", "", "")
			}
		}
	}
	t.add(p.strong("total"), points(p, lab.Points, lab.Max), "", "", "", "")
	p.table(t)
	if !verbose {
		printMeasures(p, lab)
	}
	for _, base := range lab.Base {
		if base.Kind == course.Solution && from != course.Solution {
			p.printf("note: %s is built on the reference's %s\n", lab.ID, base.Lab)
		}
	}
	for _, note := range lab.Notes {
		p.printf("note: %s\n", note)
	}
}

// printMeasures prints what was measured of something that has a limit, beside the limit.
func printMeasures(p *printer, lab result.Lab) {
	t := table{head: []string{"test", "measured", "value", "limit"}}
	for _, part := range lab.Parts {
		for _, test := range part.Tests {
			for _, m := range test.Measures {
				if m.Bound != "" {
					t.add(test.Name, oneLine(m.Name), strings.TrimSpace(m.Number()+" "+oneLine(m.Unit)), oneLine(m.Bound))
				}
			}
		}
	}
	if len(t.rows) > 0 {
		p.printf("\n")
		p.table(t)
	}
}

// points colours a score: all, none, or some of the points.
func points(p *printer, got, of int) string {
	text := fmt.Sprintf("%d/%d", got, of)
	if got == of {
		return p.good(text)
	}
	return p.bad(text)
}

// printRefusal says why nothing of a lab was run.
func printRefusal(p *printer, lab result.Lab) {
	if lab.Refused == "" {
		return
	}
	p.printf("\n%s %s: %s\n", p.bad("not run:"), lab.ID, lab.Refused)
	for _, line := range lab.Compile[min(1, len(lab.Compile)):] {
		p.printf("    %s\n", line)
	}
}

// printFailures prints the first failure in full and each other in a line; those that say what an earlier one said share a line.
func printFailures(p *printer, r *result.Result, verbose bool) {
	shown := 0
	first, alike := map[string]string{}, map[string][]string{} // by sentence: the first test that said it, and the others
	var repeated []string                                      // the sentences that others said too
	r.Tests(func(lab *result.Lab, part *result.Part, t *result.Test) {
		switch {
		case lab.Refused != "" || t.Status == report.Pass:
		case t.Status == report.Skip:
			p.printf("\n%s %s: %s\n", p.strong("skipped:"), t.Name, oneLine(t.Skipped))
		case shown == 0 || verbose:
			p.printf("\n%s %s (%s, %s)\n%s\n", p.bad("failed:"), t.Name, part.ID, t.Worth(), strings.TrimRight(t.Failures[0].Text(), "\n"))
			shown++
			first[t.Failures[0].What] = t.Name
		case first[t.Failures[0].What] != "":
			what := t.Failures[0].What
			if alike[what] == nil {
				repeated = append(repeated, what)
			}
			alike[what] = append(alike[what], t.Name)
		default:
			if shown == 1 {
				p.printf("\n")
			}
			f := t.Failures[0]
			first[f.What] = t.Name
			p.printf("%s %s: %s [%s]\n", p.bad("failed:"), t.Name, oneLine(f.What), howToSee(r, lab, part.ID, f))
			shown++
		}
	})
	if shown == 1 && len(repeated) > 0 {
		p.printf("\n")
	}
	for _, what := range repeated {
		p.printf("%s %s: the same as %s\n", p.bad("failed:"), join(alike[what]), first[what])
	}
}

// howToSee is the command that shows a failure in full.
func howToSee(r *result.Result, lab *result.Lab, part string, f report.Failure) string {
	switch r.Source.Kind {
	case course.WorkingTree:
		return oneLine(f.Replay)
	case course.Submission:
		base := ""
		if len(lab.Base) > 0 && lab.Base[0].Kind == course.Solution {
			base = "--base reference "
		}
		return fmt.Sprintf("grade run %s --verbose %s--submission %s", part, base, r.Source.Path)
	default:
		return fmt.Sprintf("grade run %s --verbose --solution", part)
	}
}

// oneLine keeps a stranger's text from breaking out of its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
