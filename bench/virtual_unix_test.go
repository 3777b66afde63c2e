//go:build unix

package bench

import (
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"distlabs/labrpc"
	replication "distlabs/solutions/05-replication"
)

// How fast virtual time passes for an idle cluster, which sends heartbeats: a test waits that
// much less than the clock says. This measures, and demands nothing.
func TestVirtualTime(t *testing.T) {
	const span = 200 * time.Second
	for _, servers := range []int{3, 5, 7} {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			began, used := time.Now(), cpuTime(t)
			synctest.Test(t, func(t *testing.T) {
				net := labrpc.New(labrpc.Options{Seed: 1, Nodes: servers, Link: labrpc.Reliable()})
				defer net.Close()
				var rafts []*replication.Raft
				for _, id := range net.Nodes() {
					rafts = append(rafts, replication.StartRaft(net.Start(id), net.Nodes(), func(replication.Applied) {}))
				}
				net.Run(span)
				leaders := 0
				for _, r := range rafts {
					if r.Status().Role == replication.Leader {
						leaders++
					}
				}
				if leaders != 1 {
					t.Errorf("%d servers lead, want 1", leaders)
				}
			})
			real, cpu := time.Since(began), cpuTime(t)-used
			t.Logf("%d servers: %.0f virtual seconds a real second, %.0f a CPU second", servers, span.Seconds()/real.Seconds(), span.Seconds()/cpu.Seconds())
		})
	}
}

// cpuTime returns how long the process has been on a processor: on a busy machine
// the clock on the wall says little.
func cpuTime(t *testing.T) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
