package explore

// NewDepthFirst goes through the schedules of one seed systematically, in two ways by turns.
//
// One goes through all schedules, with a growing bound on their length: 2 steps, then 4, up to
// the depth of b. Steps at different nodes commute, so of the schedules that differ only in the
// order of such steps it takes one, by sleep sets (Godefroid 1997). A message that is lost is one that does
// not arrive within the bound, so it loses none.
//
// The other goes through schedules of full length that leave the usual order of steps a few times: see detours. Most bugs need a long
// schedule, but few decisions.
func NewDepthFirst(b Bounds, seed uint64) *DepthFirst {
	return &DepthFirst{bounds: b, seed: seed, limit: min(2, b.Depth), detours: newDetours(b)}
}

// NewByState is the first of the two ways of [NewDepthFirst] alone, and does not go on from a state in which it has been with as many
// steps left. Its bound grows much further so. But it takes two states for one that look alike to the scenario and have alike
// messages under way, whatever the messages say and however long the timers have run: what follows from the second one only is missed.
// Where the scenario has no State, it leaves nothing out.
func NewByState(b Bounds, seed uint64) *DepthFirst {
	return &DepthFirst{bounds: b, seed: seed, limit: min(2, b.Depth), states: map[uint64]int{}}
}

// DepthFirst is the strategy of [NewDepthFirst] and [NewByState].
type DepthFirst struct {
	bounds  Bounds
	seed    uint64
	limit   int      // the present bound
	done    int      // the last bound that was exhausted
	begun   int      // schedules
	detours *detours // nil for none
	onTour  bool     // this schedule is one of the detours'
	frames  []frame
	pruned  int

	// By state and by what is asleep there: the smallest depth at which the search has gone on from it, within the present bound. nil where all
	// states count as different.
	states map[uint64]int
	state  uint64 // in which the next step is picked; 0 if not known
}

// Of the schedules after the first shortFirst, one in toursIn is a short one and the others are detours.
const (
	shortFirst = 100
	toursIn    = 8
)

// A frame is one step of the present schedule, and what has been tried in its place.
type frame struct {
	choices []Choice
	tried   []Choice // in its place, all that follows included
	asleep  []Choice // tried before in an equivalent place
	chosen  Choice
}

// Begin begins the next schedule.
func (d *DepthFirst) Begin() (uint64, bool) {
	d.begun++
	if d.begun == 1 {
		return d.seed, true
	}
	if d.onTour = d.detours != nil && d.begun > shortFirst && d.begun%toursIn != 0 && d.detours.begin(); d.onTour {
		return d.seed, true
	}
	if d.advance() {
		return d.seed, true
	}
	d.done = d.limit
	if d.limit >= d.bounds.Depth {
		return 0, false
	}
	d.limit = min(d.limit+2, d.bounds.Depth)
	clear(d.states)
	return d.seed, true
}

// Exhausted returns up to which length all schedules have been tried.
func (d *DepthFirst) Exhausted() int { return d.done }

// Pruned returns how many steps were not taken because an equivalent schedule had been tried.
func (d *DepthFirst) Pruned() int { return d.pruned }

// advance changes the last step that can be changed.
func (d *DepthFirst) advance() bool {
	for len(d.frames) > 0 {
		f := &d.frames[len(d.frames)-1]
		f.tried = append(f.tried, f.chosen)
		if d.wake(f) {
			return true
		}
		d.frames = d.frames[:len(d.frames)-1]
	}
	return false
}

// wake chooses the first step that is neither tried nor asleep.
func (d *DepthFirst) wake(f *frame) bool {
	for _, c := range f.choices {
		switch {
		case c.Act == Lose || contains(f.tried, c):
		case contains(f.asleep, c):
			d.pruned++
		default:
			f.chosen = c
			return true
		}
	}
	return false
}

func contains(list []Choice, c Choice) bool {
	for i := range list {
		if list[i] == c {
			return true
		}
	}
	return false
}

// At tells the state in which the next step is picked.
func (d *DepthFirst) At(state uint64) { d.state = state }

// known reports whether the search has gone on from the present state with as many steps left, and with the same steps asleep.
func (d *DepthFirst) known(asleep []Choice) bool {
	if d.states == nil || d.state == 0 {
		return false
	}
	key := d.state
	for _, c := range asleep {
		key += c.hash() // in any order
	}
	depth := len(d.frames)
	if before, ok := d.states[key]; ok && before <= depth {
		return true
	}
	d.states[key] = depth
	return false
}

// Pick repeats the steps up to the one that changed, and then takes the first possible ones.
func (d *DepthFirst) Pick(depth int, choices []Choice) int {
	if d.onTour {
		return d.detours.pick(depth, choices)
	}
	if depth >= d.limit {
		return -1
	}
	if depth == len(d.frames) && !d.push(choices) {
		return -1
	}
	for i, c := range choices {
		if c == d.frames[depth].chosen {
			return i
		}
	}
	return -1 // the run is another than before: not deterministic
}

// push adds a frame. It returns false if all that could follow was tried in an equivalent place.
func (d *DepthFirst) push(choices []Choice) bool {
	var f frame
	if n := len(d.frames); n < cap(d.frames) { // use its slices again
		f = d.frames[:n+1][n]
	}
	f.choices, f.tried, f.asleep = append(f.choices[:0], choices...), f.tried[:0], f.asleep[:0]
	if n := len(d.frames); n > 0 {
		last := &d.frames[n-1]
		for _, list := range [][]Choice{last.asleep, last.tried} {
			for _, c := range list {
				if commute(c, last.chosen) {
					f.asleep = append(f.asleep, c)
				}
			}
		}
	}
	if d.known(f.asleep) {
		d.pruned++
		return false
	}
	if !d.wake(&f) {
		return false
	}
	d.frames = append(d.frames, f)
	return true
}
