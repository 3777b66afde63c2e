package learn

import (
	"path/filepath"
	"slices"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/passed"
)

// PassedFile is where go test remembers, in a lab's folder, which tests passed.
const PassedFile = passed.File

// Collect records the parts that passed under plain go test, and returns what is remembered now. A part passed there if
// all its tests passed on the same files, in one run or in several.
func Collect(c *course.Course) (Progress, error) {
	type pass struct {
		digest string
		now    bool // the files are still the same
	}
	found := map[string]pass{} // by part
	for _, lab := range c.Labs {
		runs := passed.Load(filepath.Join(c.Root, filepath.FromSlash(lab.Dir())))
		if len(runs) == 0 {
			continue
		}
		for _, part := range lab.Parts {
			now, err := Digest(c, lab, part)
			if err != nil {
				return Progress{}, err
			}
			for _, run := range slices.Backward(runs) { // the latest counts, or the one of the files as they are
				if allPassed(run, part) && !found[part.ID].now {
					sum := digest(run.Files, part)
					found[part.ID] = pass{digest: sum, now: sum == now}
				}
			}
		}
	}
	return Update(c.Root, func(p *Progress) {
		for id, pass := range found {
			if pass.now || p.Passed[id] == "" { // what grade saw pass may be newer
				p.Passed[id] = pass.digest
			}
		}
	})
}

func allPassed(run passed.Run, part course.Part) bool {
	return !slices.ContainsFunc(part.Tests, func(t course.Test) bool { return !slices.Contains(run.Tests, t.Name) })
}
