package labtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/explore"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/labrpc"
)

// A Position is where a played schedule stands: what has happened since the position before, and what can happen next.
type Position struct {
	At    time.Duration `json:"at"`
	Steps int           `json:"steps"` // how many events the run has so far
	New   view.Steps    `json:"new"`   // the events since the position before

	Pending []Underway      `json:"pending"` // in the order of sending: a token names a message by its place here
	Down    []labrpc.NodeID `json:"down"`
	Paused  []labrpc.NodeID `json:"paused"`
	Cut     []string        `json:"cut"`     // the one-way links that are cut, as "1-3"
	Actions []int           `json:"actions"` // which of the scenario's actions are possible
	Reached []string        `json:"reached"` // the puzzles whose goal is reached

	// Failure is how a rule broke, or the code failed in another way. Nothing can happen after it.
	Failure *report.Failure `json:"failure"`
	Broke   time.Duration   `json:"broke"`
}

// Underway is a message that was sent and has not arrived.
type Underway struct {
	From   labrpc.NodeID      `json:"from"`
	To     labrpc.NodeID      `json:"to"`
	Method string             `json:"method"`
	Kind   labrpc.MessageKind `json:"kind"`
	Number uint64             `json:"number"`
	Copies int                `json:"copies"` // how many copies of it have arrived
}

// A player plays one scenario. It holds one run, which waits for its next step; going back starts another.
type player struct {
	x   *exploration
	now *game
}

func newPlayer(x *exploration) *player {
	x.playing = true
	return &player{x: x}
}

// A game is a run that waits for its next step. It is the strategy of its schedule.
type game struct {
	seed     uint64
	c        *schedule
	rec      *trace.Recorder
	told     int // events that positions have told so far
	tokens   []explore.Token
	choices  []explore.Choice // what can happen next
	asked    chan []explore.Choice
	picks    chan int
	over     chan *outcome
	finished *outcome
}

// Begin and Pick make a game a strategy.
func (g *game) Begin() (uint64, bool) { return g.seed, true }

// Pick waits for the person. The network's goroutine waits in it on channels from outside its bubble, so that no virtual time
// passes.
func (g *game) Pick(_ int, choices []explore.Choice) int {
	g.asked <- choices
	return <-g.picks
}

// start begins a game from the scenario's first instant.
func (p *player) start(seed uint64) *game {
	p.end()
	g := &game{
		seed: seed, rec: p.x.newRecorder(seed),
		asked: make(chan []explore.Choice), picks: make(chan int), over: make(chan *outcome, 1),
	}
	g.c = &schedule{strategy: g, record: true, free: true}
	p.x.recorder = g.rec
	go func() { g.over <- p.x.runSchedule(g.c, seed, g.rec.Observe) }()
	p.now = g
	g.wait()
	return g
}

// wait waits until the game asks for its next step, or is over.
func (g *game) wait() {
	select {
	case g.choices = <-g.asked:
	case g.finished = <-g.over:
		g.choices = nil
	}
}

// step takes a step, and reports whether it was possible.
func (g *game) step(t explore.Token) bool {
	i := t.Find(g.choices)
	if i < 0 {
		return false
	}
	g.tokens = append(g.tokens, t)
	g.picks <- i
	g.wait()
	return true
}

// end ends the game that waits.
func (p *player) end() {
	if g := p.now; g != nil && g.finished == nil {
		g.picks <- -1
		g.finished = <-g.over
	}
	p.now = nil
}

// goTo plays a schedule, and returns its positions from the one after so many steps on: the caller knows those before it.
// Where the present run is a beginning of the schedule it goes on. fits is how many of the steps were possible.
func (p *player) goTo(seed uint64, schedule []explore.Token, known int) (positions []Position, fits int) {
	g := p.now
	if g == nil || g.seed != seed || known <= len(g.tokens) || !g.isBeginningOf(schedule) {
		g = p.start(seed)
		if pos := g.position(p); known == 0 {
			positions = append(positions, pos)
		}
	}
	for at := len(g.tokens); at < len(schedule); at++ {
		if !g.step(schedule[at]) {
			return positions, at
		}
		if pos := g.position(p); at+1 >= known {
			positions = append(positions, pos)
		}
	}
	return positions, len(schedule)
}

// isBeginningOf reports whether the schedule goes on from where the game stands.
func (g *game) isBeginningOf(schedule []explore.Token) bool {
	return len(g.tokens) <= len(schedule) && slices.Equal(g.tokens, schedule[:len(g.tokens)])
}

// position describes where the game stands. The game waits meanwhile, so that nothing changes.
func (g *game) position(p *player) Position {
	events := g.rec.Since(g.told)
	g.told += len(events)
	pos := Position{Steps: g.told, New: view.EncodeSteps(events), Reached: []string{}}
	if out := g.finished; out != nil {
		pos.At = out.failedAt
		if out.failure != nil {
			f := *out.failure
			f.Test, f.Replay = p.x.t.Name(), p.x.replaySchedule(g.seed, g.tokens)
			pos.Failure, pos.Broke = &f, out.failedAt
		}
		return pos
	}
	pos.At = g.c.view.at
	for _, c := range g.choices {
		switch c.Act {
		case explore.Deliver:
			pos.Pending = append(pos.Pending, Underway{From: c.From, To: c.Node, Method: c.Method, Kind: c.Kind, Number: c.Number, Copies: c.Copies})
		case explore.Up:
			pos.Down = append(pos.Down, c.Node)
		case explore.Heal:
			pos.Cut = append(pos.Cut, fmt.Sprintf("%d-%d", c.From, c.Node))
		case explore.Do:
			pos.Actions = append(pos.Actions, int(c.Number))
		}
	}
	pos.Paused = append(pos.Paused, g.c.view.paused...)
	pos.Reached = append(pos.Reached, g.c.view.reached...)
	return pos
}

// record is the record of the run so far, as LABS_RECORD=1 has go test write it for the same schedule.
func (g *game) record() (string, error) {
	var text strings.Builder
	err := g.rec.Run().Write(&text)
	return text.String(), err
}
