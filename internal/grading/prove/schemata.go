package prove

import (
	"bytes"
	"context"
	"maps"
	"regexp"
	"slices"
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

// rounds is how many mutants may be at fault for a program that does not compile. With more, no mutant is in it: each is then built alone.
const rounds = 8

// build builds one program of a lab's reference and all edits that can share it. One that compiles alone and not beside the reference's
// body, as one whose := assigns to a parameter that it does not use, is left out. plain builds without the race detector.
func build(ctx context.Context, g *grade.Grader, lab course.Lab, edits []Edit, plain bool) (*program, error) {
	text, err := (submission.Source{Kind: course.Solution}).Text(g.Builder().Course(), lab)
	if err != nil {
		return nil, err
	}
	edits = slices.Clone(edits)
	for round := 0; ; round++ {
		files, number := schemata(lab, text, edits)
		p, refused, err := buildOnce(ctx, g, lab, files, plain)
		if err != nil {
			return nil, err
		}
		if refused == "" {
			p.number = number
			return p, nil
		}
		n := atFault(files, refused)
		if n == 0 || round == rounds {
			return p, nil // without numbers
		}
		p.w.Remove()
		edits[n-1].Text = nil
	}
}

// buildOnce builds the files of a lab; refused says why they are not.
func buildOnce(ctx context.Context, g *grade.Grader, lab course.Lab, files map[string][]byte, plain bool) (p *program, refused string, err error) {
	whole, err := g.Builder().Course().Select(lab.ID)
	if err != nil {
		return nil, "", err
	}
	w, err := g.Builder().Assemble(submission.Source{Kind: course.Solution}, whole)
	if err != nil {
		return nil, "", err
	}
	w.Plain = plain
	files = maps.Clone(files)
	files[switchFile] = []byte("package " + lab.Package + "\n" + switchText)
	if err := w.Put(w.Lab(lab.ID), files); err != nil {
		return nil, "", err
	}
	runner, err := g.Build(ctx, w, lab.ID, "")
	if err != nil {
		return nil, "", err
	}
	return &program{w: w, lab: lab}, runner.Refused(), nil
}

// fault is where the compiler found one, and marked is what stands in front of what a mutant adds.
var (
	fault  = regexp.MustCompile(`([^/\s]+\.go):([0-9]+):`)
	marked = regexp.MustCompile(`mutantNumber == ([0-9]+) |// mutant ([0-9]+)\n`)
)

// atFault returns the number of the mutant to which the place belongs that a refusal names; 0 if there is none.
func atFault(files map[string][]byte, refused string) int {
	place := fault.FindStringSubmatch(refused)
	if place == nil {
		return 0
	}
	line, _ := strconv.Atoi(place[2])
	lines := bytes.SplitAfter(files[place[1]], []byte("\n"))
	before := bytes.Join(lines[:min(line, len(lines))], nil)
	marks := marked.FindAllSubmatch(before, -1)
	if len(marks) == 0 {
		return 0
	}
	last := marks[len(marks)-1]
	n, _ := strconv.Atoi(string(last[1]) + string(last[2]))
	return n
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
// a declaration other than a body, or if the gate refuses it.
func schemata(lab course.Lab, reference map[string][]byte, edits []Edit) (files map[string][]byte, number map[string]int) {
	files, number = map[string][]byte{}, map[string]int{}
	shapes, declared := map[string]*shape{}, map[string]string{}
	for _, name := range lab.Files() {
		if s, ok := shapeOf(reference[name]); ok {
			shapes[name] = s
			s.declared = declared
		}
	}
	for i, e := range edits {
		base := shapes[e.File]
		changed, ok := shapeOf(e.Text)
		if base == nil || !ok || refused(lab, e) || !base.add(i+1, changed) {
			continue
		}
		number[e.Name] = i + 1
	}
	for name, s := range shapes {
		files[name] = s.assemble()
	}
	return files, number
}

// refused reports whether the gate does not let an edit pass. The other files of the reference pass.
func refused(lab course.Lab, e Edit) bool {
	return gate.Look(lab, map[string][]byte{e.File: e.Text}) != ""
}
