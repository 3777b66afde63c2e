package consistency_test

import (
	"fmt"
	"strings"
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// Four hundred keys, with deleted keys and counters, then no updates, while each replica restarts once, then thirty updates: the number of bytes sent depends
// on the new updates, not on the number of keys (rule 22).
func TestDigestsTravel6C(t *testing.T) {
	const (
		atRest  = 400 // bytes a replica a gossip period, questions and answers
		each    = 400 // bytes for each replica that lacks an update
		periods = 50
	)
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 2, CountBytes: true}, func(s *labtest.Sim) {
		g := newGossipGroup(s)
		for i := range 400 {
			g.putValue(labrpc.NodeID(1+i%5), fmt.Sprintf("key %d", i), fmt.Sprintf("the value of key %d", i))
		}
		for i := range 200 {
			g.delete(labrpc.NodeID(1+i%5), fmt.Sprintf("deleted %d", i))
			g.add(labrpc.NodeID(1+i%5), fmt.Sprintf("counter %d", i), 1)
		}
		// The last update of each replica is a long one: it is not sent again and again.
		long := strings.Repeat("long ", 60)
		for _, id := range s.Net.Nodes() {
			if id <= 3 {
				g.putValue(id, fmt.Sprint("long ", id), long)
			} else {
				g.add(id, fmt.Sprint(long, id), 1)
			}
		}
		g.settle(gossipSettles, s.Net.Nodes()...)
		for i := range 400 {
			g.all(ruleConverges, fmt.Sprintf("key %d", i), fmt.Sprintf("the value of key %d", i))
		}
		measure := func(step func(i int)) (bytes float64) {
			before := s.Net.Stats(labrpc.Match{})
			for i := range periods {
				step(i)
				s.Run(gossipPeriod)
			}
			return float64(s.Net.Stats(labrpc.Match{}).Sub(before).Bytes)
		}
		for _, id := range s.Net.Nodes() {
			s.Net.Crash(id)
			g.restart(id)
		}
		bytes := measure(func(int) {})
		s.Measure("bytes a replica a gossip period, at rest", bytes/5/periods, "", fmt.Sprintf("≤ %d", atRest))
		if bytes > 5*periods*atRest {
			s.Failf(ruleGossipBytes, "5 replicas with the same 400 keys sent %.0f bytes in %d gossip periods, want at most %d", bytes, periods, 5*periods*atRest)
		}
		bytes = measure(func(i int) {
			if i >= 10 {
				return
			}
			g.putValue(labrpc.NodeID(1+i%5), fmt.Sprintf("key %d", 40*i), fmt.Sprintf("new value %d", i))
			g.add(labrpc.NodeID(1+i%5), fmt.Sprintf("counter %d", i), 1)
			g.delete(labrpc.NodeID(1+i%5), fmt.Sprintf("key %d", 40*i+20))
		})
		most := 5*periods*atRest + 30*4*each
		s.Measure("bytes for 30 updates in 50 periods", bytes, "", fmt.Sprintf("≤ %d", most))
		if bytes > float64(most) {
			s.Failf(ruleGossipBytes, "for 30 updates, 5 replicas with 400 keys sent %.0f bytes in %d gossip periods, want at most %d", bytes, periods, most)
		}
		g.settle(0, s.Net.Nodes()...)
		g.all(ruleConverges, "key 0", "new value 0")
	})
}
