// Package torture tests a live store while its processes are killed, paused and cut off: every answer that clients get, every
// change that a watch reports, and what each server finds on its disk.
package torture

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

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
