package prove

import (
	"context"
	"maps"
	"strconv"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
)

// Most mutants change the bodies of functions, and perhaps declare something more. All of those of a lab are built as one program, the
// mutant schemata of Untch, Offutt and Harrold (ISSTA 1993): each changed body stands in front of
// the reference's, under a condition that a number in the environment decides. One build then serves them all;
// a build takes longer than most mutants take to die.

// mutantEnv names the variable by which a shared build learns which mutant it is.
const mutantEnv = "LABS_MUTANT_NUMBER"

// switchFile declares the number; its name and the variable's are none that a lab would use.
const switchFile, switchText = "mutant_number.go", `
import (
	"os"
	"strconv"
)

var mutantNumber, _ = strconv.Atoi(os.Getenv("` + mutantEnv + `"))
`

// Edit is a mutant as its program is built: one file of the reference, changed.
type Edit struct {
	Name string // of the mutant
	File string // of the lab
	Text []byte // of the file: all of it
}

// program is one lab's reference with mutants in it, built once.
type program struct {
	w      *workspace.Workspace
	lab    course.Lab
	number map[string]int // by mutant, from 1; one that is missing needs a build of its own
}

// build builds one program of a lab's reference and all edits that can share it. If it does not compile, because of what the edits
// declare, those that declare nothing share it. If it still does not, no mutant is in it: each is then built alone, which shows the one
// at fault. plain builds without the race detector.
func build(ctx context.Context, g *grade.Grader, lab course.Lab, edits []Edit, plain bool) (p *program, err error) {
	if p, err = buildOnce(ctx, g, lab, edits, plain, true); err != nil || p.number != nil {
		return p, err
	}
	p.w.Remove()
	return buildOnce(ctx, g, lab, edits, plain, false)
}

func buildOnce(ctx context.Context, g *grade.Grader, lab course.Lab, edits []Edit, plain, declare bool) (*program, error) {
	c, reference := g.Builder().Course(), submission.Source{Kind: course.Solution}
	whole, err := c.Select(lab.ID)
	if err != nil {
		return nil, err
	}
	text, err := reference.Text(c, lab)
	if err != nil {
		return nil, err
	}
	w, err := g.Builder().Assemble(reference, whole)
	if err != nil {
		return nil, err
	}
	w.Plain = plain
	files, number := schemata(lab, text, edits, declare)
	files[switchFile] = []byte("package " + lab.Package + "\n" + switchText)
	if err := w.Put(w.Lab(lab.ID), files); err != nil {
		return nil, err
	}
	runner, err := g.Build(ctx, w, lab.ID, "")
	if err != nil {
		return nil, err
	}
	if runner.Refused() != "" {
		number = nil
	}
	return &program{w: w, lab: lab, number: number}, nil
}

// runner returns what runs a mutant's tests, and the environment that chooses the mutant; nil if the mutant is not in the program.
func (p *program) runner(g *grade.Grader, mutant string) (*grade.Runner, []string) {
	number := p.number[mutant]
	if number == 0 {
		return nil, nil
	}
	return g.Runner(p.w, p.lab.ID), []string{mutantEnv + "=" + strconv.Itoa(number)}
}

// schemata puts all mutants that it can into the files of the reference, and numbers them. A mutant is left out if it changes
// a declaration other than a body, if the gate refuses it, or if it declares something and may not.
func schemata(lab course.Lab, reference map[string][]byte, edits []Edit, declare bool) (files map[string][]byte, number map[string]int) {
	files, number = map[string][]byte{}, map[string]int{}
	shapes, declared := map[string]*shape{}, map[string]string{}
	for _, name := range lab.Files() {
		if s, ok := shapeOf(reference[name]); ok {
			shapes[name] = s
			if s.declared = declared; !declare {
				s.declared = nil
			}
		}
	}
	for i, e := range edits {
		base := shapes[e.File]
		changed, ok := shapeOf(e.Text)
		if base == nil || !ok || refused(lab, reference, e) || !base.add(i+1, changed) {
			continue
		}
		number[e.Name] = i + 1
	}
	for name, s := range shapes {
		files[name] = s.assemble()
	}
	return files, number
}

// refused reports whether the gate does not let the edited reference pass.
func refused(lab course.Lab, reference map[string][]byte, e Edit) bool {
	files := maps.Clone(reference)
	files[e.File] = e.Text
	return gate.Look(lab, files) != ""
}
