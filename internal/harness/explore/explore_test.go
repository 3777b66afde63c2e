package explore

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// A toy is a small system without a network: a node's state is the list of what it has received, and decides what it sends.
type toy struct {
	nodes   int
	sends   func(node labrpc.NodeID, received []string) []labrpc.NodeID
	got     [][]string
	pending []Choice
	numbers map[link]uint64
	waits   int
	maxWait int
	counts  bool // how many messages a node has received is its state, not which
}

func newToy(nodes int, sends func(labrpc.NodeID, []string) []labrpc.NodeID) *toy {
	t := &toy{nodes: nodes, sends: sends, got: make([][]string, nodes+1), numbers: map[link]uint64{}}
	for n := 1; n <= nodes; n++ {
		t.send(labrpc.NodeID(n))
	}
	return t
}

func (t *toy) send(from labrpc.NodeID) {
	for _, to := range t.sends(from, t.got[from]) {
		key := link{from, to}
		t.numbers[key]++
		t.pending = append(t.pending, Choice{Act: Deliver, From: from, Node: to, Method: "m", Number: t.numbers[key]})
	}
}

func (t *toy) choices() []Choice {
	list := slices.Clone(t.pending)
	if t.waits < t.maxWait {
		list = append(list, Choice{Act: Wait})
	}
	return list
}

// take makes a step; when time passes every node sees it.
func (t *toy) take(c Choice) {
	if c.Act == Wait {
		t.waits++
		for n := 1; n <= t.nodes; n++ {
			t.got[n] = append(t.got[n], "tick")
			t.send(labrpc.NodeID(n))
		}
		return
	}
	t.pending = slices.DeleteFunc(t.pending, func(o Choice) bool { return o == c })
	t.got[c.Node] = append(t.got[c.Node], fmt.Sprintf("%v#%d", c.From, c.Number))
	t.send(c.Node)
}

// state is all of the toy that does not follow from the rest.
func (t *toy) state() string {
	if !t.counts {
		return fmt.Sprint(t.got)
	}
	var b strings.Builder
	for _, got := range t.got {
		fmt.Fprint(&b, len(got), " ")
	}
	pending := make([]string, len(t.pending))
	for i, c := range t.pending {
		pending[i] = c.String()
	}
	slices.Sort(pending)
	return b.String() + strings.Join(pending, ", ")
}

// everything is the states of all schedules up to a depth, without any reduction, and how many schedules there are.
func everything(make func() *toy, depth int) (states map[string]bool, schedules int) {
	states = map[string]bool{}
	var walk func(prefix []Choice)
	walk = func(prefix []Choice) {
		t := make()
		for _, c := range prefix {
			t.take(c)
		}
		states[t.state()] = true
		choices := t.choices()
		if len(prefix) == depth || len(choices) == 0 {
			schedules++
			return
		}
		for _, c := range choices {
			walk(append(slices.Clone(prefix), c))
		}
	}
	walk(nil)
	return states, schedules
}

// run goes through the schedules of a strategy, and returns the states and how many schedules there were.
func run(make func() *toy, st Strategy, limit int) (states map[string]bool, schedules int) {
	states = map[string]bool{}
	for ; schedules < limit; schedules++ {
		if _, ok := st.Begin(); !ok {
			break
		}
		t := make()
		for depth := 0; ; depth++ {
			states[t.state()] = true
			choices := t.choices()
			if len(choices) == 0 {
				break
			}
			if s, ok := st.(StateReader); ok {
				h := fnv.New64a()
				_, _ = h.Write([]byte(t.state()))
				s.At(h.Sum64())
			}
			i := st.Pick(depth, choices)
			if i < 0 {
				break
			}
			t.take(choices[i])
		}
	}
	return states, schedules
}

// Two messages to each of two nodes: 24 orders, of which 4 differ for somebody.
func TestDepthFirstTakesOneOfEachClass(t *testing.T) {
	toy := func() *toy {
		return newToy(2, func(node labrpc.NodeID, got []string) []labrpc.NodeID {
			if len(got) > 0 {
				return nil
			}
			return []labrpc.NodeID{1, 2}
		})
	}
	_, all := everything(toy, 4)
	require.Equal(t, 24, all)
	d := NewDepthFirst(Bounds{Depth: 4}, 1)
	d.limit = 4
	_, n := run(toy, d, 1000)
	require.LessOrEqual(t, n, 10, "4 classes, and beginnings of others that turn out to be the same")
	require.Equal(t, 4, d.Exhausted())
	require.Positive(t, d.Pruned())
}

