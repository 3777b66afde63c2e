package labtest

import (
	"fmt"
	"os"
	"path/filepath"

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
	dir, shown := traceDir()
	base := fmt.Sprintf("%s-%d", r.t.Name(), out.seed)
	err := writeRun(filepath.Join(dir, base+".jsonl"), run)
	if err == nil {
		err = view.WriteFile(filepath.Join(dir, base+".html"), run)
	}
	if err != nil {
		fmt.Fprintf(r.t.Output(), "the record of seed %d could not be kept: %v\n", out.seed, err)
		return
	}
	fmt.Fprintf(r.t.Output(), "seed %d passes; diagram: %s\n", out.seed, filepath.ToSlash(filepath.Join(shown, base+".html")))
}
