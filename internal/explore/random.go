package explore

import "math/rand/v2"

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
		r.faulty = min(0.3, 2*float64(b.Losses+b.Copies+b.Crashes)/float64(b.Depth))
	}
	return r
}

type random struct {
	seeded
	faulty float64 // how often a step is a fault, where one is possible
}

func (r *random) Begin() (uint64, bool) { return r.begin(0x9a11), true }

func (r *random) Pick(_ int, choices []Choice) int {
	return pickOf(r.rand, choices, r.rand.Float64() < r.faulty)
}

// pickOf draws a fault, or no fault, with equal probability each; one of the others if there is none.
func pickOf(r *rand.Rand, choices []Choice, fault bool) int {
	n := 0
	for _, c := range choices {
		if c.IsFault() == fault {
			n++
		}
	}
	if n == 0 {
		return r.IntN(len(choices))
	}
	n = r.IntN(n)
	for i, c := range choices {
		if c.IsFault() == fault {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return -1
}
