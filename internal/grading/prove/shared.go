package prove

import (
	"context"
	"sync"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// group is which mutants of a lab share a program: those that may die by the race detector's word are built with it, which takes their
// tests two to five times as long. The others would die of the same words without it.
type group struct {
	lab   string
	raced bool
}

// shared is the program of a group of mutants, built when the first is wanted.
type shared struct {
	once    sync.Once
	program *program
	err     error
}

// shared returns the program of a lab's mutants.
func (p *Prover) shared(ctx context.Context, lab course.Lab, raced bool) (*program, error) {
	which := group{lab.ID, raced}
	p.mu.Lock()
	s := p.mutants[which]
	if s == nil {
		s = &shared{}
		p.mutants[which] = s
	}
	p.mu.Unlock()
	s.once.Do(func() {
		var edits []Edit
		if edits, s.err = p.edits(lab, raced); s.err == nil {
			s.program, s.err = build(ctx, p.g, lab, edits, !raced)
		}
	})
	return s.program, s.err
}

// edits are a group's mutants as edits of the lab's reference.
func (p *Prover) edits(lab course.Lab, raced bool) ([]Edit, error) {
	mutants, err := Mutants(p.course(), lab)
	if err != nil {
		return nil, err
	}
	reference, err := (submission.Source{Kind: course.Solution}).Text(p.course(), lab)
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, m := range mutants {
		if m.raced() != raced {
			continue
		}
		text, err := m.apply(reference[m.File])
		if err != nil {
			return nil, err
		}
		edits = append(edits, Edit{Name: m.Name, File: m.File, Text: text})
	}
	return edits, nil
}
