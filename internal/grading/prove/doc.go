// Package prove grades the graders: it shows that the tests notice what is wrong and accept what is right.
//
// A [Prover] asks a [grade.Grader] to run known-wrong solutions (mutants), each of which must die by the test that it names;
// to soak the reference over many seeds, none of which may fail and each of which must replay; and to search the
// schedules of those tests that have some. Mutants that change function bodies alone share one build, a program in which
// a number in the environment says which of them runs.
package prove

import (
	"sync"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/workspace"
)

// Prover proves tests with a grader. It is safe for concurrent use. What it builds lives as long as the grader.
type Prover struct {
	g       *grade.Grader
	mu      sync.Mutex // guards mutants
	mutants map[group]*shared
}

// New returns a prover that works with a grader, which stays the caller's.
func New(g *grade.Grader) *Prover { return &Prover{g: g, mutants: map[group]*shared{}} }

func (p *Prover) builder() *workspace.Builder { return p.g.Builder() }

func (p *Prover) course() *course.Course { return p.builder().Course() }