// Where what is seen tells all states apart, by-state reaches every one within the depth, in fewer schedules than depth-first needs.
func TestByStateMissesNoState(t *testing.T) {
	fewer := 0
	for seed := range uint64(12) {
		system := func() *toy {
			// What a node sends follows from how much it has received: orders lead to equal states.
			s := newToy(3, func(node labrpc.NodeID, got []string) (to []labrpc.NodeID) {
				h := rand.New(rand.NewPCG(seed, uint64(node)*31+uint64(len(got))))
				for n := labrpc.NodeID(1); n <= 3; n++ {
					if h.IntN(3) == 0 {
						to = append(to, n)
					}
				}
				return to
			})
			s.counts = true
			return s
		}
		want, _ := everything(system, 4)
		d := NewDepthFirst(Bounds{Depth: 4}, 1)
		d.detours = nil
		_, without := run(system, d, 1_000_000)
		s := NewByState(Bounds{Depth: 4}, 1)
		got, with := run(system, s, 1_000_000)
		require.Equal(t, want, got, "system %d", seed)
		require.Equal(t, 4, s.Exhausted())
		require.LessOrEqual(t, with, without, "system %d", seed)
		if with < without {
			fewer++
		}
	}
	require.Greater(t, fewer, 3, "it saves something in many systems")
}

// systems is how many systems are searched whole.
var systems = flag.Int("systems", 20, "how many systems TestDepthFirstMissesNoState searches")

// Whatever the system: depth-first reaches every state that there is within the depth.
func TestDepthFirstMissesNoState(t *testing.T) {
	saved := 0
	for seed := range uint64(*systems) {
		system := func() *toy {
			// What a node sends is a function of all that it has received, in order.
			s := newToy(3, func(node labrpc.NodeID, got []string) []labrpc.NodeID {
				h := rand.New(rand.NewPCG(seed, uint64(node)*31+uint64(len(strings.Join(got, ",")))*7+uint64(len(got))))
				for _, g := range got {
					h = rand.New(rand.NewPCG(h.Uint64(), uint64(g[0])<<8+uint64(g[len(g)-1])))
				}
				var to []labrpc.NodeID
				for n := labrpc.NodeID(1); n <= 3; n++ {
					if h.IntN(4) == 0 || len(got) == 0 && h.IntN(2) == 0 {
						to = append(to, n)
					}
				}
				return to
			})
			s.maxWait = int(seed % 3)
			return s
		}
		want, all := everything(system, 4)
		d := NewDepthFirst(Bounds{Depth: 4}, 1)
		d.detours = nil // the short schedules alone
		got, n := run(system, d, 1_000_000)
		require.Equal(t, want, got, "system %d", seed)
		require.Equal(t, 4, d.Exhausted())
		if n < all {
			saved++
		}
	}
	require.Greater(t, saved, 10, "the reduction saves something in most systems")
}

// The same seed picks the same, and another seed something else sooner or later.
func TestRandomStrategiesFollowTheirSeed(t *testing.T) {
	choices := []Choice{{Act: Deliver, From: 1, Node: 2}, {Act: Deliver, From: 2, Node: 3}, {Act: Deliver, From: 3, Node: 1}, {Act: Wait},
		{Act: Lose, From: 1, Node: 2}, {Act: Crash, Node: 2}}
	b := Bounds{Depth: 50, Losses: 2, Crashes: 1}
	for name, make := range map[string]func(first uint64) Strategy{
		"random": func(first uint64) Strategy { return NewRandom(b, first) },
		"pct":    func(first uint64) Strategy { return NewPCT(b, first, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			picks := func(st Strategy) (list []int) {
				seed, ok := st.Begin()
				require.True(t, ok)
				require.NotZero(t, seed)
				for depth := range b.Depth {
					list = append(list, st.Pick(depth, choices))
				}
				return list
			}
			later := make(1)
			picks(later)
			two := picks(later)
			require.Equal(t, two, picks(make(2)), "the second schedule is the first of the next seed")
			require.NotEqual(t, two, picks(make(3)))
			faults := 0
			for seed := range uint64(20) {
				for _, i := range picks(make(seed + 1)) {
					if choices[i].IsFault() {
						faults++
					}
				}
			}
			require.Positive(t, faults)
			require.Less(t, faults, 20*b.Depth/2, "faults are rarer than the rest")
		})
	}
}

// PCT lets the link with the highest priority go first, message by message, and a low one is late but not forever.
func TestPCTKeepsPriorities(t *testing.T) {
	p := NewPCT(Bounds{Depth: 100}, 5, 1)
	p.Begin()
	links := []Choice{{Act: Deliver, From: 1, Node: 2}, {Act: Deliver, From: 2, Node: 1}, {Act: Wait}}
	firsts, waits := map[labrpc.NodeID]int{}, 0
	for depth := range 100 {
		if c := links[p.Pick(depth, links)]; c.Act == Wait {
			waits++
		} else {
			firsts[c.From]++
		}
	}
	require.Len(t, firsts, 1, "of two links with messages, always the same is first")
	require.Positive(t, waits)

	// Even the link that has fallen behind all others arrives, once time has passed often enough.
	for seed := range uint64(50) {
		p := NewPCT(Bounds{Depth: 10}, seed, 4)
		p.Begin()
		left := slices.Clone(links)
		for depth := range 200 {
			if i := p.Pick(depth, left); left[i].Act != Wait {
				left = slices.Delete(left, i, i+1)
			}
		}
		require.Len(t, left, 1, "both messages have arrived")
	}
}

