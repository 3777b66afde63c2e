// Package play makes pages on which a person is the network: the lab's own code runs in the browser, one message at a time.
//
// A [Site] is a folder of files that any server of files can serve: a page for each part that has a scenario, the code of each lab,
// and what runs it. [Serve] serves one on this machine, and builds it again when a student saves a file.
//
// The code is the lab's test binary for js/wasm, which labtest has wait for the page (see labtest.Play). It has the rights of a
// page: the content security policy permits no connection except to the files beside it, and the worker that runs the code inherits it.
package play

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// ErrNoScenario is the error for a part that cannot be played.
var ErrNoScenario = errors.New("no scenario to play")

// Scenes returns the parts of a selection that have a scenario. Where a person has named a part that has none, the error says which
// parts have one.
func Scenes(c *course.Course, selected []course.Selected) ([]course.Selected, error) {
	scenes := withScenario(selected)
	if len(scenes) > 0 {
		return scenes, nil
	}
	var names []string
	for _, s := range selected {
		for _, p := range s.Parts {
			names = append(names, p.ID)
		}
	}
	var others []string
	all, err := c.Select()
	if err != nil {
		return nil, err
	}
	for _, s := range withScenario(all) {
		for _, p := range s.Parts {
			others = append(others, p.ID)
		}
	}
	if len(others) == 0 {
		return nil, fmt.Errorf("play: %s: %w: no part of this course has one", strings.Join(names, ", "), ErrNoScenario)
	}
	return nil, fmt.Errorf("play: %s: %w: these parts have one: %s", strings.Join(names, ", "), ErrNoScenario, strings.Join(others, ", "))
}

func withScenario(selected []course.Selected) (scenes []course.Selected) {
	for _, s := range selected {
		parts := slices.DeleteFunc(slices.Clone(s.Parts), func(p course.Part) bool { return p.Scenario == "" })
		if len(parts) > 0 {
			scenes = append(scenes, course.Selected{Lab: s.Lab, Parts: parts})
		}
	}
	return scenes
}
