package labtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"distlabs/internal/harness/explore"
	"distlabs/internal/harness/report"
)

// A Request is what the page asks of the player.
type Request struct {
	// Do says what: "describe", "go" or "run", "record", "why" after a request that never came back, or "crash" after the program ended.
	Do       string `json:"do"`
	Seed     uint64 `json:"seed"`
	Schedule string `json:"schedule"`
	WhatIf   string `json:"whatIf"` // of "run": see whatIf
	Known    int    `json:"known"`  // of "go": how many positions the page has already; see player.goTo
	Text     string `json:"text"`   // of "crash": what the program wrote when it ended
}

// A Reply is the player's. Only what was asked for is in it.
type Reply struct {
	Error string `json:"error,omitempty"`

	Game *Description `json:"game,omitempty"`

	Positions []Position `json:"positions,omitempty"`
	Fits      int        `json:"fits"` // how many steps of the schedule were possible

	Run *Rerun `json:"run,omitempty"`

	Record string `json:"record,omitempty"`
	Replay string `json:"replay,omitempty"` // the command that runs the schedule in go test

	Failure *report.Failure `json:"failure,omitempty"` // of "why" and "crash"; nil if the text does not tell
}

// A Description is what the page knows of a scenario before anything happens.
type Description struct {
	Test    string       `json:"test"`
	Package string       `json:"package"`
	Nodes   int          `json:"nodes"`
	Pause   string       `json:"pause"`
	Crashes bool         `json:"crashes"` // nodes can crash
	Actions []string     `json:"actions"`
	Puzzles []PuzzleText `json:"puzzles"`
}

// A PuzzleText is a puzzle as the page shows it.
type PuzzleText struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Goal     string   `json:"goal"`
	Hints    []string `json:"hints"`
	Solution string   `json:"solution"`
	Rules    []string `json:"rules"`
	Forbid   int      `json:"forbid"`
}

// play has a person choose the steps. In a browser it does not return. With LABS_PLAY=solve it holds the puzzles' solutions against their
// goals; with LABS_PLAY=wander chance chooses the steps, and no rule may break.
func (x *exploration) play() {
	x.t.Helper()
	p := newPlayer(x)
	defer p.end()
	switch {
	case servePage(p.answer):
	case os.Getenv(playEnv) == "solve":
		for _, problem := range p.unsolved() {
			x.t.Error(problem)
		}
	case os.Getenv(playEnv) == "wander":
		for _, problem := range p.wander(wanderRuns, wanderSteps) {
			x.t.Error(problem)
		}
	default:
		x.t.Fatalf("%s=%q: want solve or wander; a page in a browser sets another value", playEnv, os.Getenv(playEnv))
	}
}

// How far chance goes.
const (
	wanderRuns  = 150
	wanderSteps = 120
)

// wander has chance choose among all steps that a person has, in runs of different seeds, and returns how they failed. A correct
// solution never fails: what a person can do to it is within the model of the part.
func (p *player) wander(runs, steps int) (problems []string) {
	r := rand.New(rand.NewPCG(1, 2))
	for run := range runs {
		g := p.start(uint64(run + 1))
		for n := 0; n < steps && g.finished == nil; n++ {
			i := r.IntN(len(g.choices)) // mostly a deed to a node or a link: there are many
			if r.IntN(3) > 0 {
				i = r.IntN(1 + len(g.choices)/3) // mostly a message that arrives
			}
			g.step(explore.TokenOf(g.choices, i))
		}
		if f := g.position(p).Failure; f != nil {
			problems = append(problems, fmt.Sprintf("%s (%s): %s", f.What, f.Rule, f.Replay))
		}
	}
	return problems
}

// answer answers a request of the page.
func (p *player) answer(text string) string { return answerWith(p.do, text) }

