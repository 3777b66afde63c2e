package main

import (
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/workspace"
)

func listCommand() *cobra.Command {
	var rules bool
	cmd := &cobra.Command{
		Use:   "list [lab or part ...]",
		Short: "List labs, parts, tests and points",
		Long: `List the parts of the labs, their tests and their points.

With --rules, list the rules of each lab instead, clause by clause: the tests of
each clause, and the known-wrong solutions that break it (labs/<lab>/rules.yaml).`,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			if rules {
				return listRules(p, c, selected)
			}
			for _, s := range selected {
				t := table{head: []string{s.Lab.ID, "points", "files"}}
				for _, part := range s.Parts {
					t.add(part.ID+"  "+part.Title, p.strong(strconv.Itoa(part.Points)), join(part.Files))
					for _, test := range part.Tests {
						t.add("    "+test.Name, strconv.Itoa(test.Points), "")
					}
				}
				p.table(t)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&rules, "rules", false, "list rules, their clauses, the tests that hold them and the mutants that break them")
	return cmd
}

// listRules prints the rule matrix of each lab. A clause that no mutant breaks has an empty last column.
func listRules(p *printer, c *course.Course, selected []course.Selected) error {
	for _, s := range selected {
		rules, err := c.Rules(s.Lab)
		if err != nil {
			return err
		}
		mutants, err := prove.Mutants(c, s.Lab)
		if err != nil {
			return err
		}
		p.printf("%s\n", p.strong(s.Lab.ID))
		for _, rule := range rules {
			p.printf("\n%s %s\n", p.strong(strconv.Itoa(rule.Number)+"."), rule.Says)
			for _, clause := range rule.Clauses {
				var breakers []string
				for _, m := range mutants {
					if slices.Contains(m.Breaks, clause.ID) {
						breakers = append(breakers, m.Name)
					}
				}
				held := p.bad("no mutant breaks it")
				if len(breakers) > 0 {
					held = join(breakers)
				}
				p.printf("    %-4s %s\n         tests:   %s\n         mutants: %s\n", clause.ID, clause.Says, join(clause.Tests), held)
			}
		}
		p.printf("\n")
	}
	return nil
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check what grading needs of this machine",
		Args:  cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, _, err := open(nil)
			if err != nil {
				return err
			}
			checks, err := workspace.Doctor(cmd.Context(), c.Root)
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
			ok := true
			for _, check := range checks {
				if check.OK {
					p.printf("%s       %s: %s\n", p.good("ok"), check.Name, check.Is)
					continue
				}
				ok = false
				p.printf("%s  %s: %s\n         %s\n", p.bad("missing"), check.Name, check.Is, check.Do)
			}
			if !ok {
				return &exitError{code: exitInfrastructure}
			}
			return nil
		}),
	}
}
