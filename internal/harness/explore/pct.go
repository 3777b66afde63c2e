package explore

import "distlabs/labrpc"

// NewPCT is probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte 2010), carried over from threads to
// messages as Ozkan and others did (2018): every one-way link has a random priority, and the message at the head of the
// link with the highest priority arrives next. At changes-1 random steps the link that would be next falls behind all
// others; there, a fault may take the place of the step. Time is one more link, which
// has a new priority whenever it has passed: so a low link is late, but not forever.
//
// A bug that shows whenever d steps come in a certain order is found with a probability that falls with the
// number of steps to the power of d-1, and not of the length of the schedule: most bugs have a small d.
func NewPCT(b Bounds, first uint64, changes int) Strategy {
	return &pct{seeded: newSeeded(b, first), changes: max(changes, 1), links: map[link]float64{}}
}

// yields is how often time lets even the link go first that has fallen behind all others.
const yields = 0.1

type link struct{ from, to labrpc.NodeID }

type pct struct {
	seeded
	changes int
	points  []int // at these steps the order changes
	links   map[link]float64
	time    float64
	lowest  float64
	last    labrpc.NodeID // where the last step was
}

func (p *pct) Begin() (uint64, bool) {
	seed := p.begin(0x9c7)
	clear(p.links)
	p.last = 0
	p.time, p.lowest = p.rand.Float64(), 0 // what priorities begin with is between 0 and 1
	p.points = p.points[:0]
	faults := p.bounds.Losses + p.bounds.Copies + p.bounds.Crashes
	for range p.changes - 1 + faults {
		p.points = append(p.points, p.rand.IntN(max(p.bounds.Depth, 1)))
	}
	return seed, true
}

func (p *pct) Pick(depth int, choices []Choice) int {
	i := p.pick(depth, choices)
	if i >= 0 {
		p.last = choices[i].Node
	}
	return i
}

func (p *pct) pick(depth int, choices []Choice) int {
	best := p.highest(choices)
	if !p.changesAt(depth) {
		return best
	}
	if p.rand.IntN(2) == 0 {
		// The random walk draws the sort of fault first (pickFault); here that finds less, by measurement, as messages have more
		// faults than nodes and PCT's have few chances.
		if i := pickNear(p.rand, choices, p.last, Choice.IsFault); i >= 0 {
			return i
		}
	}
	p.lowest--
	p.setPriority(choices[best], p.lowest)
	return p.highest(choices)
}

func (p *pct) changesAt(depth int) bool {
	for _, at := range p.points {
		if at == depth {
			return true
		}
	}
	return false
}

// highest returns the choice, no fault, with the highest priority; of one link the message that was sent first.
func (p *pct) highest(choices []Choice) int {
	best, top := -1, 0.0
	for i, c := range choices {
		if c.IsFault() {
			continue
		}
		if pr := p.priority(c); best < 0 || pr > top {
			best, top = i, pr
		}
	}
	if best >= 0 && choices[best].Act == Wait {
		if p.time = p.rand.Float64(); p.time < yields {
			p.time = p.lowest - 1
		}
	}
	return best
}

func (p *pct) priority(c Choice) float64 {
	if c.Act == Wait {
		return p.time
	}
	key := link{c.From, c.Node}
	pr, ok := p.links[key]
	if !ok {
		pr = p.rand.Float64()
		p.links[key] = pr
	}
	return pr
}

func (p *pct) setPriority(c Choice, pr float64) {
	if c.Act == Wait {
		p.time = pr
	} else {
		p.links[link{c.From, c.Node}] = pr
	}
}
