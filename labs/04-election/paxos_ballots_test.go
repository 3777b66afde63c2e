package election_test

import (
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// n1 is isolated and proposes. It crashes at the instant at which it sends the first message with its k-th ballot since its start, for each k up to 40 in some
// seed, or five minutes later if it uses fewer. No later incarnation uses a ballot of an earlier one (rule 19). n1's own acceptor receives nothing, so it knows none of these ballots.
func TestNoBallotAfterCrash4D(t *testing.T) {
	const (
		crashed  = "n1 crashed after it had used a ballot"
		farthest = 40
		strides  = 8
	)
	cfg := labtest.Config{Nodes: 3, Link: steadyLink, Seeds: strides, Limit: time.Hour, MustCover: []string{crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		b := recordBallots(s)
		y.start(s.Net.Nodes()...)
		s.Net.Isolate(1)
		own := s.Net.Hold(labrpc.Match{From: 1, To: 1})
		for k := 1 + int((s.Seed-1)%strides); k <= farthest; k += strides {
			y.propose(1, labrpc.NodeID(1+k%3), time.Hour)
			s.Until(5*time.Minute, func() bool { return b.used() >= k }) // it may also wait long between two attempts, or repeat a request in place of another attempt
			if b.used() > 0 {
				s.Cover(crashed)
			}
			s.Net.Crash(1)
			s.Run(time.Second)
			own.Discard(nil)
			b.restarts()
			y.start(1)
		}
		y.propose(1, 2, 2*time.Second)
		s.Run(2 * time.Second)
		own.Release()
		s.Net.Heal()
		y.decides(1, 3)
	})
}

// A ballotRecord is the ballots that n1 has used, and in which of its incarnations.
type ballotRecord struct {
	mu      sync.Mutex
	inc     int
	usedIn  map[Ballot]int
	ballots int // of this incarnation
}

// recordBallots records the ballots of n1, and checks that no ballot is used in two incarnations.
func recordBallots(s *labtest.Sim) *ballotRecord {
	b := &ballotRecord{inc: 1, usedIn: map[Ballot]int{}}
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if req, ok := m.Body.(PrepareRequest); ok && m.From == 1 {
			if before, inc := b.uses(req.Ballot); before != inc {
				s.Failf(ruleBallot, "n1 has started %d times and now sends Prepare with ballot %v, which it used before its last crash, want a new ballot", inc, req.Ballot)
			}
		}
		return labrpc.Pass
	})
	return b
}

// uses records a ballot. It returns the incarnation that used the ballot first, and the present one.
func (b *ballotRecord) uses(ballot Ballot) (first, now int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.usedIn[ballot] == 0 {
		b.usedIn[ballot] = b.inc
		b.ballots++
	}
	return b.usedIn[ballot], b.inc
}

// used is the number of ballots of this incarnation.
func (b *ballotRecord) used() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ballots
}

// restarts begins a new incarnation.
func (b *ballotRecord) restarts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inc++
	b.ballots = 0
}
