package grade

import (
	"distlabs/internal/grading/result"
)

// Progress is one step of the work.
type Progress struct {
	Stage  Stage
	Lab    string
	Mutant string // "" unless mutants are run
	Test   string // of StageTest and StageTested
	Seed   uint64 // of StageTest: the seed that it is at, 0 if none yet
	Result *result.Test
	// Problem is, of StageMutant, what is wrong: "survived TestX", for example. It is "" if the mutant was killed as it should be.
	Problem string
	Total   int // of StageMutant: how many mutants of the lab are run; 0 if that was known before
}

// Stage is what a step of the work is about.
type Stage string

// The stages, in order.
const (
	StageBuild  Stage = "build"  // a lab's test binary is being built
	StageTest   Stage = "test"   // a test began, or began another seed
	StageTested Stage = "tested" // a test is over; Result is set
	StageMutant Stage = "mutant" // all tests of a mutant are over
)

// Tell reports progress to Options.Progress, one call at a time.
func (g *Grader) Tell(p Progress) {
	if g.progress == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.progress(p)
}
