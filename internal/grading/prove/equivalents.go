package prove

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"distlabs/internal/grading/course"
)

// An Equivalent is a generated mutant that no observer can tell from the reference.
type Equivalent struct {
	Mutant string // its key
	Why    string // one line
	Line   int    // of equivalent.yaml
}

// EquivalentsFile is the path of a lab's list of equivalent mutants, relative to the course's root, with slashes.
func EquivalentsFile(lab course.Lab) string { return lab.SolutionDir() + "/equivalent.yaml" }

// Equivalents reads the list of a lab; a lab need not have one. It is a list of entries with two keys:
//
//   - mutant: "raft.go Raft.stand drop-operand: …"
//     why: "The simulator never has two events at one instant."
func Equivalents(c *course.Course, lab course.Lab) ([]Equivalent, error) {
	file := EquivalentsFile(lab)
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(file)))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("prove: %w", err)
	}
	list, err := parseEquivalents(text)
	if err != nil {
		return nil, fmt.Errorf("prove: %s: %w", file, err)
	}
	return list, nil
}

func parseEquivalents(text []byte) ([]Equivalent, error) {
	var nodes []yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, fmt.Errorf("want a list of entries with the keys mutant and why: %w", err)
	}
	seen := map[string]int{}
	var list []Equivalent
	for _, n := range nodes {
		entry := map[string]string{}
		if err := n.Decode(&entry); err != nil {
			return nil, fmt.Errorf("line %d: want an entry with the keys mutant and why: %w", n.Line, err)
		}
		e := Equivalent{Mutant: entry["mutant"], Why: strings.TrimSpace(entry["why"]), Line: n.Line}
		first, twice := seen[e.Mutant]
		switch {
		case len(entry) != 2 || e.Mutant == "":
			return nil, fmt.Errorf("line %d: the entry needs the keys mutant and why, and no other", n.Line)
		case e.Why == "" || strings.Contains(e.Why, "\n"):
			return nil, fmt.Errorf("line %d: why must be one line that says why no observer can tell the mutant from the reference", n.Line)
		case twice:
			return nil, fmt.Errorf("line %d: the mutant is in line %d already", n.Line, first)
		}
		seen[e.Mutant] = n.Line
		list = append(list, e)
	}
	return list, nil
}
