package explore

import "slices"

// detours goes through the schedules of one seed that leave the usual order of steps a few times, at most: full-length schedules
// that a few decisions bring about, as in delay-bounded scheduling (Emmi, Qadeer, Rakamarić 2011). The usual order delivers the
// message that was sent first, and lets time pass when none is under way. A detour, at one step, is one of these:
//
//   - the message that is next is postponed until time has passed, is lost, or arrives and a copy is under way;
//   - the link of the message that is next falls behind for good: by itself none of its messages arrives any more;
//   - another message to the same node goes first;
//   - time passes early;
//   - a node crashes, if the last step was at that node: earlier or later it is the same crash.
//
// A round tries all schedules with so many detours in so many first steps. Each round is about four times as long as the last, and
// its rounds with few detours in many steps and with many detours in few are about equally long.
type detours struct {
	bounds Bounds
	most   int // detours in a schedule of this round
	window int // and in how many first steps
	target float64
	done   [maxDetours + 1]int // the last window, by how many detours

	turns []turn

	// Of the present schedule.
	waits     int
	postponed map[Choice]int // when: how often time had passed
	behind    map[link]bool
	last      Choice
	used      int
}

const (
	maxDetours    = 4
	detoursAStep  = 8 // about how many there are
	firstTarget   = 300
	targetsGrowBy = 4
)

// A turn is what may be done at one step: the usual first, then the detours.
type turn struct {
	ways []way
	at   int
	used int // detours before it
}

type way struct {
	step     Choice
	postpone Choice // a message that is postponed by it; none if its Act is 0
	forGood  bool   // and all others of its link
}

func newDetours(b Bounds) *detours {
	return &detours{bounds: b, target: firstTarget, postponed: map[Choice]int{}, behind: map[link]bool{}}
}

// begin begins the next schedule; false when there is none left.
func (d *detours) begin() bool {
	clear(d.postponed)
	clear(d.behind)
	d.waits, d.last, d.used = 0, Choice{Act: Wait}, 0
	for len(d.turns) > 0 {
		if t := &d.turns[len(d.turns)-1]; t.at+1 < len(t.ways) {
			t.at++
			return true
		}
		d.turns = d.turns[:len(d.turns)-1]
	}
	return d.nextRound()
}

// nextRound finds the next number of detours whose window grows.
func (d *detours) nextRound() bool {
	for d.done[maxDetours] < d.bounds.Depth {
		if d.most++; d.most > maxDetours {
			d.most = 1
			d.target *= targetsGrowBy
		}
		d.window = d.fitting()
		if d.window > d.done[d.most] {
			d.done[d.most] = d.window
			return true
		}
	}
	return false
}

// fitting is the window in which there are about target schedules with that many detours.
func (d *detours) fitting() int {
	for window := d.bounds.Depth; window >= d.most; window-- {
		n := 1.0
		for i := range d.most {
			n *= detoursAStep * float64(window-i) / float64(i+1)
		}
		if n <= d.target {
			return window
		}
	}
	return 0
}

func (d *detours) pick(depth int, choices []Choice) int {
	if depth >= d.bounds.Depth {
		return -1
	}
	var w way
	switch {
	case depth < len(d.turns):
		t := &d.turns[depth]
		w = t.ways[t.at]
		if t.at > 0 {
			d.used = t.used + 1
		}
	case depth == len(d.turns) && depth < d.window && d.used < d.most:
		d.turns = append(d.turns, turn{ways: d.ways(choices), used: d.used})
		w = d.turns[depth].ways[0]
	default:
		w.step = d.usual(choices, Choice{}, false)
	}
	switch {
	case w.forGood:
		d.behind[w.postpone.link()] = true
	case w.postpone.Act != 0:
		d.postponed[w.postpone] = d.waits
	}
	if w.step.Act == Wait {
		d.waits++
	}
	d.last = w.step
	for i, c := range choices {
		if c == w.step {
			return i
		}
	}
	return -1 // the run is another than before: not deterministic
}

// usual is the next step in the usual order, if a message, or all of its link, were postponed: the first message, then the
// first that was postponed and may arrive again, then time passes.
func (d *detours) usual(choices []Choice, postpone Choice, forGood bool) Choice {
	late := Choice{Act: Wait}
	for _, c := range choices {
		if c.Act != Deliver || c == postpone || d.behind[c.link()] || forGood && c.link() == postpone.link() {
			continue
		}
		since, is := d.postponed[c]
		switch {
		case !is:
			return c
		case late.Act == Wait && since < d.waits:
			late = c
		}
	}
	if late.Act == Wait && !slices.Contains(choices, late) { // time cannot pass: whatever is first
		return choices[0]
	}
	return late
}

func (d *detours) ways(choices []Choice) []way {
	next := d.usual(choices, Choice{}, false)
	ways := []way{{step: next}}
	if next.Act == Deliver {
		instead := d.usual(choices, next, false)
		ways = append(ways, way{step: instead, postpone: next},
			way{step: d.usual(choices, next, true), postpone: next, forGood: true})
		if instead.Act != Wait && slices.Contains(choices, Choice{Act: Wait}) {
			ways = append(ways, way{step: Choice{Act: Wait}})
		}
	}
	for _, c := range choices {
		switch c.Act {
		case Deliver:
			if c != next && c.Node == next.Node {
				ways = append(ways, way{step: c})
			}
		case Lose, Copy:
			if same := c; next.Act == Deliver {
				same.Act = Deliver
				if same == next {
					ways = append(ways, way{step: c})
				}
			}
		case Crash, CrashBefore, CrashAfter:
			if d.last.Act == Wait || d.last.Node == c.Node {
				ways = append(ways, way{step: c})
			}
		}
	}
	return ways
}

// link is the link of a choice about a message.
func (c Choice) link() link { return link{c.From, c.Node} }
