package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
)

// liveFlags are the flags of grade live.
type liveFlags struct {
	solution   bool
	submission string
	nodes      int
	port       int
	host       string
	fresh      bool
	torture    time.Duration
	bench      time.Duration
	seed       uint64
	policy     string
	prepare    string
}

// A liveLab is a lab, or a part of one, that can run as processes.
type liveLab struct {
	part    string // "": the whole lab
	id      string // as the command that supervises knows it
	program string // of the module live
	etcd    bool   // clients of etcd can use it, and it can be tortured and measured
}

// liveLabs are those that can, by the lab's ID.
var liveLabs = map[string][]liveLab{
	"04-election":    {{part: "4C", id: "4C", program: "election"}},
	"05-replication": {{id: "05", program: "server", etcd: true}},
	"06-consistency": {{part: "6C", id: "6C", program: "consistency"}, {part: "6E", id: "6E", program: "consistency"}},
}

// liveLabOf finds the one that a selection names.
func liveLabOf(selected []course.Selected, arg string) (liveLab, error) {
	var found []liveLab
	if len(selected) == 1 {
		for _, l := range liveLabs[selected[0].Lab.ID] {
			if l.part == "" || slices.ContainsFunc(selected[0].Parts, func(p course.Part) bool { return p.ID == l.part }) {
				found = append(found, l)
			}
		}
	}
	switch len(found) {
	case 0:
		return liveLab{}, fmt.Errorf("%q does not run live: 4C, 05, 6C and 6E do", arg)
	case 1:
		return found[0], nil
	}
	return liveLab{}, fmt.Errorf("%q has more than one part that runs live: give 6C or 6E", arg)
}

func liveCommand() *cobra.Command {
	var f liveFlags
	cmd := &cobra.Command{
		Use:   "live 4C|05|6C|6E",
		Short: "Run a lab's servers as real processes, lab 05 for etcd's own client",
		Long: `Run the servers of a lab as real processes, which talk over TCP and keep their
disks in files. Lab 05's store serves etcdctl: docs/live.md says what it can do.
Of lab 04, Raft's election runs; of lab 06, the stores of 6C and 6E.

A table shows each server. Keys kill, restart, pause, cut off and slow servers;
without a terminal, lines on the standard input do the same (kill 1). A page on
this machine, whose address is printed, draws what the servers send, and has
buttons. Ctrl-C ends all processes. Their data stay under .labs/live/ for the
next start.

With --torture, clients use the store while its processes are killed, paused and
cut off, and every answer is checked as the lab's tests check it.`,
		Example: `  grade live 05                      your own work
  grade live 4C --nodes 5            watch elections
  grade live 05 --solution           the reference
  grade live 05 --solution --torture 60s
  grade live 05 --solution --bench 10s`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.solution, "solution", false, "run the reference")
	flags.StringVar(&f.submission, "submission", "", "run the files of this `folder` or archive")
	flags.IntVar(&f.nodes, "nodes", 3, "how many servers, 1 to 9")
	flags.IntVar(&f.port, "port", 22379, "where etcd's clients find the first server; the others are 10 further each; 0: anywhere")
	flags.StringVar(&f.host, "host", "127.0.0.1", "the `address` to listen on: others than this machine can then use the store")
	flags.BoolVar(&f.fresh, "fresh", false, "begin without the data of earlier runs")
	flags.DurationVar(&f.torture, "torture", 0, "test the store for so long while its processes are killed")
	flags.DurationVar(&f.bench, "bench", 0, "measure the store, and etcd if it is installed, for so long in each row of a table")
	flags.Uint64Var(&f.seed, "seed", 0, "of --torture: what is done when follows from it")
	flags.StringVar(&f.policy, "policy", "CP", "of 6E: CP or AP")
	cmd.MarkFlagsMutuallyExclusive("solution", "submission")
	flags.StringVar(&f.prepare, "prepare", "", "start nothing: write into this `folder` what the containers of deploy/compose.yaml need")
	cmd.MarkFlagsMutuallyExclusive("torture", "bench", "prepare")
	return cmd
}

func (f liveFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(errors.New("live needs a lab or a part: grade live 05"))
	}
	c, selected, err := open(args)
	if err != nil {
		return err
	}
	l, err := liveLabOf(selected, args[0])
	if err != nil {
		return usage(err)
	}
	if !l.etcd && (f.torture > 0 || f.bench > 0 || f.prepare != "") {
		return usage(fmt.Errorf("--torture, --bench and --prepare need lab 05, not %q", args[0]))
	}
	if f.policy != "CP" && f.policy != "AP" {
		return usage(fmt.Errorf("--policy is %q, want CP or AP", f.policy))
	}
	if f.nodes < 1 || f.nodes > 9 || f.torture < 0 || f.bench < 0 {
		return usage(errors.New("--nodes must be 1 to 9, and --torture and --bench not below zero"))
	}
	if _, err := os.Stat(filepath.Join(c.Root, "live", "go.mod")); err != nil {
		return usage(errors.New("live is not part of this handout: it needs the whole course"))
	}
	dir := filepath.Join(c.Root, ".labs", "live")
	if !l.etcd {
		dir = filepath.Join(dir, l.id)
	}
	if f.prepare != "" {
		if dir, err = filepath.Abs(f.prepare); err != nil {
			return err
		}
	}
	command, program := filepath.Join(dir, "bin", "command"), filepath.Join(dir, "bin", "server")
	if err := f.build(cmd.Context(), c, selected, l.program, program); err != nil {
		return err
	}
	if err := buildOwn(cmd.Context(), filepath.Join(c.Root, "live"), command); err != nil {
		return err
	}
	return become(command, []string{
		"--lab", l.id, "--policy", f.policy, "--dir", dir, "--program", program, "--host", f.host, "--nodes", strconv.Itoa(f.nodes),
		"--port", strconv.Itoa(f.port), "--fresh=" + strconv.FormatBool(f.fresh),
		"--prepare=" + strconv.FormatBool(f.prepare != ""), "--torture", f.torture.String(), "--bench", f.bench.String(), "--seed", strconv.FormatUint(f.seed, 10),
	})
}

// build builds the server program with the source's files.
func (f liveFlags) build(ctx context.Context, c *course.Course, selected []course.Selected, program, binary string) (err error) {
	source := submission.Source{Kind: course.WorkingTree}
	switch {
	case f.solution:
		source.Kind = course.Solution
	case f.submission != "":
		source = submission.Source{Kind: course.Submission, Path: f.submission}
		why := ""
		if source.Held, why, err = readSubmission(c, source.Path, selected); err != nil {
			return err
		}
		if why != "" {
			return &exitError{code: exitFailed, err: errors.New(why)}
		}
	}
	b, err := workspace.New(ctx, c, workspace.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	w, err := b.Assemble(source, selected)
	if err != nil {
		return err
	}
	lab := w.Lab(selected[0].Lab.ID)
	if err := w.BuildProgram(ctx, lab, "live", program, binary); err != nil {
		return err
	}
	if lab.Refused != "" {
		return &exitError{code: exitFailed, err: errors.New(lab.Refused)}
	}
	return nil
}

// buildOwn builds the command that supervises the processes. Nothing of a student's is in it.
func buildOwn(ctx context.Context, module, binary string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./command")
	build.Dir = module
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building live failed: %s (%w)", plain.FirstLine(string(out)), err)
	}
	return nil
}
