// Command grade grades the labs: the working tree, the reference solutions, or
// a submission. It also grades the graders: every known-wrong solution must die
// by the test that it names, and the reference must never fail.
//
//	go run ./cmd/grade run          # your own work
//	go run ./cmd/grade run 1A       # one part of it
//	go run ./cmd/grade --help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/sandbox"
)

// The exit statuses. A submission that was graded is a success whatever its marks.
const (
	exitGraded         = 0
	exitFailed         = 1 // some test failed, in a student's own run
	exitUsage          = 2
	exitInfrastructure = 3   // this checkout or machine is at fault, not a submission
	exitIsolation      = 4   // isolation weaker than demanded
	exitInterrupted    = 130 // as shells have it
)

func main() {
	gate.Serve()
	sandbox.Serve()
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns the exit status.
func execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitGraded
	}
	status, ours := errors.AsType[*exitError](err)
	if !ours { // cobra's own: an unknown command or flag
		status = &exitError{code: exitUsage, err: err}
	}
	if errors.Is(err, context.Canceled) {
		status = &exitError{code: exitInterrupted, err: errors.New("interrupted")}
	}
	if status.err != nil {
		fmt.Fprintln(stderr, "grade: "+trimmed(status.err).Error())
	}
	return status.code
}

// exitError is an error with the exit status that it leads to. A nil err has
// been told on stdout already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// trimmed is the error without the name of the package that it comes from.
func trimmed(err error) error {
	for _, pkg := range []string{"grade: ", "prove: ", "workspace: ", "submission: ", "sandbox: ", "result: ", "course: ", "learn: ", "advice: ", "play: ", "watch: ", "class: ", "handout: ", "export: ", "autograder: ", "newlab: "} {
		if text, ok := strings.CutPrefix(err.Error(), pkg); ok {
			return errors.New(text)
		}
	}
	return err
}

func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// action makes a command's body: an error of unknown sort is the infrastructure's.
func action(body func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := body(cmd, args)
		if _, known := errors.AsType[*exitError](err); err == nil || known {
			return err
		}
		return &exitError{code: exitInfrastructure, err: err}
	}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "grade",
		Short: "Grade the labs",
		RunE:  action(watchAction),
		Long: `Without a command, in a terminal, grade watches the labs: it runs the tests that
a saved file affects, and shows the first failure. Without a terminal it prints
your progress.

Name a lab by its number (01), its folder (01-links) or its word (links), and a
part by its letter too (1A). A command without a name is about all labs.

Exit status: 0 all tests passed, or a submission was graded, whatever its points;
1 a test failed; 2 usage; 3 this checkout or this machine is at fault;
4 isolation is weaker than demanded; 130 interrupted.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand(), mutantsCommand(), soakCommand(), exploreCommand(), listCommand(), doctorCommand(),
		traceCommand(), replayCommand(),
		playCommand(), hintCommand(), solutionCommand(), resetCommand(), carryCommand(), adviceCommand(), liveCommand())
	root.AddCommand(batchCommand(), mergeCommand(), diffCommand(), handoutCommand(), selfcheckCommand(), similarCommand())
	root.AddCommand(reportCommand(), gradescopeZipCommand(), checkCommand(), newLabCommand())
	root.SetHelpCommandGroupID("learn")
	root.SetCompletionCommandGroupID("learn")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	addCompletion(root)
	arrange(root, inHandout())
	return root
}

// open finds the course around the working directory and the parts that args name.
func open(args []string) (*course.Course, []course.Selected, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	root, err := course.Root(dir)
	if err != nil {
		return nil, nil, usage(err)
	}
	c, err := course.Load(root)
	if err != nil {
		return nil, nil, err
	}
	selected, err := c.Select(args...)
	if err != nil {
		return nil, nil, usage(err)
	}
	return c, selected, nil
}

// withGrader runs body with a grader that is gone afterwards, also when the
// user interrupts it: the commands' context ends then, and body returns.
func withGrader(cmd *cobra.Command, c *course.Course, jobs int, progress *status, body func(*grade.Grader) error) error {
	return withOptions(cmd, c, grade.Options{Jobs: jobs}, progress, body)
}

func withOptions(cmd *cobra.Command, c *course.Course, o grade.Options, progress *status, body func(*grade.Grader) error) error {
	o.Progress = progress.step
	g, err := grade.New(cmd.Context(), c, o)
	if errors.Is(err, sandbox.ErrIsolation) {
		return &exitError{code: exitIsolation, err: err}
	}
	if err != nil {
		return err
	}
	err = body(g)
	progress.clear()
	if cmd.Context().Err() != nil {
		progress.interrupted()
	}
	return errors.Join(err, g.Close())
}
