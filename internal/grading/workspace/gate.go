package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/sandbox"
)

// gateLimits are those of a process that reads a source: to check a lab takes a tenth of a second of processor time and 60 MiB.
// Constants and generic types can be written that take any amount of both.
var gateLimits = sandbox.Limits{Memory: 1 << 30, Data: 3 << 30, CPU: 20 * time.Second, File: 1 << 20, Files: 256}

// gateTime is how long it may take.
const gateTime = 3 * time.Minute

// admit reads a student's lab before it is built: the gate does, with types, and then the go command. It returns what the compiler must
// find too: see gate.Verdict.Doubt.
func (w *Workspace) admit(ctx context.Context, p *Lab) (doubt string, err error) {
	if p.check {
		doubt, err = w.pass(ctx, p)
	}
	if err == nil && p.Refused == "" && p.read {
		err = w.list(ctx, p)
	}
	return doubt, err
}

// pass has the gate check a lab with types, in a process with limits, and returns the doubt.
func (w *Workspace) pass(ctx context.Context, p *Lab) (doubt string, err error) {
	packages, err := w.b.exports(ctx)
	if err != nil {
		return "", err
	}
	r := gate.Request{Root: w.Root, Pristine: w.b.course.Root, Packages: packages, Answer: filepath.Join(w.dir, p.ID+".gate")}
	needs := w.b.course.Needs(p.Lab)
	for i := range needs { // those that it builds on before it
		r.Labs = append(r.Labs, needs[len(needs)-1-i])
	}
	verdict, refused, err := w.ask(ctx, r)
	if err != nil {
		return "", err
	}
	p.Refused = refused
	if refused == "" {
		p.Refused = verdict.Refused
	}
	return verdict.Doubt, nil
}

// ask asks another process of this program, or does it here if the program cannot.
func (w *Workspace) ask(ctx context.Context, r gate.Request) (v gate.Verdict, refused string, err error) {
	env, other, err := r.Process()
	if err != nil {
		return v, "", fmt.Errorf("workspace: %w", err)
	}
	if !other {
		v, err = r.Check()
		return v, "", err
	}
	self, err := sandbox.Program()
	if err != nil {
		return v, "", fmt.Errorf("workspace: %w", err)
	}
	out, refused, err := w.reading(ctx, r.Labs[len(r.Labs)-1], "type checker", sandbox.Command{Path: self, Dir: w.dir, Env: append(env, SystemEnv()...)})
	switch {
	case err != nil || refused != "":
		return v, refused, err
	case out.Exit != 0:
		return v, "the source cannot be checked: the type checker fails on it", nil
	}
	v, err = r.ReadAnswer()
	return v, "", err
}

// reading runs a process that reads the source of a lab, with limits. The source is refused if it asks too much of the reader.
func (w *Workspace) reading(ctx context.Context, lab course.Lab, reader string, c sandbox.Command) (out sandbox.Outcome, refused string, err error) {
	c.Time, c.Limits = gateTime, gateLimits
	out, err = w.b.box.Run(ctx, c)
	switch {
	case err != nil:
	case out.Stopped != "":
		refused = fmt.Sprintf("the source asks too much of the %s: it %s", reader, out.Stopped)
	case out.Exit < 0 && !gateLimits.Spent(out):
		err = fmt.Errorf("workspace: reading %s with the %s: %w", lab.ID, reader, ErrKilled)
	}
	return out, refused, err
}

// exports finds, once, where the export data of the packages lies that a submission may import. It builds what is not in
// the cache; the labs are built from the same.
func (b *Builder) exports(ctx context.Context) (map[string]string, error) {
	b.exporting.Lock()
	defer b.exporting.Unlock()
	if b.exported != nil {
		return b.exported, nil
	}
	home, err := b.scratch.Folder("gate-")
	if err != nil {
		return nil, err
	}
	if err := newHome(home); err != nil {
		return nil, err
	}
	paths := gate.Importable(b.course.Labs)
	list := sandbox.Command{Path: b.tools.command(), Args: gate.ListArgs(paths), Dir: b.course.Root, Env: b.tools.env(home, home), Time: buildLimit, Limits: b.limits}
	for fetched := false; ; fetched = true {
		out, err := b.box.Run(ctx, list)
		if err != nil {
			return nil, err
		}
		packages := gate.ReadList(string(out.Output))
		lacks := b.lacks(paths, packages)
		if lacks == "" {
			b.exported = packages
			return packages, nil
		}
		if fetched {
			return nil, fmt.Errorf("workspace: %s does not build (try grade doctor): %s", lacks, plain.FirstLine(string(out.Stderr)))
		}
		if err := b.tools.fetchModules(ctx, b.course.Root); err != nil {
			return nil, err
		}
	}
}

// lacks names a package of the course or the standard library that was not built; "" if all were.
func (b *Builder) lacks(paths []string, packages map[string]string) string {
	for _, path := range paths {
		dir, ours := strings.CutPrefix(path, course.Module+"/")
		if _, err := os.Stat(filepath.Join(b.course.Root, filepath.FromSlash(dir))); ours && err != nil {
			continue // not in this course
		}
		if packages[path] == "" {
			return path
		}
	}
	return ""
}
