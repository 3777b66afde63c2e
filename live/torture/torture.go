// Package torture tests a live store while its processes are killed, paused and cut off: every answer that clients get, every
// change that a watch reports, and what each server finds on its disk.
package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/live/cluster"
	"distlabs/live/control"
	"distlabs/live/record"
)

// Options of a run.
type Options struct {
	Cluster  cluster.Options // Clients and Report are set here
	Duration time.Duration
	Leaders  int // if not 0, nothing is done but this: so often, the leader is killed at a random time, and started again when there is another
	Seed     uint64
	Log      io.Writer // what is done to the processes, a line each; may be nil
}

// A Report is what came of a run.
type Report struct {
	Commands  int // that clients called
	Answered  int // of which they know the outcome
	Events    int // that the watch reported
	Kills     int
	Pauses    int
	Cuts      int
	Available float64         // the share of the time, in slices, in which some command returned
	NoLeader  time.Duration   // the longest time without a leader
	Elections []time.Duration // with Options.Leaders: from each kill to the next leader, as the servers' reports have it
	Anomalies []string
	Pages     []string // files: what the clients saw that is not linearizable, and what the processes did at the first anomaly
}

// String says it in a few lines.
func (r *Report) String() string {
	return fmt.Sprintf("commands %d, of which %d with a known outcome; %d changes watched\n%d kills, %d pauses, %d cuts\navailable %.1f%% of the time; longest time without a leader %v\nanomalies: %d",
		r.Commands, r.Answered, r.Events, r.Kills, r.Pauses, r.Cuts, 100*r.Available, r.NoLeader.Round(10*time.Millisecond), len(r.Anomalies))
}

const (
	clients     = 7 // one of them watches
	sessionTTL  = 30 * time.Second
	commandTime = 8 * time.Second
	slice       = 250 * time.Millisecond
	calmTime    = 40 * time.Second // the end: all servers up and connected
)

// A run is a torture under way.
type run struct {
	opts    Options
	cluster *cluster.Cluster
	rand    *rand.Rand
	began   time.Time

	mu      sync.Mutex
	ops     map[[2]int]control.Operation
	order   [][2]int
	events  []control.Event
	done    bool
	servers *servers
	archive *record.Archive
	clients time.Time    // from which the clients' times count, as nearly as it is known
	watched []time.Time  // when each of the events came
	busy    map[int]bool // the slices of time in which some command returned
	report  Report
}

// Run tortures a cluster. The error is about this machine; what the store did wrong is in the report.
func Run(ctx context.Context, opts Options) (*Report, error) {
	r := &run{
		opts: opts, rand: rand.New(rand.NewPCG(opts.Seed, 1)), ops: map[[2]int]control.Operation{}, servers: newServers(), busy: map[int]bool{},
	}
	opts.Cluster.Clients, opts.Cluster.Report, opts.Cluster.Fresh = clients, r.heard, true
	if opts.Cluster.SnapshotEvery == 0 {
		opts.Cluster.SnapshotEvery = 200
	}
	var err error
	if r.cluster, err = cluster.New(opts.Cluster); err != nil {
		return nil, err
	}
	defer r.cluster.Close()
	r.archive = record.NewArchive(r.cluster.Nodes())
	r.cluster.Watch(true)
	if err := r.cluster.StartAll(); err != nil {
		return nil, err
	}
	r.began = time.Now()
	if err := r.cluster.Load(control.Load{
		Kind: control.LoadMixed, Keys: 4, Epoch: 2 * time.Second, Pause: 40 * time.Millisecond, Timeout: commandTime, TTL: sessionTTL, Seed: opts.Seed,
	}); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	gap := make(chan time.Duration, 1)
	go func() { gap <- r.longestWithoutLeader(watching) }()
	if opts.Leaders > 0 {
		err = r.killLeaders(ctx)
	} else {
		err = r.torment(ctx)
	}
	if err == nil {
		err = r.calm(ctx)
	}
	stop()
	r.report.NoLeader = <-gap
	if err != nil {
		return nil, err
	}
	return r.judge()
}

