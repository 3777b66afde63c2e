package labtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/check/histpage"
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
	r.until = time.Now().Add(explainTime)
	defer func() { r.until = time.Time{} }()
	defer announce(f).Stop()
	again, run := r.record(out.seed)
	twin, other := r.record(out.seed)
	if again.late() || twin.late() {
		f.Notes = append(f.Notes, fmt.Sprintf("this run takes more than %v of real time, so it was not recorded, and its faults were not minimised", explainTime/2))
		return f
	}
	if note := r.replayed(out, again, twin, run, other); note != "" {
		f.Notes = append(f.Notes, note)
	} else {
		f.Play = r.playLine(f)
	}
	n, lines := trace.ShortFaults(run)
	f.Faults = faultLine(n, lines)
	if m, ok := r.minimise(out); ok && len(f.Notes) == 0 && m.faults+m.steps > 0 {
		r.until = time.Now().Add(explainTime)
		less, short := r.recordWith(out.seed, func(fault labrpc.Fault) bool { return !m.keep[fault] })
		if less.failure != nil {
			f.What, f.Seen, f.Where = less.failure.What, less.failure.Seen, less.failure.Where
			f.Faults = m.line(short)
			r.enough = &m
			out, run = less, short
		}
	}
	f.Trace = trace.Text(run, trace.Options{
		Nodes: out.nodes, Fold: true, Past: len(out.nodes) > 0, Until: out.failedAt, Keep: run.Names(out.failedAt, f.What, f.Seen...).Keep,
	})
	run.Header.Violation = &trace.Violation{At: out.failedAt}
	if out.page != nil {
		path, err := r.writePage(out, f, run) // first: the diagram leads to it
		if f.History = path; err != nil {
			f.Notes = append(f.Notes, err.Error())
		}
	}
	if path, err := r.write(run, f); err == nil {
		f.Diagram = path
	} else {
		f.Notes = append(f.Notes, err.Error())
	}
	return f
}

// announceEnv names the variable that says how much real time the explanation of a failure may take before its headline is printed.
const announceEnv = "LABS_ANNOUNCE"

// announceAfter is that time if it says nothing.
const announceAfter = time.Second

// announce prints what is known of a failure if the timer that it returns is not stopped soon: nobody should wait for the rest
// without having read it. The output of package testing would come only when the test is over.
func announce(f report.Failure) *time.Timer {
	after, err := time.ParseDuration(os.Getenv(announceEnv))
	if err != nil {
		after = announceAfter
	}
	if after > 0 {
		return time.AfterFunc(after, func() { os.Stdout.WriteString(announcement(f)) })
	}
	os.Stdout.WriteString(announcement(f))
	return time.NewTimer(0)
}

func announcement(f report.Failure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s fails with seed %d. The full message follows in a few seconds.\n", f.Test, f.Seed)
	for _, s := range f.Sections() {
		if s.Label == report.Headline || s.Label == "rule" {
			for _, line := range s.Lines {
				b.WriteString("    " + line + "\n")
			}
		}
	}
	return b.String()
}

// record runs a seed with a recorder.
func (r *runner) record(seed uint64) (*outcome, *trace.Run) { return r.recordWith(seed, nil) }

func (r *runner) recordWith(seed uint64, suppress func(labrpc.Fault) bool) (*outcome, *trace.Run) {
	rec := trace.NewRecorder(trace.Header{
		Module: place().Package, Test: r.t.Name(), Seed: seed, Nodes: r.cfg.Nodes, Start: time.Unix(946684800, 0).UTC(),
	})
	r.recorder = rec
	defer func() { r.recorder = nil }()
	out := r.runWith(seed, rec.Observe, suppress)
	return out, rec.Run()
}

// replayed returns what to say if three runs of the seed were not the same.
func (r *runner) replayed(first, second, third *outcome, a, b *trace.Run) string {
	why := ". The run below is another run of the same seed. What the seed does not decide is in labrpc's documentation (One seed, one run)"
	if r.cfg.Simultaneous {
		why = ". The run below is another run of the same seed: this test calls from several goroutines in one instant, and who comes first is chance"
	} else if places := place().UndecidedIn(); len(places) > 0 {
		why += ". In your code: " + strings.Join(places[:min(len(places), 3)], "; ")
	}
	if d, differ := trace.Diff(a, b); differ {
		return "this seed does not replay the same. The first difference: " + d.String() + why
	}
	if !sameFailure(first.failure, second.failure) || !sameFailure(second.failure, third.failure) {
		what := "passed"
		if f := second.failure; f != nil {
			what = "failed in another way: " + f.What
		}
		return "this seed does not replay the same: when it was run again, it " + what + why
	}
	return ""
}

// divergence explains a soak whose seeds fail no test but do not replay.
func (r *runner) divergence() report.Failure {
	seed := r.diverged[0]
	f := report.Failure{
		Test: r.t.Name(), Kind: report.Malformed, Seed: seed, Replay: "LABS_SOAK=1 " + r.replay(seed),
		What: fmt.Sprintf("%d of %d seeds did not replay the same", len(r.diverged), len(r.outcomes)),
		Rule: report.SameSeed,
	}
	if d, known := r.parted[seed]; known {
		f.Seen = append(f.Seen, fmt.Sprintf("the two runs of seed %d part at %s", seed, d))
	}
	_, first := r.record(seed)
	for range 20 {
		_, again := r.record(seed)
		if d, differ := trace.Diff(first, again); differ {
			f.Seen = append(f.Seen, "two runs that were recorded part at "+d.String())
			break
		}
	}
	return f
}

