// Command command is what grade live becomes: it starts the processes of a live store, shows how they are, and does to them what
// its user says. With --torture or --bench it does something else with them; see these packages.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"distlabs/live/bench"
	"distlabs/live/cluster"
	"distlabs/live/control"
	"distlabs/live/page"
	"distlabs/live/record"
)

// flags are those of this command. grade live gives all of them.
type flags struct {
	lab, policy        string
	dir, program, host string
	nodes, port        int
	fresh              bool
	torture            time.Duration
	bench              time.Duration
	seed               uint64
	prepare            bool
}

func main() {
	var f flags
	flag.StringVar(&f.lab, "lab", "05", "what runs: 4C, 05, 6C or 6E")
	flag.StringVar(&f.policy, "policy", "CP", "of 6E: CP or AP")
	flag.StringVar(&f.dir, "dir", "", "the `folder` of all data")
	flag.StringVar(&f.program, "program", "", "the server program")
	flag.StringVar(&f.host, "host", "127.0.0.1", "the `address` to listen on")
	flag.IntVar(&f.nodes, "nodes", 3, "how many servers")
	flag.IntVar(&f.port, "port", 0, "where etcd's clients find the first server; 0: anywhere")
	flag.BoolVar(&f.fresh, "fresh", false, "begin without the data of earlier runs")
	flag.DurationVar(&f.torture, "torture", 0, "test the store for so long, while its processes are killed")
	flag.DurationVar(&f.bench, "bench", 0, "measure the store and etcd, for so long each time")
	flag.Uint64Var(&f.seed, "seed", 0, "what --torture does follows from it; 0: from the time")
	flag.BoolVar(&f.prepare, "prepare", false, "start nothing: write what containers need, see deploy/compose.yaml")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "grade: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	if f.prepare {
		return prepare(f)
	}
	if f.torture > 0 {
		return runTorture(ctx, f)
	}
	if f.bench > 0 {
		return bench.Run(ctx, bench.Options{
			Cluster:  cluster.Options{Dir: f.dir + "-bench", Program: f.program, Servers: f.nodes, Host: f.host},
			Duration: f.bench, Clients: []int{1, 16, 64}, Log: os.Stdout,
		})
	}
	return show(ctx, f)
}

// The page shows the last seconds, and no more than a browser draws smoothly.
const (
	shownTime  = 12 * time.Second
	shownSteps = 2500
)

// show starts the cluster, and shows it in the terminal and on a page until the user or ctx ends it.
func show(ctx context.Context, f flags) error {
	l, err := labOf(f.lab)
	if err != nil {
		return err
	}
	if !l.policy {
		f.policy = ""
	}
	var recording *record.Recording
	c, err := cluster.New(cluster.Options{
		Dir: f.dir, Program: f.program, Servers: f.nodes, Fresh: f.fresh, Host: f.host, Port: f.port, NoGateways: !l.store, Policy: f.policy,
		Report: func(_ string, r control.Report) { recording.Add(r.Steps) },
	})
	if err != nil {
		return err
	}
	defer c.Close()
	recording = record.New(c.Nodes(), shownTime, shownSteps)
	status, err := page.Listen(0, page.Options{
		Title: fmt.Sprintf("Live %s: %s", l.id, l.title), About: l.about(f.nodes), Hint: l.hint(), Recording: recording, Watch: c.Watch,
		Servers: func() []page.Server { return rows(c.States()) }, Do: func(line string) (string, error) { return l.obey(c, line) },
	})
	if err != nil {
		return err
	}
	if err := c.StartAll(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go status.Serve(ctx)
	return newScreen(l, c, status.URL(), os.Stdin, os.Stdout).run(ctx)
}

// prepare writes a folder for each of the containers of deploy/compose.yaml.
func prepare(f flags) error {
	var places []cluster.Place
	for i := range f.nodes {
		host := cluster.Name(i + 1)
		places = append(places, cluster.Place{Peers: host + ":7400", Clients: host + ":2379", Files: "/files", Data: "/data"})
	}
	if err := cluster.Prepare(f.dir, f.program, places); err != nil {
		return err
	}
	fmt.Printf("%d servers are prepared in %s: docker compose --file deploy/compose.yaml up\n", f.nodes, f.dir)
	return nil
}
