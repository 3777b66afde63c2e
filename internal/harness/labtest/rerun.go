package labtest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
)

// A rerunner runs the seeds of one test for a page, with interventions.
type rerunner struct {
	r    *runner
	base map[uint64]*outcome // how each seed ends without interventions
	last *trace.Run          // for the record
	seed uint64
}

// A Rerun is a whole run of a test with one seed.
type Rerun struct {
	New     view.Steps      `json:"new"` // its events
	End     time.Duration   `json:"end"`
	Failure *report.Failure `json:"failure"`
	Broke   time.Duration   `json:"broke"`
	Verdict string          `json:"verdict"` // how it ends beside the run without interventions; see verdict
	Idle    []string        `json:"idle"`    // interventions that have changed nothing
	// Restarts says that a node which is down can be started: the test has said how.
	Restarts bool `json:"restarts"`
}

func newRerunner(r *runner) *rerunner { return &rerunner{r: r, base: map[uint64]*outcome{}} }

// serve answers the page. It does not return, except where there is none.
func (p *rerunner) serve() {
	if !servePage(p.answer) {
		p.r.t.Fatalf("%s: there is no page that asks", p.r.t.Name())
	}
}

func (p *rerunner) answer(text string) string { return answerWith(p.do, text) }

func (p *rerunner) do(req Request, reply *Reply) error {
	if p.r.alone {
		return fmt.Errorf("%s uses no network: there is nothing to play", p.r.t.Name())
	}
	switch req.Do {
	case "describe":
		reply.Game = &Description{Test: p.r.t.Name(), Package: place().Package, Nodes: p.r.cfg.Nodes, Actions: []string{}, Puzzles: []PuzzleText{}}
	case "run":
		w, err := parseWhatIf(req.WhatIf)
		if err != nil {
			return err
		}
		reply.Run = p.run(req.Seed, w)
		reply.Replay = p.r.replay(req.Seed)
	case "record":
		if p.last == nil {
			return fmt.Errorf("nothing has been run")
		}
		var text strings.Builder
		err := p.last.Write(&text)
		reply.Record = text.String()
		return err
	case "why":
		reply.Failure = p.why()
	default:
		return fmt.Errorf("the page asks for %q, which a test does not know", req.Do)
	}
	return nil
}

// run runs a seed with interventions; w is nil for none.
func (p *rerunner) run(seed uint64, w *whatIf) *Rerun {
	p.seed = seed
	base := p.base[seed]
	p.r.whatIf = nil
	if base == nil && w != nil {
		base = p.r.runSeed(seed, nil)
		p.base[seed] = base
	}
	p.r.whatIf = w
	out, run := p.r.record(seed)
	if w == nil {
		p.base[seed] = out
	}
	p.last = run
	rerun := &Rerun{New: view.EncodeSteps(run.Steps), End: out.virtual, Verdict: verdict(out, base), Idle: []string{}, Restarts: out.restarts}
	if w != nil {
		rerun.Idle = append(rerun.Idle, w.idle()...)
	}
	if out.failure != nil {
		f := *out.failure
		f.Test, f.Replay = p.r.t.Name(), p.r.replay(seed)
		n, lines := trace.ShortFaults(run)
		f.Faults = faultLine(n, lines)
		run.Header.Failure, _ = json.Marshal(f) // plain fields: it cannot fail
		run.Header.Violation = &trace.Violation{At: out.failedAt}
		rerun.Failure, rerun.Broke = &f, out.failedAt
	}
	return rerun
}

// verdict says how a run ends beside another of the same seed, which is nil for a run without interventions.
func verdict(out, base *outcome) string {
	switch {
	case out.failure == nil && (base == nil || base.failure == nil):
		return "passes"
	case out.failure == nil:
		return "passes now"
	case base == nil:
		return "fails"
	case base.failure == nil:
		return "fails now"
	case sameRule(out.failure, base.failure):
		return "still fails"
	}
	return "fails otherwise"
}

// why says why a run does not end, from the stacks of the goroutines: nil if they do not tell.
func (p *rerunner) why() *report.Failure {
	if p.r.current == nil {
		return nil
	}
	return stuck(p.r.current, p.r.t.Name(), p.r.replay(p.seed))
}

// playLine is the command that opens a run of this test on a page, where there is one that does.
func (r *runner) playLine(f report.Failure) string {
	if r.alone || r.whatIf != nil || r.cfg.Simultaneous || f.Seed == 0 || f.Kind != report.Rule && f.Kind != report.Limit || !strings.HasPrefix(place().Package, "./labs/") {
		return ""
	}
	if _, err := os.Stat(strings.TrimSuffix(place().Dir, place().Package[1:]) + "/cmd/grade"); err != nil && os.Getenv("LABS_TRACE_DIR") == "" {
		return "" // where the grader runs the test, the grader knows
	}
	return fmt.Sprintf("go run ./cmd/grade play %s --seed %d", r.t.Name(), f.Seed)
}
