//go:build race

package labrpc_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

type ping struct {
	N    int
	Data []byte
	Tags map[string]int
}

// The programs below run in a process of their own, since a race fails the whole process. Those
// named racy have a data race that any network with locks of its own would hide, because
// the two accesses are never at the same virtual instant.
var programs = map[string]func(net *labrpc.Network){
	"racy: two handlers": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		shared := 0
		labrpc.Handle(a, "x", func(labrpc.NodeID, ping) int { shared++; return shared })
		c := net.Start(3)
		go labrpc.Call[int](b.Context(), b, 1, "x", ping{})
		net.Run(time.Second)
		go labrpc.Call[int](c.Context(), c, 1, "x", ping{})
		net.Run(time.Second)
	},
	"racy: two one-way handlers": func(net *labrpc.Network) {
		a, b, c := net.Start(1), net.Start(2), net.Start(3)
		shared := 0
		labrpc.Receive(a, "x", func(labrpc.NodeID, ping) { shared++ })
		time.AfterFunc(time.Second, func() { labrpc.Send(b, 1, "x", ping{}) })
		time.AfterFunc(2*time.Second, func() { labrpc.Send(c, 1, "x", ping{}) })
		net.Run(3 * time.Second)
	},
	"racy: ticker and handler": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		heard := time.Time{}
		labrpc.Receive(a, "x", func(labrpc.NodeID, ping) { heard = time.Now() })
		go func() {
			for a.Context().Err() == nil {
				time.Sleep(10 * time.Millisecond)
				if time.Since(heard) > time.Minute {
					return
				}
			}
		}()
		time.AfterFunc(time.Second, func() { labrpc.Send(b, 1, "x", ping{}) })
		net.Run(2 * time.Second)
	},
	"racy: handler then ticker": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		n := 0
		labrpc.Receive(a, "x", func(labrpc.NodeID, ping) { _ = n })
		go func() {
			time.Sleep(2 * time.Second)
			n = 7
		}()
		time.AfterFunc(time.Second, func() { labrpc.Send(b, 1, "x", ping{}) })
		net.Run(3 * time.Second)
	},
	"racy: a slice changes while it is sent": func(net *labrpc.Network) {
		a := net.Start(1)
		net.Start(2)
		log := []byte("abc")
		go func() { log[1] = 'x' }()
		go func() { labrpc.Send(a, 2, "x", ping{Data: log}) }()
		net.Run(time.Second)
	},
	"racy: a reply refers to shared memory": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		log := []byte("abc")
		labrpc.Handle(a, "x", func(labrpc.NodeID, int) ping { return ping{Data: log} })
		go labrpc.Call[ping](b.Context(), b, 1, "x", 1)
		go func() {
			time.Sleep(500 * time.Millisecond)
			log[0] = 'x'
		}()
		net.Run(time.Second)
	},
	"clean: copies are private": func(net *labrpc.Network) {
		net.SetLinks(labrpc.FairLoss(0.2))
		a, b := net.Start(1), net.Start(2)
		labrpc.Handle(a, "x", func(_ labrpc.NodeID, p ping) ping {
			p.Data[0]++
			p.Tags["n"]++
			labrpc.Tell(a, p, func(time.Duration, ping) {})
			a.Logf("%v", p)
			a.Note("n", p.N)
			return p
		})
		labrpc.Receive(a, "y", func(_ labrpc.NodeID, p ping) { p.Data[0]++; p.Tags["n"]++ })
		for i := range 50 {
			go func() {
				p := ping{N: i, Data: []byte("abc"), Tags: map[string]int{"n": i}}
				labrpc.Send(b, 1, "y", p)
				got, err := labrpc.Call[ping](b.Context(), b, 1, "x", p)
				p.Data[0], p.Tags["n"] = 'z', 9
				if err == nil {
					got.Data[0], got.Tags["n"] = 'q', 3
				}
				b.Disk().Save("p", p)
			}()
		}
		net.Run(time.Minute)
	},
	"clean: fields set after the handler is registered, by the starter": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		s := &struct{ name string }{}
		labrpc.Handle(a, "x", func(labrpc.NodeID, int) string { return s.name })
		s.name = "set late in the constructor"
		go labrpc.Call[string](b.Context(), b, 1, "x", 1)
		net.Run(time.Second)
	},
	"racy: fields set after the starter waited": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		s := &struct{ name string }{}
		labrpc.Handle(a, "x", func(labrpc.NodeID, int) string { return s.name })
		net.Run(time.Millisecond)
		s.name = "set too late"
		go labrpc.Call[string](b.Context(), b, 1, "x", 1)
		net.Run(time.Second)
	},
	"clean: fields set before the handler is registered": func(net *labrpc.Network) {
		a, b := net.Start(1), net.Start(2)
		s := &struct{ name string }{name: "set in the constructor"}
		labrpc.Handle(a, "x", func(labrpc.NodeID, int) string { return s.name })
		go labrpc.Call[string](b.Context(), b, 1, "x", 1)
		net.Run(time.Second)
		net.Crash(1)
		a = net.Start(1)
		t := &struct{ name string }{name: "set again"}
		labrpc.Handle(a, "x", func(labrpc.NodeID, int) string { return t.name })
		go labrpc.Call[string](b.Context(), b, 1, "x", 1)
		net.Run(time.Second)
	},
}

// The network hides no data race of its users, and has none: whatever orders its own
// goroutines is kept from the race detector, observed or not, with a scheduler or without.
func TestRacesAreNotHidden(t *testing.T) {
	if name := os.Getenv("LABRPC_PROGRAM"); name != "" {
		name, how, _ := strings.Cut(name, " | ")
		observe := map[bool]func(labrpc.Event){true: func(labrpc.Event) {}}[how == "observed"]
		scheduler := map[bool]labrpc.Scheduler{true: inOrder{}}[how == "scheduled"]
		synctest.Test(t, func(*testing.T) {
			net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3, Observe: observe, CountBytes: true, Scheduler: scheduler,
				Link: labrpc.Link{Latency: labrpc.Fixed(1e6)}})
			defer net.Close()
			programs[name](net)
		})
		return
	}
	for name := range programs {
		for _, how := range []string{"", " | observed", " | scheduled"} {
			t.Run(name+how, func(t *testing.T) {
				cmd := exec.Command(os.Args[0], "-test.run=^TestRacesAreNotHidden$")
				cmd.Env = append(os.Environ(), "LABRPC_PROGRAM="+name+how, "GORACE=atexit_sleep_ms=0")
				out, err := cmd.CombinedOutput()
				if strings.HasPrefix(name, "racy") {
					require.Contains(t, string(out), "WARNING: DATA RACE")
					require.Contains(t, string(out), "race_test.go")
				} else {
					require.NoError(t, err, "%s", out)
				}
			})
		}
	}
}
