package prove

import (
	"context"
	"sync"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// shared is the program of a lab's mutants, built when the first is wanted.
type shared struct {
	once    sync.Once
	program *program
	err     error
}

// shared returns the program of a lab's mutants.
func (p *Prover) shared(ctx context.Context, lab course.Lab) (*program, error) {
	p.mu.Lock()
	s := p.mutants[lab.ID]
	if s == nil {
		s = &shared{}
		p.mutants[lab.ID] = s
	}
	p.mu.Unlock()
	s.once.Do(func() {
		var edits []Edit
		if edits, s.err = p.edits(lab); s.err == nil {
			s.program, s.err = build(ctx, p.g, lab, edits)
		}
	})
	return s.program, s.err
}

// edits are a lab's mutants as edits of its reference.
func (p *Prover) edits(lab course.Lab) ([]Edit, error) {
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
		text, err := m.apply(reference[m.File])
		if err != nil {
			return nil, err
		}
		edits = append(edits, Edit{Name: m.Name, File: m.File, Text: text})
	}
	return edits, nil
}
