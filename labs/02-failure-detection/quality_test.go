package detector_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/02-failure-detection"
)

const ruleQuality = "with heartbeats every 100 ms and the threshold 8, a crash is noticed within 200 ms in one room, 400 ms across a continent, 800 ms over a bad radio link, with at most 0, 6 and 12 mistakes in five minutes (rule 18)"

// A path is a kind of network, and how good a detector must be on it.
type path struct {
	name     string
	latency  labrpc.Latency
	detected time.Duration // from a crash until φ is over the threshold
	mistakes int           // in five minutes
}

// The paths to n2, n3 and n4. The bounds leave room for approximations of the normal distribution.
var paths = map[labrpc.NodeID]path{
	2: {name: "one room", latency: labrpc.LogNormal(2*time.Millisecond, 0.3), detected: 200 * time.Millisecond, mistakes: 0},
	3: {name: "one continent", latency: labrpc.LogNormal(50*time.Millisecond, 0.3), detected: 400 * time.Millisecond, mistakes: 6},
	4: {name: "a bad radio link", latency: labrpc.Exponential(20*time.Millisecond, 40*time.Millisecond), detected: 800 * time.Millisecond, mistakes: 12},
}

// A listener keeps a Phi for every peer, and notes when φ was over the threshold though the next beat was to come.
type listener struct {
	s    *labtest.Sim
	phis map[labrpc.NodeID]*Phi

	mu       sync.Mutex
	last     map[labrpc.NodeID]time.Duration
	mistakes map[labrpc.NodeID]int
}

// An arrival is a beat that came, and φ just before.
type arrival struct {
	From labrpc.NodeID
	Phi  float64
}

// A testBeat is the beat that the test sends.
type testBeat struct{}

// listen starts n1, which hears beats and feeds a Phi for each peer.
func listen(s *labtest.Sim) *listener {
	node := s.Start(1)
	l := new(listener)
	l.mu.Lock() // orders what follows before the network's goroutine calls take
	defer l.mu.Unlock()
	l.s, l.phis = s, map[labrpc.NodeID]*Phi{}
	l.last, l.mistakes = map[labrpc.NodeID]time.Duration{}, map[labrpc.NodeID]int{}
	for id := range paths {
		l.phis[id] = NewPhi(PhiOptions{Window: 200, Expected: period, MinDeviation: 10 * time.Millisecond, MaxPause: 10 * time.Second})
	}
	labrpc.Receive(node, "test/beat", func(from labrpc.NodeID, _ testBeat) {
		now, phi := time.Now(), l.phis[from]
		a := arrival{From: from, Phi: phi.Phi(now)}
		phi.Beat(now)
		labrpc.Tell(node, a, l.take)
	})
	return l
}

func (l *listener) take(at time.Duration, a arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// φ only rises between beats, so it was highest just before this one.
	if a.Phi > threshold && at > 20*time.Second {
		l.mistakes[a.From]++
	}
	l.last[a.From] = at
}

// sendBeats sends a beat a period to n1.
func sendBeats(node *labrpc.Node) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for node.Context().Err() == nil {
		labrpc.Send(node, 1, "test/beat", testBeat{})
		<-ticker.C
	}
}

// notice returns how long after its crash the node's φ is over the threshold.
func (l *listener) notice(id labrpc.NodeID, crashed, limit time.Duration) time.Duration {
	began := time.Now().Add(-l.s.Net.Now())
	for at := l.last[id]; at < crashed+limit; at += time.Millisecond {
		if l.phis[id].Phi(began.Add(at)) > threshold {
			return max(0, at-crashed)
		}
	}
	return limit
}

// One threshold serves three kinds of network: quick where beats are regular, patient where they
// are not. The measures are those of Chen, Toueg and Aguilera (2002): detection
// time and mistake rate.
func TestOneThresholdThreePaths2D(t *testing.T) {
	const long = 5 * time.Minute
	labtest.Run(t, labtest.Config{Nodes: 4, Seeds: 3}, func(s *labtest.Sim) {
		l := listen(s)
		for _, id := range others(s, 1) {
			s.Net.SetLink(id, 1, labrpc.Link{Latency: paths[id].latency, InOrder: true})
			go sendBeats(s.Start(id))
		}
		s.Run(long + somewhere(s))
		crashed := map[labrpc.NodeID]time.Duration{}
		for _, id := range others(s, 1) {
			crashed[id] = s.Net.Now()
			s.Net.Stop(id)
			s.Run(somewhere(s))
		}
		s.Run(2 * time.Second) // what is under way arrives
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, id := range others(s, 1) {
			p, wrong := paths[id], l.mistakes[id]
			took := l.notice(id, crashed[id], time.Minute)
			s.Measure("detection time, "+p.name, float64(took.Milliseconds()), "ms", fmt.Sprintf("≤ %d", p.detected.Milliseconds()))
			s.Measure("mistakes in five minutes, "+p.name, float64(wrong), "", fmt.Sprintf("≤ %d", p.mistakes))
			if took > p.detected {
				s.Failf(ruleQuality,
					"φ of n%d (network: %s) rose over %v only %v after the crash of n%[1]d, want within %[5]v", int(id), p.name, threshold, brief(took), p.detected)
			}
			if wrong > p.mistakes {
				s.Failf(ruleQuality,
					"φ of n%d (network: %s) was over %v %d times in %v while it was alive, want at most %d", int(id), p.name, threshold, wrong, long, p.mistakes)
			}
		}
	})
}
