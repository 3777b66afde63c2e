package labtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/explore"
	"distlabs/labrpc"
)

// A SearchSpace is what [Explore] searches. The zero value has no nodes; of the rest, zero stands for the default.
type SearchSpace struct {
	Nodes int
	// Depth is the longest schedule, in steps: messages that arrive, times that pass, faults. 40.
	Depth int
	// How many faults of each kind one schedule may have. A crash is one at a quiescent point or at a disk write; the node
	// starts again at once.
	Losses, Copies, Crashes int
	// MaxWait is how long one step may wait for a timer, in virtual time: longer than the longest timer of a node. 1s.
	MaxWait time.Duration
	// Strategy and Schedules are what a plain run does. pct, 300.
	Strategy  Strategy
	Schedules int
	// MustCover is Config.MustCover.
	MustCover []string
	// NoCrashes says that nodes do not crash in the model of this part: a person who plays cannot crash one.
	NoCrashes bool
	// Pause is how long a pause lasts, in virtual time. 500ms.
	Pause time.Duration
}

// An Action is something that a scenario does when it is chosen: a client's request, say.
type Action struct {
	Name string // a sentence: "n1 starts an election"
	// Can reports whether the action is possible now; nil: always.
	Can func() bool
	// Do does it, in a goroutine if it waits.
	Do func()
}

// Strategy names how schedules are chosen; see package explore.
type Strategy string

// The strategies.
const (
	Random     Strategy = "random"
	PCT        Strategy = "pct"
	DepthFirst Strategy = "depth-first"
	ByState    Strategy = "by-state"
	// Sampled is for comparison: no schedules, but links that lose and delay by the seed, as in [Run], and as many
	// crashes at random times.
	Sampled Strategy = "sampled"
	// Own is the one that the test's SearchSpace names.
	Own Strategy = "own"
)

// pctChanges is how many changes of order PCT makes in a schedule, faults aside.
const pctChanges = 3

// A Scenario is a small system whose schedules are searched: a few nodes that do one thing.
type Scenario struct {
	// Start begins the student's server on a node, at first and after each crash. It must not wait.
	Start func(node *labrpc.Node)
	// State describes what is seen of the system at a quiescent point, so that distinct states can be counted.
	// It may be nil.
	State func(see func(values ...int))
	// BeforeStep, if not nil, is asked before each step and may do something by itself, such as a client's request, in a goroutine
	// if it waits; it reports whether it did.
	BeforeStep func() bool
	// Done, if not nil, ends a schedule.
	Done func() bool
	// Actions are what a person who plays, or a written schedule, may have the scenario do. No search takes them.
	Actions []Action
	// Puzzles are what a person may try to bring about; see [Play].
	Puzzles []Puzzle
	// OnDelivery, if not nil, is called for each message that is about to arrive. The next check sees what its receiver did about it.
	OnDelivery func(m Arrival)
}

// An Arrival is a message that is about to arrive. A reply may come too late for its caller to notice.
type Arrival struct {
	From, To labrpc.NodeID
	Kind     labrpc.MessageKind
	Body     any
}

// Explore searches schedules of the scenario that setup makes, each in a bubble of its own with a fresh network: the
// network holds every message, and what happens next is a choice. Rules are checked after every step: by [Sim.Always], by
// interceptors, by Tell. setup may register those, but must not wait.
//
// What it finds is an ordinary failure, shortened to steps none of which can be left out; LABS_SCHEDULE, which is printed
// with it, takes just those again. LABS_EXPLORE=STRATEGY:SCHEDULES[:FIRST SEED] says how to search; with it,
// tests of other sorts are skipped.
func Explore(t *testing.T, space SearchSpace, setup func(s *Sim) Scenario) {
	t.Helper()
	skipUnlessOurs(t)
	if err := refuseWhatIf(); err != nil {
		t.Fatal(err)
	}
	x := newExploration(t, space, setup)
	if inBrowser || toPlay() { // the program for a browser does without the search, and what explains its failures
		x.play()
		return
	}
	x.run()
}

// exploring reports whether only schedules are to be searched.
func exploring() bool { return os.Getenv("LABS_EXPLORE") != "" }

func skipIfExploring(t *testing.T) {
	t.Helper()
	if exploring() {
		skip(t, "LABS_EXPLORE is set, and this test searches no schedules")
	}
}

// withDefaults fills in what is zero.
func (space SearchSpace) withDefaults() SearchSpace {
	if space.Depth == 0 {
		space.Depth = 40
	}
	if space.MaxWait == 0 {
		space.MaxWait = time.Second
	}
	if space.Pause == 0 {
		space.Pause = 500 * time.Millisecond
	}
	if space.Strategy == "" {
		space.Strategy = PCT
	}
	if space.Schedules == 0 {
		space.Schedules = 300
	}
	return space
}

func (space SearchSpace) bounds() explore.Bounds {
	return explore.Bounds{Depth: space.Depth, Losses: space.Losses, Copies: space.Copies, Crashes: space.Crashes}
}

// A search is what the environment asks for.
type search struct {
	strategy  Strategy
	schedules int
	first     uint64 // seed
	script    []explore.Token
}

// chosenSearch returns what to search, and whether that is at least as much as the test's own search.
func chosenSearch(space SearchSpace) (s search, enough bool, err error) {
	s = search{strategy: space.Strategy, schedules: space.Schedules, first: 1}
	seeds, enough, err := chosenSeeds(space.Schedules)
	if err != nil {
		return s, false, err
	}
	s.first, s.schedules = seeds[0], len(seeds) // as many schedules as seeds, from the first on
	if v := os.Getenv("LABS_SCHEDULE"); v != "" {
		s.script, err = explore.Parse(v)
		return s, false, err
	}
	v := os.Getenv("LABS_EXPLORE")
	if v == "" {
		return s, enough, nil
	}
	wrong := fmt.Errorf("LABS_EXPLORE=%q: want a strategy (%s, %s, %s, %s, %s or %s), a number of schedules and, if you like, the first seed: pct:5000:1",
		v, Own, Random, PCT, DepthFirst, ByState, Sampled)
	fields := strings.Split(v, ":")
	if len(fields) < 2 || len(fields) > 3 {
		return s, false, wrong
	}
	s.strategy = Strategy(fields[0])
	switch s.strategy {
	case Own:
		s.strategy = space.Strategy
	case Random, PCT, DepthFirst, ByState, Sampled:
	default:
		return s, false, wrong
	}
	if s.schedules, err = strconv.Atoi(fields[1]); err != nil || s.schedules < 1 {
		return s, false, wrong
	}
	if len(fields) == 3 {
		if s.first, err = strconv.ParseUint(fields[2], 10, 64); err != nil {
			return s, false, wrong
		}
	}
	return s, false, nil
}
