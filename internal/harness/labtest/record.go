package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
)

// recording reports whether the environment asks for the record of every run, and not only of a failing one.
func recording() bool { return os.Getenv("LABS_RECORD") != "" }

// keep runs a seed that has passed once more, with a recorder, and writes its record and its page where those of a failure
// go. A run that nobody asked to see stays without a recorder.
func (r *runner) keep(out *outcome) {
	if r.alone || out.failure != nil || out.abandoned {
		return
	}
	_, run := r.record(out.seed)
	r.keepRun(out.seed, run)
}

// keepSchedule is keep for a written schedule.
func (x *exploration) keepSchedule(written search) {
	x.recorder = x.newRecorder(written.first)
	x.runScript(written.first, written.script, x.recorder.Observe)
	x.keepRun(written.first, x.recorder.Run())
	x.recorder = nil
}

// newRecorder is a recorder for a schedule.
func (x *exploration) newRecorder(seed uint64) *trace.Recorder {
	return trace.NewRecorder(trace.Header{
		Module: place().Package, Test: x.t.Name(), Seed: seed, Nodes: x.space.Nodes, Start: time.Unix(946684800, 0).UTC(),
	})
}

// keepRun writes the record and the page of a run that has passed.
func (r *runner) keepRun(seed uint64, run *trace.Run) {
	dir, shown := traceDir()
	base := fmt.Sprintf("%s-%d", r.t.Name(), seed)
	err := writeRun(filepath.Join(dir, base+".jsonl"), run)
	if err == nil {
		err = view.WriteFile(filepath.Join(dir, base+".html"), run)
	}
	if err != nil {
		fmt.Fprintf(r.t.Output(), "the record of seed %d could not be kept: %v\n", seed, err)
		return
	}
	fmt.Fprintf(r.t.Output(), "seed %d passes; diagram: %s\n", seed, filepath.ToSlash(filepath.Join(shown, base+".html")))
}
