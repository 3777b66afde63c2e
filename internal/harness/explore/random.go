package explore

import (
	"math/rand/v2"

	"distlabs/labrpc"
)

// seeded is what the random strategies share: schedule i has seed first+i, and all that it picks follows from that.
type seeded struct {
	bounds Bounds
	seed   uint64 // of the next schedule
	rand   *rand.Rand
	source *rand.PCG
}

func newSeeded(b Bounds, first uint64) seeded {
	source := rand.NewPCG(0, 0)
	return seeded{bounds: b, seed: first, source: source, rand: rand.New(source)}
}

func (s *seeded) begin(salt uint64) uint64 {
	seed := s.seed
	s.seed++
	s.source.Seed(seed, salt)
	return seed
}

// NewRandom is a random walk: each step is drawn from those that are possible. Faults are rarer than the rest, so that a
// schedule spreads those that it may have over its length. first is the seed of the first schedule.
func NewRandom(b Bounds, first uint64) Strategy {
	r := &random{seeded: newSeeded(b, first)}
	if b.Depth > 0 {
		r.faulty = min(0.3, 1*float64(b.Losses+b.Copies+b.Crashes)/float64(b.Depth))
	}
	return r
}

type random struct {
	seeded
	faulty float64       // how often a step is a fault, where one is possible
	last   labrpc.NodeID // where the last step was
}

func (r *random) Begin() (uint64, bool) {
	r.last = 0
	return r.begin(0x9a11), true
}

func (r *random) Pick(_ int, choices []Choice) int {
	i := -1
	if r.rand.Float64() < r.faulty {
		i = r.pickFault(choices)
	}
	if i < 0 {
		i = pickWhere(r.rand, choices, func(c Choice) bool { return !c.IsFault() })
	}
	r.last = choices[i].Node
	return i
}

// pickFault draws a fault: first its sort, each as often as the bounds permit it, then one of that sort, mostly near. It
// returns -1 if no fault is possible.
func (r *random) pickFault(choices []Choice) int {
	sorts := [...]struct {
		often  int
		wanted func(Act) bool
	}{
		{2 * r.bounds.Losses, func(a Act) bool { return a == Lose }},
		{2 * r.bounds.Copies, func(a Act) bool { return a == Copy }},
		{r.bounds.Crashes, func(a Act) bool { return a == Crash }},
		{r.bounds.Crashes, func(a Act) bool { return a == CrashBefore || a == CrashAfter }},
	}
	n := 2 * (r.bounds.Losses + r.bounds.Copies + r.bounds.Crashes)
	if n == 0 {
		return -1
	}
	n = r.rand.IntN(n)
	for _, sort := range sorts {
		if n -= sort.often; n >= 0 {
			continue
		}
		if i := pickNear(r.rand, choices, r.last, func(c Choice) bool { return sort.wanted(c.Act) }); i >= 0 {
			return i
		}
		break
	}
	return pickWhere(r.rand, choices, Choice.IsFault)
}

// pickNear is pickWhere, but mostly for a choice at the node where something has just happened, if there is one: what a
// node has done and not yet saved or sent is what a crash loses.
func pickNear(r *rand.Rand, choices []Choice, last labrpc.NodeID, wanted func(Choice) bool) int {
	if r.IntN(4) > 0 {
		if i := pickWhere(r, choices, func(c Choice) bool { return wanted(c) && c.Node == last }); i >= 0 {
			return i
		}
	}
	return pickWhere(r, choices, wanted)
}

// pickWhere draws one of the choices that are wanted, with equal probability each; -1 if there is none.
func pickWhere(r *rand.Rand, choices []Choice, wanted func(Choice) bool) int {
	n := 0
	for _, c := range choices {
		if wanted(c) {
			n++
		}
	}
	if n == 0 {
		return -1
	}
	n = r.IntN(n)
	for i, c := range choices {
		if wanted(c) {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return -1
}