// answerWith answers a request in JSON. What a crash says, it reads itself: that is the same whatever was played.
func answerWith(do func(Request, *Reply) error, text string) string {
	var req Request
	var reply Reply
	if err := json.Unmarshal([]byte(text), &req); err != nil {
		reply.Error = err.Error()
	} else if req.Do == "crash" {
		if c, ok := report.ReadCrash([]byte(req.Text), source()); ok {
			reply.Failure = &c.Failure
		}
	} else if err := do(req, &reply); err != nil {
		reply.Error = err.Error()
	}
	out, err := json.Marshal(reply)
	if err != nil {
		panic(err) // plain fields: it cannot fail
	}
	return string(out)
}

func (p *player) do(req Request, reply *Reply) (err error) {
	switch req.Do {
	case "describe":
		reply.Game = p.describe()
	case "go":
		var schedule []explore.Token
		if req.Schedule != "" {
			if schedule, err = explore.Parse(req.Schedule); err != nil {
				return err
			}
		}
		reply.Positions, reply.Fits = p.goTo(req.Seed, schedule, req.Known)
		reply.Replay = p.x.replaySchedule(req.Seed, p.now.tokens)
	case "record":
		if p.now == nil {
			return fmt.Errorf("nothing has been played")
		}
		reply.Record, err = p.now.record()
	case "why":
		reply.Failure = p.why()
	default:
		return fmt.Errorf("the page asks for %q, which the player does not know", req.Do)
	}
	return err
}

// describe says what is played.
func (p *player) describe() *Description {
	g := p.now
	if g == nil {
		g = p.start(1)
		p.end()
	}
	d := &Description{
		Test: p.x.t.Name(), Package: place().Package, Nodes: p.x.space.Nodes, Pause: p.x.space.Pause.String(), Crashes: !p.x.space.NoCrashes,
		Actions: []string{}, Puzzles: []PuzzleText{},
	}
	for _, a := range g.c.scenario.Actions {
		d.Actions = append(d.Actions, a.Name)
	}
	for _, z := range g.c.scenario.Puzzles {
		d.Puzzles = append(d.Puzzles, PuzzleText{
			ID: z.ID, Title: z.Title, Goal: z.Goal, Hints: z.Hints, Solution: z.Solution, Rules: z.Rules, Forbid: z.Forbid,
		})
	}
	return d
}

// why says why a step does not end, from the stacks of the goroutines: nil if they do not tell.
func (p *player) why() *report.Failure {
	if p.now == nil || p.now.c.s == nil {
		return nil
	}
	return stuck(p.now.c.s, p.x.t.Name(), p.x.replaySchedule(p.now.seed, p.now.tokens))
}

// stuck says why a run of a test does not go on, from the stacks of its goroutines: nil if they do not tell.
func stuck(s *Sim, test, replay string) *report.Failure {
	f, ok := report.Diagnose(allStacks(), s.bubble.Load(), source())
	if !ok {
		return nil
	}
	f.Test, f.Replay = test, replay
	return &f
}

// unsolved says of each puzzle what is wrong with it: its solution does not reach its goal, or too early, or breaks a rule.
func (p *player) unsolved() (problems []string) {
	for _, z := range p.describe().Puzzles {
		say := func(format string, args ...any) {
			problems = append(problems, fmt.Sprintf("puzzle %s: "+format, append([]any{z.ID}, args...)...))
		}
		if z.Solution == "" {
			if len(z.Rules) < 2 || z.Forbid < 0 || z.Forbid >= len(z.Rules) {
				say("it has no solution and no rule that forbids its goal")
			}
			continue
		}
		schedule, err := explore.Parse(z.Solution)
		if err != nil {
			say("%v", err)
			continue
		}
		positions, fits := p.goTo(1, schedule, 0)
		if fits < len(schedule) {
			say("step %d of its solution %s is not possible", fits+1, z.Solution)
			continue
		}
		for i, pos := range positions {
			reached, last := slices.Contains(pos.Reached, z.ID), i == len(positions)-1
			switch {
			case pos.Failure != nil:
				say("step %d of its solution breaks a rule: %s", i, pos.Failure.What)
			case reached && !last:
				say("its goal is reached after %d steps of the %d of its solution", i, len(schedule))
			case !reached && last:
				say("its solution does not reach its goal")
			default:
				continue
			}
			break
		}
	}
	return problems
}
