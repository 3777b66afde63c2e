package trace

import (
	"fmt"
	"slices"
	"time"

	"distlabs/labrpc"
)

// A Divergence is where two runs begin to tell different stories. Index 0 is the one run, 1 the other.
type Divergence struct {
	Step [2]int           // the steps that differ; -1 in a run that has none there
	At   [2]time.Duration // when; of a run that has no such step, the time of the other's
	Text string           // one sentence
}

// Diverge returns where two runs diverge, and whether they do. Runs of one seed part at the first step that [Diff] finds.
//
// Runs of two seeds have no step in common: each message takes another time. What is compared then is each
// node's own story, without times and messages: what it noted that was new, that it started, crashed, paused. Only
// where all stories are alike are the receivers of its messages taken in, and only where those are alike too, every step.
func Diverge(a, b *Run) (Divergence, bool) {
	if a.Header.Seed != b.Header.Seed {
		for _, told := range []func(*Run) []bool{(*Run).news, (*Run).newsAndSends} {
			if p, differ := compareStories(a, b, told); differ {
				return p, true
			}
		}
	}
	d, differ := Diff(a, b)
	if !differ {
		return Divergence{}, false
	}
	p := Divergence{Step: [2]int{-1, -1}, At: [2]time.Duration{d.At, d.At}, Text: d.String()}
	for k, r := range []*Run{a, b} {
		if d.Step < len(r.Steps) {
			p.Step[k], p.At[k] = d.Step, r.Steps[d.Step].At
		}
	}
	return p, true
}

// compareStories returns the first difference of the nodes' stories; told chooses the steps that belong to them.
func compareStories(a, b *Run, told func(*Run) []bool) (Divergence, bool) {
	one, other := stories(a, told), stories(b, told)
	var first Divergence
	found := false
	for n := range max(len(one), len(other)) {
		p, differ := compareStory(a, b, storyOf(one, n), storyOf(other, n))
		if differ && (!found || min(p.At[0], p.At[1]) < min(first.At[0], first.At[1])) {
			first, found = p, true
		}
	}
	return first, found
}

func compareStory(a, b *Run, x, y []int) (Divergence, bool) {
	for k := range max(len(x), len(y)) {
		switch {
		case k >= len(x):
			s := &b.Steps[y[k]]
			return Divergence{Step: [2]int{-1, y[k]}, At: [2]time.Duration{s.At, s.At},
				Text: fmt.Sprintf("%s at %s in B, and nothing of the kind in A", shorten(s.sentence(), maxSentence), Seconds(s.At))}, true
		case k >= len(y):
			s := &a.Steps[x[k]]
			return Divergence{Step: [2]int{x[k], -1}, At: [2]time.Duration{s.At, s.At},
				Text: fmt.Sprintf("%s at %s in A, and nothing of the kind in B", shorten(s.sentence(), maxSentence), Seconds(s.At))}, true
		}
		s, t := &a.Steps[x[k]], &b.Steps[y[k]]
		if s.sentence() == t.sentence() {
			continue
		}
		return Divergence{Step: [2]int{x[k], y[k]}, At: [2]time.Duration{s.At, t.At}, Text: fmt.Sprintf("%s at %s in A, %s at %s in B",
			shorten(s.sentence(), maxSentence), Seconds(s.At), shorten(t.sentence(), maxSentence), Seconds(t.At))}, true
	}
	return Divergence{}, false
}

// stories are the told steps of each node, by its number; those of the test and the network are at 0.
func stories(r *Run, told func(*Run) []bool) [][]int {
	out := make([][]int, r.Header.Nodes+1)
	for i, yes := range told(r) {
		if yes {
			n := r.Steps[i].Node
			out[n] = append(out[n], i)
		}
	}
	return out
}

func storyOf(all [][]int, n int) []int {
	if n < len(all) {
		return all[n]
	}
	return nil
}

// news chooses the steps at which a node changed: what it noted that was not so before, and what befell it.
func (r *Run) news() []bool {
	type name struct {
		node labrpc.NodeID
		name string
	}
	noted, out := map[name]string{}, make([]bool, len(r.Steps))
	befell := []labrpc.EventKind{labrpc.EventStarted, labrpc.EventCrashed, labrpc.EventStopped, labrpc.EventPaused}
	for i := range r.Steps {
		s := &r.Steps[i]
		switch {
		case s.Kind == labrpc.EventNoted:
			key := name{s.Node, s.Name}
			old, known := noted[key]
			noted[key] = s.Value
			out[i] = !known || old != s.Value
		case slices.Contains(befell, s.Kind):
			out[i] = s.Reason != closing
		}
	}
	return out
}

// newsAndSends chooses the sends too.
func (r *Run) newsAndSends() []bool {
	out := r.news()
	for i := range r.Steps {
		out[i] = out[i] || r.Steps[i].Kind == labrpc.EventSent
	}
	return out
}
