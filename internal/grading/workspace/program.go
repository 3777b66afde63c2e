package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/sandbox"
)

// BuildProgram builds a program of a module of its own within the course, such as live, with the workspace's files of a lab.
// Files that the gate refuses and code that does not compile end in p.Refused, as with Build; the error is any other
// failure.
func (w *Workspace) BuildProgram(ctx context.Context, p *Lab, module, program, binary string) error {
	if p.Refused != "" {
		return nil
	}
	release, err := w.b.Slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	doubt, err := w.admit(ctx, p)
	if err != nil || p.Refused != "" {
		return err
	}
	if doubt != "" {
		p.Refused = "does not compile: " + doubt
		return nil
	}
	if err := copyTree(w.b.course.Root, w.Root, module, func(name string) bool { return !course.IsTest(name) }); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	out, err := w.compileProgram(ctx, module, program, binary)
	switch {
	case err != nil:
		return err
	case out.Exit == 0 && out.Stopped == "":
		return nil
	case out.Stopped != "":
		p.Refused = "the build was stopped: it " + out.Stopped
		return nil
	}
	// The go command names the lab's files as seen from the module.
	p.Compile, err = compileErrors(p.Lab, strings.ReplaceAll(string(out.Output), "../labs/", "labs/"))
	if err != nil {
		return fmt.Errorf("workspace: building %s failed: %w", module, err)
	}
	p.Refused = "does not compile: " + p.Compile[0]
	return nil
}

// compileProgram runs the go command, once more if it lacked modules.
func (w *Workspace) compileProgram(ctx context.Context, module, program, binary string) (sandbox.Outcome, error) {
	built := filepath.Join(w.dir, program)
	// The go command does not link again what is there already, built from the same: most of the time of a start.
	if old, err := os.ReadFile(binary); err == nil {
		_ = os.WriteFile(built, old, 0o755)
	}
	compile := sandbox.Command{
		Path: w.b.tools.command(), Args: []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s", "-o", built, "./" + program},
		Dir: filepath.Join(w.Root, module), Env: w.goEnv(),
		Time: buildLimit, Limits: w.b.limits,
	}
	out, err := w.b.box.Run(ctx, compile)
	if err == nil && out.Exit != 0 && bytes.Contains(out.Output, []byte(modulesMissing)) {
		if err := w.b.tools.fetchProgram(ctx, filepath.Join(w.b.course.Root, module), program); err != nil {
			return out, err
		}
		out, err = w.b.box.Run(ctx, compile)
	}
	if err != nil || out.Exit != 0 || out.Stopped != "" {
		return out, err
	}
	return out, putProgram(built, binary)
}

// putProgram puts a program in its place, whole: it may be running there.
func putProgram(built, binary string) error {
	program, err := os.ReadFile(built)
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o777); err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(binary), "part-") // another grader may put the same
	if err != nil {
		return fmt.Errorf("workspace: %w", err)
	}
	_, err = part.Write(program)
	if err = errors.Join(err, part.Chmod(0o755), part.Close()); err == nil {
		err = os.Rename(part.Name(), binary)
	}
	if err != nil {
		os.Remove(part.Name())
		return fmt.Errorf("workspace: %w", err)
	}
	return nil
}

// fetchProgram fills the module cache with what a program is built from, in the user's own environment.
func (t toolchain) fetchProgram(ctx context.Context, dir, program string) error {
	cmd := exec.CommandContext(ctx, t.command(), "list", "-deps", "./"+program)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("workspace: the modules that %s needs cannot be fetched (try go -C %s mod download): %s", dir, dir, plain.FirstLine(stderr.String()))
	}
	return nil
}