func TestScript(t *testing.T) {
	choices := []Choice{
		{Act: Deliver, From: 1, Node: 2, Number: 1}, {Act: Deliver, From: 1, Node: 3, Number: 1}, {Act: Wait},
		{Act: Lose, From: 1, Node: 2, Number: 1}, {Act: Lose, From: 1, Node: 3, Number: 1}, {Act: Crash, Node: 1}, {Act: Crash, Node: 2},
		{Act: CrashBefore, Node: 2}, {Act: Down, Node: 3}, {Act: Up, Node: 1}, {Act: Pause, Node: 2}, {Act: Cut, From: 1, Node: 3},
		{Act: Cut, From: 3, Node: 1}, {Act: Heal, From: 2, Node: 1}, {Act: Do, Number: 0, Method: "n1 says more"}, {Act: Do, Number: 4},
	}
	var tokens []Token
	for i := range choices {
		tokens = append(tokens, TokenOf(choices, i))
	}
	text := Format(tokens)
	require.Equal(t, "d0.d1.w.x0.x1.c1.c2.b2.k3.r1.p2.l1-3.l3-1.h2-1.s0.s4", text)
	parsed, err := Parse(text)
	require.NoError(t, err)
	require.Equal(t, tokens, parsed)
	s := NewScript(7, parsed)
	seed, ok := s.Begin()
	require.True(t, ok)
	require.EqualValues(t, 7, seed)
	for i := range choices {
		require.Equal(t, i, s.Pick(i, choices))
	}
	require.Equal(t, -1, s.Pick(len(choices), choices))
	_, again := s.Begin()
	require.False(t, again)

	for _, wrong := range []string{"", "d", "w1", "d0..w", "z3", "d-1", "x0,w", "l1", "l1-", "h-2", "l1-2-3", "k", "s"} {
		_, err := Parse(wrong)
		require.ErrorContains(t, err, "explore: step ", wrong)
	}
}

// A replay leaves out what is not possible when its turn comes.
func TestReplayLeavesOut(t *testing.T) {
	a, b, c := Choice{Act: Deliver, From: 1, Node: 2}, Choice{Act: Deliver, From: 2, Node: 3}, Choice{Act: Wait}
	r := NewReplay(1, []Choice{a, b, c})
	r.Begin()
	require.Equal(t, 0, r.Pick(0, []Choice{a, c}))
	require.Equal(t, 1, r.Pick(1, []Choice{a, c}), "b is not possible")
	require.Equal(t, -1, r.Pick(2, []Choice{a, b, c}))
}

// A state that needs a long schedule, but one decision, is found soon: two nodes play ping-pong, and time passes only at the tenth
// arrival at n1. There are more than 3^18 schedules of that length.
func TestDepthFirstFindsWhatIsLongButSimple(t *testing.T) {
	reached := false
	system := func() *toy {
		s := newToy(3, func(node labrpc.NodeID, got []string) []labrpc.NodeID {
			if node == 1 && len(got) > 0 && got[len(got)-1] == "tick" {
				reached = reached || len(got) == 10
				return nil
			}
			if len(got) == 0 && node != 1 {
				return nil
			}
			return []labrpc.NodeID{3 - min(node, 2), 3}
		})
		s.maxWait = 1
		return s
	}
	st := NewDepthFirst(Bounds{Depth: 30}, 1)
	_, n := run(system, st, 500)
	require.Equal(t, 500, n)
	require.True(t, reached)
	require.Less(t, st.Exhausted(), 18)
}

// No two schedules of one round are the same, and none ends before its time: what is picked was possible.
func TestDetoursDiffer(t *testing.T) {
	system := func() *toy {
		s := newToy(3, func(node labrpc.NodeID, got []string) []labrpc.NodeID {
			return []labrpc.NodeID{1 + node%3}
		})
		s.maxWait = 3
		return s
	}
	const depth = 8
	d := newDetours(Bounds{Depth: depth})
	type round struct{ most, window int }
	schedules := map[round]map[string]bool{}
	for n := 0; n < 500 && d.begin(); n++ {
		s, text := system(), ""
		for step := range depth {
			choices := s.choices()
			i := d.pick(step, choices)
			require.GreaterOrEqual(t, i, 0)
			text += choices[i].String() + "; "
			s.take(choices[i])
		}
		r := round{d.most, d.window}
		if schedules[r] == nil {
			schedules[r] = map[string]bool{}
		}
		require.LessOrEqual(t, d.used, d.most)
		schedules[r][text] = true
	}
	require.Greater(t, len(schedules), 2)
	for r, all := range schedules {
		require.Greater(t, len(all), r.window, "round %v", r)
	}
}
