package watch

import (
	"fmt"
	"slices"
	"time"

	"distlabs/internal/grading/course"
)

// key answers a key on the main screen.
func (m Model) key(k Key, at time.Time) (Model, []Effect) {
	switch k {
	case "q":
		return m.quit()
	case "r":
		return m.again(at)
	case "h":
		return m, []Effect{GiveHint{Part: m.part}}
	case "l":
		m.list = true
		m.cursor = max(0, slices.IndexFunc(m.places(), func(p place) bool { return p.part.ID == m.part.ID }))
	case "t":
		return m.diagram()
	case "n":
		return m.next(at)
	}
	return m, nil
}

func (m Model) quit() (Model, []Effect) {
	if m.run != nil {
		return m, []Effect{Stop{}, Quit{}}
	}
	return m, []Effect{Quit{}}
}

// again runs the part again, with those that came with it.
func (m Model) again(at time.Time) (Model, []Effect) {
	return m.start(m.lab, m.affected(m.lab, m.part.Files), at)
}

// diagram opens the page of the failure that is shown.
func (m Model) diagram() (Model, []Effect) {
	t := m.failure()
	switch {
	case m.run != nil: // the failure of the last run is not on the screen
		m.message = "the tests still run"
	case t == nil:
		m.message = "no failure, so no diagram"
	case t.Failures[0].Diagram == "":
		m.message = "this failure has no diagram"
	default:
		return m, []Effect{Open{Path: t.Failures[0].Diagram}}
	}
	return m, nil
}

// next goes on to the part after this one, when this one passes.
func (m Model) next(at time.Time) (Model, []Effect) {
	if m.progress.Passed[m.part.ID] == "" {
		m.message = fmt.Sprintf("%s has not passed yet; l lists the parts, if you want another first", m.part.ID)
		return m, nil
	}
	places := m.places()
	here := slices.IndexFunc(places, func(p place) bool { return p.part.ID == m.part.ID })
	for _, p := range slices.Concat(places[here+1:], places[:here]) {
		if m.progress.Passed[p.part.ID] == "" && !p.lab.Base {
			return m.choose(p, at)
		}
	}
	m.message = "every part has passed: there is no next one"
	return m, nil
}

// place is a part and its lab.
type place struct {
	lab  course.Lab
	part course.Part
}

func (m Model) places() (all []place) {
	for _, lab := range m.course.Labs {
		for _, part := range lab.Parts {
			all = append(all, place{lab, part})
		}
	}
	return all
}

// choose turns to a part and runs it.
func (m Model) choose(p place, at time.Time) (Model, []Effect) {
	m.result, m.fault, m.advice, m.hints = nil, "", nil, nil
	return m.start(p.lab, []course.Part{p.part}, at)
}

// keyInList answers a key while the list is shown.
func (m Model) keyInList(k Key, at time.Time) (Model, []Effect) {
	places := m.places()
	switch k {
	case "q":
		return m.quit()
	case "l", KeyEsc:
		m.list = false
	case "j", KeyDown:
		m.cursor = min(m.cursor+1, len(places)-1)
	case "k", KeyUp:
		m.cursor = max(m.cursor-1, 0)
	case KeyEnter:
		return m.choose(places[m.cursor], at)
	}
	return m, nil
}
