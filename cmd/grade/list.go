package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/workspace"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [lab or part ...]",
		Short: "List labs, parts, tests and points",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			_, selected, err := open(args)
			if err != nil {
				return err
			}
			p := newPrinter(cmd.OutOrStdout())
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
