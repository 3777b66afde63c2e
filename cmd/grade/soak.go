package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	var others bool
	var only string
	procs := []int{1}
	src := submission.Source{Kind: course.Solution}
	cmd := &cobra.Command{
		Use:   "soak [lab or part ...]",
		Short: "Run the reference over many seeds: none may fail, and each must replay",
		Long: `Run the reference over many seeds, each of them once with the race detector and
twice without it (with --plain only that), and print how many failed (false failures)
and how many did not run identically each time (diverged). With --alternatives, run
the other correct solutions instead, each in the parts that it changes. Their seeds run
once in place of twice, and need not replay: goroutines may take their turns by chance.
An interrupt prints the tests that have run all seeds; --run can go on with the others.

Exit status: 0 only if both are zero and every test ran all seeds.`,
		Example: "  grade soak 01 --seeds 1000 --procs 1,2\n  grade soak 05 --alternatives --seeds 200 --plain",
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
			todo, err := soakRuns(c, selected, src, others, only)
			if err != nil {
				return err
			}
			run.Once = others
			tests := 0
			for _, r := range todo {
				tests += countTests(r.selected)
			}
			progress := newStatus(cmd.ErrOrStderr(), ofRuns, prove.RunsPerSeed(run)*run.Seeds*tests*len(procs))
			err = withGrader(cmd, c, jobs, progress, func(g *grade.Grader) (refused error) {
				for i, r := range todo {
					progress.of = r.name
					todo[i].soaks, err = prove.New(g).RunSoak(cmd.Context(), r.src, r.selected, run, procs)
					if no, ok := errors.AsType[*prove.RefusedError](err); ok { // the others run all the same
						if r.name != "" {
							no.Source = "solution " + r.name
						}
						refused = errors.Join(refused, trimmed(no))
					} else if err != nil {
						return err
					}
				}
				return refused
			})
			todo = slices.DeleteFunc(todo, func(r soakRun) bool { return len(r.soaks) == 0 })
			if len(todo) == 0 {
				return err
			}
			found := printSoaks(newPrinter(cmd.OutOrStdout()), todo, run.Seeds)
			if err != nil {
				return err
			}
			return found
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&only, "run", "", "only the tests whose names match this regular expression")
	flags.IntVar(&run.Seeds, "seeds", 1000, "seeds per test")
	flags.IntSliceVar(&procs, "procs", procs, "GOMAXPROCS of the tests; several values run one after another")
	flags.DurationVar(&run.Timeout, "timeout", time.Hour, "real time per test")
	flags.StringVar(&src.Path, "submission", "", "soak the files of this directory in place of the reference's; the labs that it builds on are the reference's")
	flags.BoolVar(&others, "alternatives", false, "soak the other correct solutions in place of the reference, each in the parts that it changes")
	flags.BoolVar(&run.Plain, "plain", false, "without the race detector: many times as fast, but its scheduler finds more")
	flags.IntVar(&jobs, "jobs", 0, "processes at a time (default: one per core)")
	return cmd
}

// A soakRun is one source in the parts that it is soaked in.
type soakRun struct {
	name     string // of an alternative
	src      submission.Source
	selected []course.Selected
	soaks    []prove.Soak
}

// soakRuns are what is to be soaked: the reference, a submission or the alternatives, in the tests whose names match.
func soakRuns(c *course.Course, selected []course.Selected, src submission.Source, others bool, only string) ([]soakRun, error) {
	named, err := regexp.Compile(only)
	if err != nil {
		return nil, usage(fmt.Errorf("--run %s: %w", only, err))
	}
	if others && src.Path != "" {
		return nil, usage(errors.New("--submission and --alternatives exclude each other: give one of them"))
	}
	if src.Path != "" {
		src.Kind, src.Base = course.Submission, course.Solution
	}
	todo := []soakRun{{src: src, selected: selected}}
	if others {
		if todo, err = alternativeRuns(c, selected); err != nil {
			return nil, err
		}
	}
	for i, r := range todo {
		todo[i].selected = course.Named(r.selected, named)
	}
	todo = slices.DeleteFunc(todo, func(r soakRun) bool { return len(r.selected) == 0 })
	if len(todo) == 0 {
		return nil, usage(fmt.Errorf("--run %s: no test of these parts has such a name", only))
	}
	return todo, nil
}

// alternativeRuns are the other correct solutions of the selected labs, in those of the selected parts that they change.
func alternativeRuns(c *course.Course, selected []course.Selected) (runs []soakRun, err error) {
	for _, s := range selected {
		all, err := prove.Alternatives(c, s.Lab)
		if err != nil {
			return nil, err
		}
		for _, a := range all {
			if in := a.In(s); len(in.Parts) > 0 {
				runs = append(runs, soakRun{name: a.Name, src: a.Source, selected: []course.Selected{in}})
			}
		}
	}
	if len(runs) == 0 {
		return nil, usage(errors.New("--alternatives: no other solution changes one of these parts: name other parts, or none"))
	}
	return runs, nil
}

// printSoaks prints one row a test and the false-failure rate. Alternatives have a name, and were not asked to replay.
func printSoaks(p *printer, runs []soakRun, seeds int) error {
	named := runs[0].name != ""
	t := table{head: []string{"test", "procs", "seeds", "failed", "diverged", "virtual", "real"}}
	if named {
		t.head = []string{"solution", "test", "procs", "seeds", "failed", "virtual", "real"}
	}
	ran, failed, diverged := 0, 0, 0
	var dirty []func()
	for _, r := range runs {
		for _, s := range r.soaks {
			row := []string{s.Test.Name, strconv.Itoa(s.Procs), strconv.Itoa(s.Test.Seeds), count(p, len(s.Test.Failed))}
			if named {
				row = append([]string{r.name}, row...)
			} else {
				row = append(row, count(p, len(s.Test.Diverged)))
			}
			t.add(append(row, seconds(s.Test.Virtual), seconds(s.Test.Real))...)
			ran += s.Test.Seeds
			failed += len(s.Test.Failed)
			diverged += len(s.Test.Diverged)
			if !s.Clean(seeds) {
				dirty = append(dirty, func() { printDirty(p, r.name, s, seeds) })
			}
		}
	}
	p.table(t)
	p.printf("\n%d seeds: %d false failures (%.4f%%)", ran, failed, percent(failed, ran))
	if !named {
		p.printf(", %d diverged", diverged)
	}
	p.printf("\n")
	if len(dirty) == 0 {
		return nil
	}
	for _, print := range dirty {
		print()
	}
	return &exitError{code: exitFailed}
}

// printDirty prints what a soak of one test found.
func printDirty(p *printer, name string, s prove.Soak, seeds int) {
	diverged := fmt.Sprintf(", diverged %v", some(s.Test.Diverged))
	if name != "" {
		name, diverged = name+": ", ""
	}
	p.printf("\n%s%s with GOMAXPROCS=%d: %d of %d seeds ran, failed %v%s\n", name, p.bad(s.Test.Name), s.Procs,
		s.Test.Seeds, seeds, some(s.Test.Failed), diverged)
	if len(s.Test.Failures) > 0 {
		p.printf("%s\n", s.Test.Failures[0].Text())
	}
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
