package labtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/labrpc"
)

// explain completes the failure of a seed: it runs the seed twice more with a recorder, checks that it
// fails the same way, looks for the few faults that suffice, and shows the last steps of the run with just those.
func (r *runner) explain(out *outcome) report.Failure {
	f := *out.failure
	f.Test, f.Replay = r.t.Name(), r.replay(out.seed)
	if out.abandoned || r.alone || f.Kind == report.Leak || os.Getenv("LABS_EXPLAIN") == "0" {
		return f
	}
	again, run := r.record(out.seed)
	twin, other := r.record(out.seed)
	if note := r.replayed(out, again, twin, run, other); note != "" {
		f.Notes = append(f.Notes, note)
	}
	n, lines := trace.ShortFaults(run)
	f.Faults = faultLine(n, lines)
	if m, ok := r.minimise(out); ok && len(f.Notes) == 0 && m.faults+m.steps > 0 {
		less, short := r.recordWith(out.seed, func(fault labrpc.Fault) bool { return !m.keep[fault] })
		if less.failure != nil {
			f.What, f.Seen, f.Where = less.failure.What, less.failure.Seen, less.failure.Where
			f.Faults = m.line(short)
			r.enough = &m
			out, run = less, short
		}
	}
	f.Trace = trace.Text(run, trace.Options{Nodes: out.nodes, Fold: true, Past: len(out.nodes) > 0, Until: out.failedAt})
	run.Header.Violation = &trace.Violation{At: out.failedAt}
	if path, err := r.write(run, f); err == nil {
		f.Diagram = path
	} else {
		f.Notes = append(f.Notes, err.Error())
	}
	if out.page != nil {
		path, err := r.writePage(out)
		if f.History = path; err != nil {
			f.Notes = append(f.Notes, err.Error())
		}
	}
	return f
}

// record runs a seed with a recorder.
func (r *runner) record(seed uint64) (*outcome, *trace.Run) { return r.recordWith(seed, nil) }

func (r *runner) recordWith(seed uint64, suppress func(labrpc.Fault) bool) (*outcome, *trace.Run) {
	rec := trace.NewRecorder(trace.Header{
		Module: place().Package, Test: r.t.Name(), Seed: seed, Nodes: r.cfg.Nodes, Start: time.Unix(946684800, 0).UTC(),
	})
	out := r.runWith(seed, rec.Observe, suppress)
	return out, rec.Run()
}

// replayed returns what to say if three runs of the seed were not the same.
func (r *runner) replayed(first, second, third *outcome, a, b *trace.Run) string {
	const why = "; what the seed does not decide is in labrpc's documentation (One seed, one run): map order, " +
		"select with several cases ready, math/rand's global functions, two timers of one node at one instant"
	if d, differ := trace.Diff(a, b); differ {
		return "this seed does not replay the same: " + d.String() + why
	}
	if !sameFailure(first.failure, second.failure) || !sameFailure(second.failure, third.failure) {
		what := "passed"
		if f := second.failure; f != nil {
			what = "failed otherwise: " + f.What
		}
		return "this seed does not replay the same: run again it " + what + why
	}
	return ""
}

// divergence explains a soak whose seeds fail no test but do not replay.
func (r *runner) divergence() report.Failure {
	seed := r.diverged[0]
	f := report.Failure{
		Test: r.t.Name(), Kind: report.Malformed, Seed: seed, Replay: "LABS_SOAK=1 " + r.replay(seed),
		What: fmt.Sprintf("%d of %d seeds did not replay the same", len(r.diverged), len(r.outcomes)),
		Rule: "same seed, same run",
	}
	_, first := r.record(seed)
	for range 20 {
		_, again := r.record(seed)
		if d, differ := trace.Diff(first, again); differ {
			f.Seen = append(f.Seen, d.String())
			break
		}
	}
	return f
}

// line says which faults of how many are enough.
func (m minimized) line(run *trace.Run) string {
	faults, steps := m.kept()
	own := ""
	if m.steps > 0 {
		own = fmt.Sprintf("; so are %d of the test's %d steps that can be left out", steps, m.steps)
	}
	switch {
	case faults == 0 && m.faults == 0:
		return "none" + own
	case faults == 0:
		return fmt.Sprintf("it fails without the network's too (%d in this seed): the run below has none of them", m.faults) + own
	}
	_, lines := trace.ShortFaults(run)
	lines = append(lines, m.late()...)
	shown := strings.Join(lines[:min(len(lines), 4)], "; ")
	if len(lines) > 4 {
		shown += "; …"
	}
	more := ""
	if m.partial {
		more = " (perhaps fewer: the search stopped at its limit)"
	}
	if shown != "" {
		shown = ": " + shown
	}
	return fmt.Sprintf("%d of %d are enough%s%s%s", faults, m.faults, more, shown, own)
}

// late lists the messages that must be late, which is no event of its own in the record.
func (m minimized) late() (lines []string) {
	for f := range m.keep {
		if f.Kind == labrpc.FaultLate || f.Kind == labrpc.FaultReorder {
			name := f.Method
			if f.Of == labrpc.Reply {
				name += " reply"
			}
			lines = append(lines, fmt.Sprintf("%v→%v %s #%d late", f.From, f.To, name, f.Number))
		}
	}
	slices.Sort(lines)
	return lines
}

// faultLine says what the network had done by then: how much, and the last of it.
func faultLine(n int, lines []string) string {
	switch {
	case n == 0:
		return "none"
	case n <= 3:
		return strings.Join(lines, "; ")
	}
	return fmt.Sprintf("%d, the last: %s", n, strings.Join(lines[n-2:], "; "))
}

// write keeps the record and the page that draws it beside the test, or where LABS_TRACE_DIR says. It
// returns the path of the page.
func (r *runner) write(run *trace.Run, f report.Failure) (string, error) {
	dir, shown := traceDir()
	name := fmt.Sprintf("%s-%d", r.t.Name(), f.Seed)
	run.Header.Failure, _ = json.Marshal(f) // plain fields: it cannot fail
	err := errors.Join(
		writeRun(filepath.Join(dir, name+".jsonl"), run),
		view.WriteFile(filepath.Join(dir, name+".html"), run))
	if err != nil {
		return "", fmt.Errorf("the record of the run could not be kept: %w", err)
	}
	return filepath.ToSlash(filepath.Join(shown, name+".html")), nil
}

// traceDir is where records go, and how a message names that place.
func traceDir() (dir, shown string) {
	if dir = os.Getenv("LABS_TRACE_DIR"); dir != "" {
		return dir, dir
	}
	return filepath.Join(place().Dir, ".labs"), strings.TrimPrefix(place().Package, "./") + "/.labs"
}

// writePage keeps the failure's own page beside the diagram, and returns its path.
func (r *runner) writePage(out *outcome) (string, error) {
	dir, shown := traceDir()
	name := fmt.Sprintf("%s-%d-history.html", r.t.Name(), out.seed)
	var text bytes.Buffer
	err := errors.Join(out.page(&text), os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o644))
	if err != nil {
		return "", fmt.Errorf("the page of the history could not be kept: %w", err)
	}
	return filepath.ToSlash(filepath.Join(shown, name)), nil
}

// writeRun writes the whole file or none of it.
func writeRun(path string, run *trace.Run) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".run-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := run.Write(tmp); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
