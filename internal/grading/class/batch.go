package class

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/submission"
)

// Options say how a class is graded.
type Options struct {
	Out      string // the run directory
	Resume   bool   // go on in a run directory that there is
	Selected []course.Selected
	Base     course.Origin // of the labs that a graded one builds on; "" for the submission itself
	Run      grade.Run     // Seeds and Timeout; the rest is the batch's own
	Secret   *Secret       // of further seeds; nil for none
	Shard    *result.Shard
	Progress func(Progress) // called as work goes on, never twice at once; may be nil
}

// Progress is how far the class is.
type Progress struct {
	Total    int // submissions of this run
	Done     int // of them graded, now or before
	Kept     int // of Done: from before
	Ungraded int // of Done: with a reason in place of a grade
	Failed   int // could not be graded because of this machine
	ID       string
	Begun    bool          // ID has begun; otherwise it is done
	Left     time.Duration // an estimate; 0 until there is one
}

// Summary is what came of a class.
type Summary struct {
	Progress
	Real time.Duration
	CPU  time.Duration // of this process and all that it ran; 0 where it cannot be measured
	// Changed are the submissions of which the result had been changed since it was graded. They were graded again.
	Changed []string
	// Failures are those of Progress.Failed, at most maxFailures of them.
	Failures []Failure
}

// Failure is a submission that could not be graded through no fault of its own.
type Failure struct {
	ID  string
	Err error
}

// maxFailures bounds what is remembered of failures.
const maxFailures = 100

// batch is a class that is being graded.
type batch struct {
	g     *grade.Grader
	o     Options
	store *store
	read  *reader
	began time.Time

	mu      sync.Mutex // guards all below
	state   Progress
	summary Summary
}

// Grade grades a class into a run directory. The error is about this machine,
// this checkout, ctx, or (ErrUsage) what was asked; of single submissions that
// could not be graded the summary tells. What was done before an error is kept.
func Grade(ctx context.Context, g *grade.Grader, c *Class, o Options) (Summary, error) {
	before := cpuTime()
	info, err := describe(ctx, g, c, o)
	if err != nil {
		return Summary{}, err
	}
	s, err := openStore(o.Out, info, o.Secret, o.Resume)
	if err != nil {
		return Summary{}, err
	}
	defer s.close()
	b := &batch{g: g, o: o, store: s, read: newReader(g.Builder().Course(), g.Builder().Scratch(), o.Selected), began: time.Now()}
	err = b.all(ctx, c)
	b.summary.Progress = b.state
	b.summary.Real, b.summary.CPU = time.Since(b.began), cpuTime()-before
	return b.summary, err
}

// describe is what run.json will say.
func describe(ctx context.Context, g *grade.Grader, c *Class, o Options) (result.RunInfo, error) {
	hash, err := g.Warm(ctx, o.Selected, o.Base)
	if err != nil {
		return result.RunInfo{}, err
	}
	info := result.RunInfo{Version: result.RunVersion, Grader: grade.Version, Go: g.Builder().GoVersion(), Course: hash, Parts: []string{}, Base: o.Base,
		Seeds: o.Run.Seeds, Secret: o.Secret.fingerprint(), Timeout: o.Run.Timeout, Isolation: g.Builder().Box().Level}
	if o.Secret != nil {
		info.Hidden = o.Secret.Seeds
	}
	for _, s := range o.Selected {
		for _, p := range s.Parts {
			info.Parts = append(info.Parts, p.ID)
		}
	}
	text, err := json.Marshal(info)
	if err != nil {
		return info, fmt.Errorf("class: %w", err)
	}
	sum := sha256.Sum256(text)
	info.Key, info.Shard = hex.EncodeToString(sum[:]), o.Shard
	for _, s := range c.Submissions {
		info.Submissions = append(info.Submissions, s.RunSubmission)
	}
	return info, nil
}

// all grades this run's share of the class.
func (b *batch) all(ctx context.Context, c *Class) error {
	found := make(map[string]Submission, len(c.Submissions))
	for _, s := range c.Submissions {
		found[s.ID] = s
	}
	mine := b.store.run.Info.Mine()
	b.state.Total = len(mine)
	var group errgroup.Group
	// One more than there are jobs: while the last test of one submission runs, another is built.
	group.SetLimit(b.g.Builder().Jobs() + 1)
	for _, m := range mine {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			b.tell(m.ID, func(p *Progress) { p.Begun = true })
			kept, ungraded, err := b.one(ctx, found[m.ID])
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b.tell(m.ID, func(p *Progress) { b.count(p, m.ID, kept, ungraded, err) })
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// one grades one submission, unless its result is there.
func (b *batch) one(ctx context.Context, s Submission) (kept, ungraded bool, err error) {
	began := time.Now()
	held, why, err := b.read.read(s)
	if err != nil {
		return false, false, err
	}
	sum := sha256.Sum256([]byte(held.Key() + "\n" + why + "\n" + s.Name))
	key := result.Key{Run: b.store.run.Info.Key, Submission: hex.EncodeToString(sum[:])}
	had, changed := b.store.has(s.ID, key)
	if had {
		return true, why != "", nil
	}
	if changed {
		b.changed(s.ID)
	}
	src := submission.Source{Kind: course.Submission, Path: s.Path, Held: held, Base: b.o.Base}
	var graded *result.Result
	if why != "" {
		graded = b.g.Ungraded(src, b.o.Selected, why)
	} else {
		run := grade.Run{Seeds: b.o.Run.Seeds, Timeout: b.o.Run.Timeout, Extra: b.o.Secret.For(held.Hash())}
		if graded, err = b.g.Grade(ctx, src, b.o.Selected, run); err != nil {
			return false, false, err
		}
	}
	graded.Submission = &result.Submission{ID: s.ID, Name: s.Name, Hash: held.Hash()}
	graded.Seconds = time.Since(began).Seconds()
	return false, why != "", b.store.put(s.ID, graded, key)
}

// changed notes that a submission's result of before was not what had been graded.
func (b *batch) changed(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.summary.Changed = append(b.summary.Changed, id)
}

func (b *batch) count(p *Progress, id string, kept, ungraded bool, err error) {
	if err != nil {
		p.Failed++
		if len(b.summary.Failures) < maxFailures {
			b.summary.Failures = append(b.summary.Failures, Failure{ID: id, Err: err})
		}
		return
	}
	p.Done++
	if kept {
		p.Kept++
	}
	if ungraded {
		p.Ungraded++
	}
	p.Left = left(time.Since(b.began), p.Done-p.Kept+p.Failed, p.Total-p.Done-p.Failed)
}

// left estimates the time that remains from the work of this process alone:
// results from before say nothing of it.
func left(spent time.Duration, done, remain int) time.Duration {
	if done == 0 {
		return 0
	}
	return spent / time.Duration(done) * time.Duration(remain)
}

// tell changes the state and reports it.
func (b *batch) tell(id string, change func(*Progress)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.ID, b.state.Begun = id, false
	change(&b.state)
	if b.o.Progress != nil {
		b.o.Progress(b.state)
	}
}

// Err is nil if every submission has a result; otherwise it names those that do not.
func (s Summary) Err() error {
	if s.Failed == 0 {
		return nil
	}
	var list []error
	for _, f := range s.Failures {
		list = append(list, fmt.Errorf("%s: %w", f.ID, f.Err))
	}
	if n := s.Failed - len(s.Failures); n > 0 {
		list = append(list, fmt.Errorf("and %d more", n))
	}
	return errors.Join(list...)
}
