package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
)

// buildLimit ends a build that hangs; the first one fills the build cache.
const buildLimit = 10 * time.Minute

// buildLimits are those of a build. A source file of 1 MiB can ask the compiler for any amount of each: sixteen thousand
// conditions in one function take it minutes. A lab takes it a second.
var buildLimits = sandbox.Limits{Memory: 3 << 30, Data: 6 << 30, CPU: time.Minute, File: 32 << 20, Files: 4096}

// ErrKilled is why a build ended that nothing is known to be wrong with.
var ErrKilled = errors.New("the build was killed, and not by the grader: was there enough memory? Try again, with fewer --jobs")

// Build makes the lab's test binary, unless the lab was refused. A build that fails although the
// pristine lab's does not is a refusal too; the error is any other failure.
func (w *Workspace) Build(ctx context.Context, p *Lab) error {
	if p.Refused != "" || p.Binary != "" && p.built == w.options() {
		return nil
	}
	release, err := w.b.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	return w.build(ctx, p)
}

// build is Build in a slot, of a lab that is to be built. Where a submission's file does not compile and the others do
// with its stub in place of it, those are graded.
func (w *Workspace) build(ctx context.Context, p *Lab) (err error) {
	doubt, err := w.admit(ctx, p)
	if err != nil || p.Refused != "" {
		return err
	}
	binary := filepath.Join(w.dir, p.ID+".test")
	out, err := w.compile(ctx, p.Lab, binary)
	if err != nil {
		return err
	}
	if out.Exit == 0 && out.Stopped == "" && doubt != "" {
		p.Refused = notRead(doubt)
		return os.Remove(binary)
	}
	if out.Exit == 0 && out.Stopped == "" {
		p.Binary, p.built = binary, w.options()
		return os.Chmod(binary, 0o755)
	}
	os.Remove(binary)
	fault := "the build was stopped: it " + out.Stopped
	if out.Stopped == "" {
		if p.Compile, err = compileErrors(p.Lab, string(out.Output)); err == nil {
			return w.afterErrors(ctx, p)
		}
		fault = err.Error()
		if out.Exit < 0 || strings.HasSuffix(fault, ": signal: killed") { // the go command, or what it started
			if !w.b.limits.Spent(out) {
				return fmt.Errorf("workspace: building %s: %w", p.ID, ErrKilled)
			}
			fault = fmt.Sprintf("the build was stopped: it used more than %v of processor time", w.b.limits.CPU)
		}
	}
	sound, err := w.pristineBuilds(ctx, p.Lab)
	switch {
	case err != nil:
		return err
	case !sound:
		return fmt.Errorf("workspace: building %s failed (try grade doctor): %s", p.ID, fault)
	}
	p.Refused = "does not compile: " + fault
	if p.standsOn(fault) {
		p.Refused += " (--base reference builds on the reference's)"
	}
	return nil
}

// notRead refuses a lab that compiles although the gate doubts it.
func notRead(doubt string) string { return "the compiler takes what the gate cannot read: " + doubt }

// afterErrors builds a lab again without the files that do not compile, or refuses it for its first errors.
func (w *Workspace) afterErrors(ctx context.Context, p *Lab) error {
	first, notes := p.Compile, slices.Clone(p.Notes)
	again, err := w.standIn(p)
	if err != nil {
		return err
	}
	if again {
		p.Compile = nil
		if err := w.build(ctx, p); err != nil || p.Refused == "" {
			return err
		}
	}
	p.Refused, p.Compile, p.Notes = "does not compile: "+first[0], first, notes
	return nil
}

// standsOn reports whether a compile error is in a lab that this one builds on.
func (p *Lab) standsOn(fault string) bool {
	return slices.ContainsFunc(p.Base, func(b Base) bool { return strings.HasPrefix(fault, course.Lab{ID: b.Lab}.Dir()+"/") })
}

// compile makes a lab's test binary for this machine.
func (w *Workspace) compile(ctx context.Context, lab course.Lab, binary string) (sandbox.Outcome, error) {
	kept, err := w.kept(lab)
	if err != nil || kept != "" && reuse(kept, binary) {
		return sandbox.Outcome{}, err
	}
	out, err := w.compileWith(ctx, lab, testArgs(binary, lab.Dir(), w.options()), nil)
	if err == nil && kept != "" && out.Exit == 0 && out.Stopped == "" {
		_ = putProgram(binary, kept) // without it the next build takes longer
	}
	return out, err
}

// goEnv is the environment of the go command in this workspace.
func (w *Workspace) goEnv() []string {
	return w.b.tools.env(filepath.Join(w.dir, "home"), filepath.Join(w.dir, "tmp"))
}

// compileWith runs go test, of which args has the rest, with other texts in place of some files, once more if it lacked modules.
// env is added to its environment.
func (w *Workspace) compileWith(ctx context.Context, lab course.Lab, args []string, other overlay, env ...string) (out sandbox.Outcome, err error) {
	other = maps.Clone(other)
	if other == nil {
		other = overlay{}
	}
	for _, l := range w.b.course.Needs(lab) {
		if err := w.seed(l, other); err != nil {
			return sandbox.Outcome{}, err
		}
	}
	// The compiler sorts its errors by where it reads the files: those of the lab come before those of its tests.
	dir, err := os.MkdirTemp(w.dir, "as-compiled-")
	if err != nil {
		return sandbox.Outcome{}, fmt.Errorf("workspace: %w", err)
	}
	defer os.RemoveAll(dir) // what remains goes with the workspace
	list, names, err := other.write(dir, w.Root)
	if err != nil {
		return sandbox.Outcome{}, err
	}
	compile := sandbox.Command{
		Path: w.b.tools.command(), Args: append([]string{"test", "-overlay=" + list}, args...), Dir: w.Root,
		Env:  append(w.goEnv(), env...),
		Time: buildLimit, Limits: w.b.limits,
	}
	out, err = w.b.box.Run(ctx, compile)
	if err == nil && out.Exit != 0 && bytes.Contains(out.Output, []byte(modulesMissing)) {
		if err := w.b.tools.fetchModules(ctx, w.b.course.Root); err != nil {
			return out, err
		}
		out, err = w.b.box.Run(ctx, compile)
	}
	out.Output = []byte(names.Replace(string(out.Output)))
	return out, err
}

// pristineBuilds tells whose fault it is that a build failed without a compile error in the lab's files: the
// submission's, if the lab as it was handed out builds.
func (w *Workspace) pristineBuilds(ctx context.Context, lab course.Lab) (bool, error) {
	whole, err := w.b.course.Select(lab.ID)
	if err != nil {
		return false, err
	}
	clean, err := w.b.Assemble(submission.Source{Kind: course.WorkingTree}, whole)
	if err != nil {
		return false, err
	}
	defer clean.Remove()
	if err := clean.stubs(clean.needs(whole)); err != nil {
		return false, err
	}
	out, err := clean.compile(ctx, lab, filepath.Join(clean.dir, "pristine.test"))
	return err == nil && out.Exit == 0 && out.Stopped == "", err
}
