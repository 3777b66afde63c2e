package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/submission"
)

func soakCommand() *cobra.Command {
	run := grade.Run{}
	var jobs int
	procs := []int{1}
	src := submission.Source{Kind: course.Solution}
	cmd := &cobra.Command{
		Use:   "soak [lab or part ...]",
		Short: "Run the reference over many seeds: none may fail, and each must replay",
		Long: `Run the reference over many seeds, each of them twice, and print how many failed
(false failures) and how many did not replay identically (diverged).

Exit status: 0 only if both are zero and every test ran all seeds.`,
		Example: "  grade soak 01 --seeds 1000 --procs 1,2",
		RunE: action(func(cmd *cobra.Command, args []string) error {
			c, selected, err := open(args)
			if err != nil {
				return err
			}
			if run.Seeds < 1 || run.Timeout <= 0 || jobs < 0 {
				return usage(errors.New("--seeds and --timeout must be above zero, --jobs not below"))
			}
			for _, n := range procs {
				if n < 1 {
					return usage(fmt.Errorf("--procs %d is not a number of processors", n))
				}
			}
			var soaks []prove.Soak
			err = withGrader(cmd, c, jobs, newStatus(cmd.ErrOrStderr(), ofRuns, 2*run.Seeds*countTests(selected)*len(procs)), func(g *grade.Grader) error {
				if src.Path != "" {
					src.Kind, src.Base = course.Submission, course.Solution
				}
				soaks, err = prove.New(g).RunSoak(cmd.Context(), src, selected, run, procs)
				return err
			})
			if err != nil {
				return err
			}
			return printSoaks(newPrinter(cmd.OutOrStdout()), soaks, run.Seeds)
		}),
	}
	flags := cmd.Flags()
	flags.IntVar(&run.Seeds, "seeds", 1000, "seeds per test")
	flags.IntSliceVar(&procs, "procs", procs, "GOMAXPROCS of the tests; several values run one after another")
	flags.DurationVar(&run.Timeout, "timeout", time.Hour, "real time per test")
	flags.StringVar(&src.Path, "submission", "", "soak the files of this directory in place of the reference's; the labs that it builds on are the reference's")
	flags.BoolVar(&run.Plain, "plain", false, "without the race detector: many times as fast, but its scheduler finds more")
	flags.IntVar(&jobs, "jobs", 0, "processes at a time (default: one per core)")
	return cmd
}

// printSoaks prints one row a test and the false-failure rate.
func printSoaks(p *printer, soaks []prove.Soak, seeds int) error {
	t := table{head: []string{"test", "procs", "seeds", "failed", "diverged", "virtual", "real"}}
	ran, failed, diverged, dirty := 0, 0, 0, 0
	for _, s := range soaks {
		t.add(s.Test.Name, strconv.Itoa(s.Procs), strconv.Itoa(s.Test.Seeds), count(p, len(s.Test.Failed)),
			count(p, len(s.Test.Diverged)), seconds(s.Test.Virtual), seconds(s.Test.Real))
		ran += s.Test.Seeds
		failed += len(s.Test.Failed)
		diverged += len(s.Test.Diverged)
		if !s.Clean(seeds) {
			dirty++
		}
	}
	p.table(t)
	p.printf("\n%d seeds: %d false failures (%.4f%%), %d diverged\n", ran, failed, percent(failed, ran), diverged)
	if dirty == 0 {
		return nil
	}
	for _, s := range soaks {
		if s.Clean(seeds) {
			continue
		}
		p.printf("\n%s with GOMAXPROCS=%d: %d of %d seeds ran, failed %v, diverged %v\n", p.bad(s.Test.Name), s.Procs,
			s.Test.Seeds, seeds, some(s.Test.Failed), some(s.Test.Diverged))
		if len(s.Test.Failures) > 0 {
			p.printf("%s\n", s.Test.Failures[0].Text())
		}
	}
	return &exitError{code: exitFailed}
}

// some is the first few of a list of seeds.
func some(seeds []uint64) string {
	if len(seeds) > 10 {
		return fmt.Sprintf("%v and %d more", seeds[:10], len(seeds)-10)
	}
	return fmt.Sprint(seeds)
}

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

func count(p *printer, n int) string {
	if n == 0 {
		return p.good("0")
	}
	return p.bad(strconv.Itoa(n))
}