// line says which faults the failure needs: those that the test itself made, and those that the network injected by the seed.
func (m minimized) line(run *trace.Run) string {
	var parts []string
	own, injected := m.of(byTest), m.of(byNetwork)
	switch {
	case injected.all > 0 && injected.kept == 0:
		parts = append(parts, fmt.Sprintf("the test also fails without the %s that this seed injects", those(injected.all, "fault")))
	case injected.all > 0:
		limit := ""
		if m.partial {
			limit = " (perhaps fewer: the search stopped at its limit)"
		}
		of := fmt.Sprintf("%d of the %s", injected.kept, plural(injected.all, "fault"))
		if injected.kept == injected.all {
			of = "the " + those(injected.all, "fault")
		}
		parts = append(parts, fmt.Sprintf("%s that this seed injects %s%s%s", of,
			verb(injected.kept, "suffices", "suffice"), limit, listed(append(network(run), m.late()...))))
	}
	// What the run shows is counted, not m.keep: a test also drops and alters messages, and a crash that is left out still happens
	// when the node is started again.
	made := scripted(run)
	switch {
	case len(made) > 0:
		parts = append(parts, "the test itself made "+plural(len(made), "fault")+listed(made))
	case own.all > 0:
		parts = append(parts, fmt.Sprintf("the test also fails without the %s that it makes itself", those(own.all, "fault")))
	}
	if _, steps := m.kept(); m.steps > 0 {
		parts = append(parts, fmt.Sprintf("%d of the test's %s %s", steps, plural(m.steps, "optional step"), verb(steps, "is needed", "are needed")))
	}
	if len(parts) == 0 {
		return "none"
	}
	line := strings.Join(parts, "; ")
	if injected.kept == 0 && len(made) == 0 && injected.all+own.all > 0 {
		line += ". The run below has no faults."
	}
	return line
}

// byTest reports whether a fault is of a kind that only a test's own code makes: cuts, crashes, pauses and clocks.
func byTest(f labrpc.Fault) bool {
	switch f.Kind {
	case labrpc.FaultCut, labrpc.FaultCrash, labrpc.FaultPause, labrpc.FaultClock:
		return true
	}
	return false
}

// byNetwork reports whether the network injects faults of this kind by the seed.
func byNetwork(f labrpc.Fault) bool { return !byTest(f) && f.Kind != faultStep }

// A share is how many faults of a sort there were, and how many were kept.
type share struct{ all, kept int }

func (m minimized) of(sort func(labrpc.Fault) bool) (n share) {
	for _, f := range m.all {
		if sort(f) {
			n.all++
		}
	}
	for f := range m.keep {
		if sort(f) {
			n.kept++
		}
	}
	return n
}

// network returns the lines of the faults in the run that the network injected, scripted those of the test.
func network(run *trace.Run) []string { return faultLines(run, false) }

func scripted(run *trace.Run) []string { return faultLines(run, true) }

func faultLines(run *trace.Run, ofTest bool) (lines []string) {
	_, all := trace.ShortFaults(run)
	for _, l := range all {
		if l.ByTest == ofTest {
			lines = append(lines, l.Text)
		}
	}
	return lines
}

// listed is ": this; that", at most four things, or nothing.
func listed(lines []string) string {
	const most = 4
	if len(lines) == 0 {
		return ""
	}
	shown := strings.Join(lines[:min(len(lines), most)], ", ")
	if len(lines) > most {
		shown += fmt.Sprintf(" and %d more", len(lines)-most)
	}
	return ": " + shown
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// those is plural for a noun that "the" precedes.
func those(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return plural(n, noun)
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
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

// faultLine says which faults there had been by then, where none could be left out: how many, and the last two.
func faultLine(n int, lines []trace.FaultLine) string {
	words := trace.FaultTexts(lines)
	switch {
	case n == 0:
		return "none"
	case n <= 3:
		return strings.Join(words, "; ")
	}
	return fmt.Sprintf("%d faults; the last two: %s; %s", n, words[n-2], words[n-1])
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
func (r *runner) writePage(out *outcome, f report.Failure, run *trace.Run) (string, error) {
	dir, shown := traceDir()
	name := fmt.Sprintf("%s-%d-history.html", r.t.Name(), out.seed)
	var text bytes.Buffer
	about := histpage.Run{
		Title: fmt.Sprintf("%s, seed %d", r.t.Name(), out.seed), What: f.What, Rule: f.Rule,
		Link: fmt.Sprintf("%s-%d.html", r.t.Name(), f.Seed), Nodes: run.Header.Nodes,
	}
	outages := run.Outages()
	slices.SortStableFunc(outages, func(a, b trace.Outage) int { return cmp.Compare(uint(a.Node-1), uint(b.Node-1)) }) // the network's, of node 0, come last
	for _, o := range outages {
		where := "network"
		if o.Node != 0 {
			where = o.Node.String()
		}
		about.Outages = append(about.Outages, histpage.Outage{Where: where, From: o.From, To: o.To, Text: o.Text})
	}
	err := errors.Join(out.page(&histpage.Writer{Writer: &text, Run: about}), os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o644))
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
