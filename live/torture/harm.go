package torture

import (
	"context"
	"fmt"
	"strings"
	"time"

	"distlabs/live/cluster"
)

// worthSaying is a time without a leader that the log mentions, with how each server is: longer than three of the lab's longest election timeouts.
const worthSaying = 2400 * time.Millisecond

// longestWithoutLeader looks for a leader until ctx ends.
func (r *run) longestWithoutLeader(ctx context.Context) (longest time.Duration) {
	since, said := time.Now(), worthSaying
	for ctx.Err() == nil {
		if leader := r.cluster.Leader(); leader != 0 {
			if gap := time.Since(since); gap > worthSaying {
				r.log("n%d leads, after %v without a leader", leader, gap)
			}
			since, said = time.Now(), worthSaying
		}
		gap := time.Since(since)
		longest = max(longest, gap)
		if gap > said {
			said *= 2
			r.log("no leader%s since %v", r.describe(), gap)
		}
		pause(ctx, 20*time.Millisecond)
	}
	return longest
}

// describe says how each server is.
func (r *run) describe() string {
	var b strings.Builder
	for _, s := range r.cluster.States() {
		switch {
		case !s.Up:
			fmt.Fprintf(&b, "; n%d is down", s.Server)
		case s.Paused:
			fmt.Fprintf(&b, "; n%d is paused", s.Server)
		case !s.Known:
			fmt.Fprintf(&b, "; n%d has reported nothing", s.Server)
		default:
			fmt.Fprintf(&b, "; n%d is %s in term %d, cut off from %v, last report %v ago: %s", s.Server, s.Status.Role, s.Status.Term, s.Cut,
				time.Since(s.Heard).Round(time.Millisecond), s.Message)
		}
	}
	return b.String()
}

// torment does one thing after another to the processes, with a short rest between.
func (r *run) torment(ctx context.Context) error {
	pause(ctx, 2*time.Second)
	// A kill comes first, so that a short run has one.
	if leader, _, ok := r.cluster.WaitLeader(calmTime, 0); ok {
		if err := r.kill(ctx, r.between(0, time.Second), leader); err != nil {
			return err
		}
	}
	for time.Since(r.began) < r.opts.Duration && ctx.Err() == nil {
		if err := r.harm(ctx); err != nil {
			return err
		}
		pause(ctx, r.between(300*time.Millisecond, 1500*time.Millisecond))
	}
	return ctx.Err()
}

func (r *run) between(from, to time.Duration) time.Duration {
	return from + time.Duration(r.rand.Int64N(int64(to-from)))
}

// harm does one thing, and undoes it.
func (r *run) harm(ctx context.Context) error {
	victim := 1 + r.rand.IntN(r.cluster.Servers())
	if leader := r.cluster.Leader(); leader != 0 && r.rand.IntN(3) > 0 {
		victim = leader
	}
	long := r.between(0, 2500*time.Millisecond)
	switch r.rand.IntN(9) {
	case 0, 1, 2:
		return r.kill(ctx, long, victim)
	case 3:
		// A majority at once, so that what it has acknowledged must come from disks.
		all := r.rand.Perm(r.cluster.Servers())
		for i := range all {
			all[i]++
		}
		majority := len(all)/2 + 1
		return r.kill(ctx, long/2, all[:majority+r.rand.IntN(len(all)-majority+1)]...)
	case 4:
		r.log("pause n%d for %v", victim, long)
		r.report.Pauses++
		if err := r.cluster.Pause(victim); err != nil {
			return err
		}
		pause(ctx, long)
		return r.cluster.Resume(victim)
	case 5, 6:
		r.log("isolate n%d for %v", victim, long)
		r.report.Cuts++
		r.cluster.Isolate(victim)
	case 7:
		other := 1 + (victim % r.cluster.Servers())
		r.log("cut n%d from n%d, for %v", victim, other, long)
		r.report.Cuts++
		r.cluster.Cut(victim, other)
	case 8:
		// Of all links of the server, one direction: it can speak and not hear, or hear and not speak.
		speaks := r.rand.IntN(2) == 0
		r.log("cut the links %s n%d, for %v", map[bool]string{true: "to", false: "from"}[speaks], victim, long)
		r.report.Cuts++
		for other := 1; other <= r.cluster.Servers(); other++ {
			if speaks {
				r.cluster.CutOneWay(other, victim)
			} else {
				r.cluster.CutOneWay(victim, other)
			}
		}
	}
	pause(ctx, long)
	r.cluster.Heal()
	return nil
}

func (r *run) kill(ctx context.Context, long time.Duration, victims ...int) error {
	var names []string
	for _, v := range victims {
		names = append(names, cluster.Name(v))
	}
	r.log("kill %s for %v", strings.Join(names, ", "), long)
	for _, v := range victims {
		r.mu.Lock()
		r.servers.killed(cluster.Name(v))
		r.mu.Unlock()
		r.cluster.Kill(v)
		r.report.Kills++
	}
	pause(ctx, long)
	for _, v := range victims {
		if err := r.cluster.Start(v); err != nil {
			return err
		}
	}
	return nil
}

// killLeaders kills one leader after another.
func (r *run) killLeaders(ctx context.Context) error {
	for range r.opts.Leaders {
		pause(ctx, r.between(0, 400*time.Millisecond))
		leader, term, ok := r.cluster.WaitLeader(calmTime, 0)
		if !ok {
			break
		}
		r.mu.Lock()
		r.servers.killed(cluster.Name(leader))
		r.mu.Unlock()
		r.cluster.Kill(leader)
		r.report.Kills++
		began := time.Now()
		if _, _, ok = r.cluster.WaitLeader(calmTime, term); !ok {
			r.report.Anomalies = append(r.report.Anomalies, fmt.Sprintf("%v after the leader n%d was killed, there was no other (rule 10)", calmTime, leader))
			break
		}
		r.report.Elections = append(r.report.Elections, time.Since(began))
		if err := r.cluster.Start(leader); err != nil {
			return err
		}
	}
	r.opts.Duration = time.Since(r.began)
	return ctx.Err()
}

// calm ends the run: all is well again, the clients end, and the watch reports the last change.
func (r *run) calm(ctx context.Context) error {
	r.log("calm")
	r.cluster.Heal()
	pause(ctx, 3*time.Second)
	r.cluster.StopLoad()
	for end := time.Now().Add(calmTime); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		r.mu.Lock()
		last := 0
		for _, op := range r.ops {
			if !unknown(op) && op.Err == "" {
				last = max(last, op.Revision)
			}
		}
		over := r.done && len(r.events) >= last
		r.mu.Unlock()
		if over {
			break
		}
	}
	r.cluster.KillLoad()
	return ctx.Err()
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