// heard takes the reports of all processes.
func (r *run) heard(process string, said control.Report) {
	if len(said.Steps) > 0 {
		r.archive.Add(said.Steps)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case said.Status != nil:
		r.servers.heard(process, *said.Status)
	case said.Op != nil:
		key := [2]int{int(said.Op.Client), said.Op.Number}
		if _, known := r.ops[key]; !known {
			r.order = append(r.order, key)
		}
		r.ops[key] = *said.Op
		at := said.Op.Call
		if said.Op.Returned {
			at = said.Op.Return
		}
		if began := time.Now().Add(-at); r.clients.IsZero() || began.Before(r.clients) {
			r.clients = began // a report takes its time, and none takes less than nothing
		}
		if said.Op.Returned && said.Op.Err != "timeout" {
			r.busy[int(time.Since(r.began)/slice)] = true
		}
	case said.Watch != nil:
		r.events, r.watched = append(r.events, *said.Watch), append(r.watched, time.Now())
	case said.Done:
		r.done = true
	}
}

func (r *run) log(format string, args ...any) {
	if d := len(args); d > 0 {
		if long, ok := args[d-1].(time.Duration); ok {
			args[d-1] = long.Round(time.Millisecond)
		}
	}
	if r.opts.Log != nil {
		fmt.Fprintf(r.opts.Log, "%7.2fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
	}
}

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

// judge checks what was seen.
func (r *run) judge() (*Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.report.Elections)
	result := &r.report
	var ops []control.Operation
	for _, key := range r.order {
		op := r.ops[key]
		ops = append(ops, op)
		result.Commands++
		if !unknown(op) {
			result.Answered++
		}
	}
	result.Events = len(r.events)
	total := int(r.opts.Duration / slice)
	for i := range total {
		if r.busy[i] {
			result.Available += 1 / float64(total)
		}
	}
	result.Anomalies = append(result.Anomalies, r.servers.anomalies...)
	if !r.done {
		result.Anomalies = append(result.Anomalies, fmt.Sprintf("%v after all servers were up and connected, a command had not returned (rule 22)", calmTime))
	}
	if quiet := longestQuiet(r.busy, total); quiet < sessionTTL/2 {
		for _, op := range ops {
			if op.Err == "ErrExpired" {
				result.Anomalies = append(result.Anomalies, fmt.Sprintf("the session of n%d expired at %v, although its TTL is %v and some command returned in every %v (rule 27)", op.Client, op.Return, sessionTTL, quiet+slice))
			}
		}
	}
	var at time.Time // of the first anomaly that has a time
	seen := func(when time.Time) {
		if at.IsZero() || when.Before(at) {
			at = when
		}
	}
	if !r.servers.first.IsZero() {
		seen(r.servers.first)
	}
	missed, first := checkWatch(ops, r.events)
	result.Anomalies = append(result.Anomalies, missed...)
	if len(missed) > 0 && first < len(r.watched) {
		seen(r.watched[first])
	}
	anomaly, page, wrong, err := checkHistory(ops)
	if err != nil {
		return nil, err
	}
	if anomaly != "" {
		result.Anomalies = append(result.Anomalies, anomaly)
		seen(r.clients.Add(wrong.Return))
		if err := result.add(filepath.Join(r.opts.Cluster.Dir, "violation.html"), page); err != nil {
			return nil, err
		}
	}
	if !at.IsZero() {
		page := func(w io.Writer) error { return r.draw(w, at, result.Anomalies[0]) }
		if err := result.add(filepath.Join(r.opts.Cluster.Dir, "run.html"), page); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// What the page of a run shows: so long before the first anomaly, and after it.
const (
	shownBefore = 8 * time.Second
	shownAfter  = time.Second
)

// draw writes the run's page: what the processes did when the first anomaly was seen.
func (r *run) draw(w io.Writer, at time.Time, what string) error {
	failure, err := json.Marshal(report.Failure{Test: "torture", What: what, Seed: r.opts.Seed})
	if err != nil {
		return err
	}
	h := trace.Header{
		Test: "torture", Seed: r.opts.Seed, Start: r.archive.Began(), Failure: failure, Violation: &trace.Violation{At: at.Sub(r.archive.Began())},
	}
	run, err := r.archive.Run(h, at.Add(-shownBefore), at.Add(shownAfter))
	if err != nil {
		return err
	}
	return view.HTML(w, run, view.Options{Title: fmt.Sprintf("Torture of lab 05, --seed %d", r.opts.Seed)})
}

// add writes a page.
func (r *Report) add(name string, page func(io.Writer) error) error {
	r.Pages = append(r.Pages, name)
	return writePage(name, page)
}

// longestQuiet is the longest time in which no command returned.
func longestQuiet(busy map[int]bool, total int) time.Duration {
	longest, run := 0, 0
	for i := range total {
		if run++; busy[i] {
			run = 0
		}
		longest = max(longest, run)
	}
	return time.Duration(longest) * slice
}

func writePage(name string, page func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	return page(f)
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
