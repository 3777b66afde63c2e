package grade

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/tidy"
)

// Replayed is one run of one test that was recorded.
type Replayed struct {
	Test   result.Test
	Seed   uint64 // 0 if nothing was recorded and the test does not say which seed it was
	Record []byte // the record, as package trace reads it; nil if the run left none
}

// Replay runs one test of a source, recorded: with the seed that run names, whether it passes or fails; or over the
// test's own seeds, of which the first one that fails counts. A run that is not failing leaves no record then.
//
// A record is what the submission's process wrote: it is to be read with suspicion.
func (g *Grader) Replay(ctx context.Context, src submission.Source, test course.Selected, run Run) (Replayed, error) {
	dir, err := g.builder.Scratch().Folder("replay-")
	if err != nil {
		return Replayed{}, err
	}
	defer tidy.RemoveAll(dir)
	run.Traces = func(course.Lab) string { return dir }
	run.Record = run.Seed != ""
	graded, err := g.Grade(ctx, src, []course.Selected{test}, run)
	if err != nil {
		return Replayed{}, err
	}
	lab := &graded.Labs[0]
	if lab.Refused != "" {
		return Replayed{}, fmt.Errorf("grade: %s: %s", lab.ID, lab.Refused)
	}
	out := Replayed{Test: lab.Parts[0].Tests[0]}
	switch {
	case run.Seed != "":
		_, err = fmt.Sscan(run.Seed, &out.Seed)
	case len(out.Test.Failures) > 0:
		out.Seed = out.Test.Failures[0].Seed
	}
	if err != nil {
		return Replayed{}, fmt.Errorf("grade: seed %q: %w", run.Seed, err)
	}
	root, err := os.OpenRoot(dir) // a link must not lead out of it
	if err != nil {
		return Replayed{}, fmt.Errorf("grade: %w", err)
	}
	defer root.Close()
	out.Record = readRecord(root, filepath.Base(fmt.Sprintf("%s-%d.jsonl", out.Test.Name, out.Seed)))
	return out, nil
}

// maxRecord is the longest record that is read.
const maxRecord = 512 << 20

// readRecord reads a plain file; nil where there is none.
func readRecord(root *os.Root, name string) []byte {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRecord {
		return nil
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return nil
	}
	return text
}
