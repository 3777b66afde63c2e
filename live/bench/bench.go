// Package bench measures a live store and, where it is installed, etcd itself: the same clients, on the same disk, one after the
// other.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"distlabs/live/cluster"
)

// Options of a run.
type Options struct {
	Cluster  cluster.Options
	Duration time.Duration // of each measurement
	Clients  []int         // how many at once, in each row
	Log      io.Writer
}

// A Rate is one measurement.
type Rate struct {
	Commands int
	Took     time.Duration
	P50, P99 time.Duration
}

// PerSecond is how many commands a second.
func (r Rate) PerSecond() float64 { return float64(r.Commands) / r.Took.Seconds() }

func (r Rate) String() string {
	return fmt.Sprintf("%.0f/s, p50 %.1f ms, p99 %.1f ms", r.PerSecond(), ms(r.P50), ms(r.P99))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// The kinds of command.
var kinds = []struct {
	name string
	do   func(ctx context.Context, c *clientv3.Client, key string) error
}{
	{"put", func(ctx context.Context, c *clientv3.Client, key string) error {
		_, err := c.Put(ctx, key, value)
		return err
	}},
	{"get", func(ctx context.Context, c *clientv3.Client, key string) error {
		_, err := c.Get(ctx, key)
		return err
	}},
}

var value = strings.Repeat("x", 100)

// Run measures both, and prints a table.
func Run(ctx context.Context, opts Options) error {
	live, err := measureLive(ctx, opts)
	if err != nil {
		return err
	}
	etcd, err := measureEtcd(ctx, opts)
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(opts.Log, "etcd is not installed (Debian's etcd-server): there is nothing to compare with")
	} else if err != nil {
		return err
	}
	fmt.Fprintln(opts.Log, "| command | clients | live | etcd | etcd ÷ live |\n|---|---:|---|---|---:|")
	for i, kind := range kinds {
		for j, n := range opts.Clients {
			row, other, ratio := live[i][j], "", ""
			if etcd != nil {
				other, ratio = etcd[i][j].String(), fmt.Sprintf("%.1f", etcd[i][j].PerSecond()/row.PerSecond())
			}
			fmt.Fprintf(opts.Log, "| %s | %d | %v | %s | %s |\n", kind.name, n, row, other, ratio)
		}
	}
	return nil
}

func measureLive(ctx context.Context, opts Options) ([][]Rate, error) {
	opts.Cluster.Fresh = true
	c, err := cluster.New(opts.Cluster)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.StartAll(); err != nil {
		return nil, err
	}
	return measureAll(ctx, opts, c.Endpoints())
}

// etcdTime is how long etcd may take to start.
const etcdTime = 30 * time.Second

func measureEtcd(ctx context.Context, opts Options) ([][]Rate, error) {
	program, err := exec.LookPath("etcd")
	if err != nil {
		return nil, err
	}
	// A child is killed at the end of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir := filepath.Join(opts.Cluster.Dir, "etcd")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	var peers, initial, endpoints []string
	for i := range opts.Cluster.Servers {
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		peers, endpoints = append(peers, "http://"+ports[0]), append(endpoints, "http://"+ports[1])
		initial = append(initial, fmt.Sprintf("e%d=http://%s", i+1, ports[0]))
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range opts.Cluster.Servers {
		name := fmt.Sprintf("e%d", i+1)
		cmd := exec.CommandContext(ctx, program, "--name", name, "--data-dir", filepath.Join(dir, name), "--log-level", "error",
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--listen-client-urls", endpoints[i],
			"--advertise-client-urls", endpoints[i], "--initial-cluster", strings.Join(initial, ","),
			// As in the lab.
			"--heartbeat-interval", "100", "--election-timeout", "1000")
		cmd.SysProcAttr = cluster.Attributes()
		if err := cmd.Start(); err != nil {
			return nil, fmt.Errorf("live: etcd: %w", err)
		}
		running.Go(func() { _ = cmd.Wait() })
	}
	return measureAll(ctx, opts, endpoints)
}

// freePorts returns addresses that nothing listens on.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("live: %w", err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// measureAll has a row for each kind of command.
func measureAll(ctx context.Context, opts Options, endpoints []string) ([][]Rate, error) {
	var all [][]Rate
	for _, kind := range kinds {
		var row []Rate
		for _, n := range opts.Clients {
			r, err := measure(ctx, endpoints, n, opts.Duration, kind.do)
			if err != nil {
				return nil, err
			}
			row = append(row, r)
		}
		all = append(all, row)
	}
	return all, nil
}

// measure runs clients, each with a key of its own, one command after another.
func measure(ctx context.Context, endpoints []string, n int, d time.Duration, do func(context.Context, *clientv3.Client, string) error) (Rate, error) {
	var clients []*clientv3.Client
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	for i := range n {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoints[i%len(endpoints)]}, DialTimeout: etcdTime, Logger: zap.NewNop()})
		if err != nil {
			return Rate{}, fmt.Errorf("live: %w", err)
		}
		clients = append(clients, c)
		if err := warm(ctx, c, key(i)); err != nil {
			return Rate{}, err
		}
	}
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	ctx, cancel := context.WithTimeout(ctx, d+etcdTime)
	defer cancel()
	var group sync.WaitGroup
	began := time.Now()
	for i, c := range clients {
		group.Go(func() {
			var mine []time.Duration
			var err error
			for time.Since(began) < d && err == nil {
				from := time.Now()
				err = do(ctx, c, key(i))
				mine = append(mine, time.Since(from))
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), errors.Join(failed, err)
		})
	}
	group.Wait()
	slices.Sort(took)
	r := Rate{Commands: len(took), Took: time.Since(began)}
	if len(took) > 0 {
		r.P50, r.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	return r, failed
}

func key(client int) string { return fmt.Sprintf("bench/%d", client) }

// warm makes the client's key, and waits until the store can.
func warm(ctx context.Context, c *clientv3.Client, key string) (err error) {
	for end := time.Now().Add(etcdTime); time.Now().Before(end); {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err = c.Put(attempt, key, value)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}
