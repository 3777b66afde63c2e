package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
}

func liveCommand() *cobra.Command {
	var f liveFlags
	cmd := &cobra.Command{
		Use:   "live 05",
		Short: "Run lab 05 as real processes, for etcd's own client",
		Long: `Run the store of lab 05 as real processes, which talk over TCP and keep their
disks in files. etcdctl works against them: docs/live.md says what it can do.

A table shows each server. Keys kill, restart, pause, cut off and slow servers;
without a terminal, lines on the standard input do the same (kill 1). Ctrl-C
ends all processes. Their data stay under .labs/live/ for the next start.

With --torture, clients use the store while its processes are killed, paused and
cut off, and every answer is checked as the lab's tests check it.`,
		Example: `  grade live 05                      your own work
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
	cmd.MarkFlagsMutuallyExclusive("solution", "submission")
	cmd.MarkFlagsMutuallyExclusive("torture", "bench")
	return cmd
}

func (f liveFlags) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(errors.New("live needs a lab: grade live 05"))
	}
	c, selected, err := open(args)
	if err != nil {
		return err
	}
	if len(selected) != 1 || selected[0].Lab.ID != "05-replication" {
		return usage(fmt.Errorf("only lab 05 can run live, not %q", args[0]))
	}
	if f.nodes < 1 || f.nodes > 9 || f.torture < 0 || f.bench < 0 {
		return usage(errors.New("--nodes must be 1 to 9, and --torture and --bench not below zero"))
	}
	if _, err := os.Stat(filepath.Join(c.Root, "live", "go.mod")); err != nil {
		return usage(errors.New("live is not part of this handout: it needs the whole course"))
	}
	dir := filepath.Join(c.Root, ".labs", "live")
	command := filepath.Join(dir, "bin", "command")
	if err := f.build(cmd.Context(), c, selected, filepath.Join(dir, "bin", "server")); err != nil {
		return err
	}
	if err := buildOwn(cmd.Context(), filepath.Join(c.Root, "live"), command); err != nil {
		return err
	}
	return become(command, []string{
		"--dir", dir, "--program", filepath.Join(dir, "bin", "server"), "--host", f.host, "--nodes", strconv.Itoa(f.nodes),
		"--port", strconv.Itoa(f.port), "--fresh=" + strconv.FormatBool(f.fresh),
		"--torture", f.torture.String(), "--bench", f.bench.String(), "--seed", strconv.FormatUint(f.seed, 10),
	})
}

// build builds the server program with the source's files.
func (f liveFlags) build(ctx context.Context, c *course.Course, selected []course.Selected, binary string) (err error) {
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
	if err := w.BuildProgram(ctx, lab, "live", "server", binary); err != nil {
		return err
	}
	if lab.Refused != "" {
		return &exitError{code: exitFailed, err: errors.New(lab.Refused)}
	}
	return nil
}

// buildOwn builds the command that supervises the processes. Nothing of a student's is in it.
func buildOwn(ctx context.Context, module, binary string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./command")
	build.Dir = module
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building live failed: %s (%w)", plain.FirstLine(string(out)), err)
	}
	return nil
}
