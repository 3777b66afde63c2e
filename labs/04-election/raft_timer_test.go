package election_test

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// What resets the election timer (rule 14): every granted vote, and every AppendEntries from the leader of the term, also one that
// makes a candidate a follower.
func TestTimerIsReset4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3)
		const between = 135 * time.Millisecond
		term := 10
		next := func(sent time.Duration) { s.Run(sent + between - s.Net.Now()) } // the reply may have taken some time
		for i := range 25 {
			sent := s.Net.Now()
			if !p[i%2].askVote(1, term+i).Granted {
				s.Failf(ruleOneVote, "n1 denied its vote in term %d to %v, although no other server has asked", term+i, p[i%2].node.ID())
			}
			c.mustNotCampaign(1, "although it granted a vote less than 140ms ago")
			next(sent)
		}
		c.mustNotCampaign(0, "")
		term += 100
		for range 25 {
			sent := s.Net.Now()
			p[0].heartbeat(1, term)
			c.mustNotCampaign(1, "although it received a heartbeat from its leader, n2, less than 140ms ago")
			next(sent)
		}
		c.mustNotCampaign(0, "")
		for range 3 {
			from := s.Net.Now()
			v := *violation(ruleElectionTimeout, "n1 has not started an election within %v of the last heartbeat of its leader", longestTimeout)
			last := c.lastRequest(1)
			s.WaitFor(longestTimeout+2*fixedLatency, v, func() bool { return c.startsAnother(1, from, last) })
			s.Run(between - 10*time.Millisecond)
			from = s.Net.Now()
			p[0].heartbeat(1, c.state(1).Term)
			c.waitForCampaign(1, from, "it was a candidate, and received a heartbeat from n2, the leader of its term")
		}
	})
}

// What does not reset the election timer (rule 14): requests for a vote that n1 denies, and heartbeats of an older
// term. n1 starts its election as soon as without them.
func TestTimerIsNotReset4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 4, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1)
		p := c.scriptedPeers(2, 3, 4)
		noise := []struct {
			name string
			make func(term int)
		}{
			{"n3 asked for a vote that n1 has already given to n2", func(term int) { p[1].askVote(1, term) }},
			{"n3 asked for a vote in an older term", func(term int) { p[1].askVote(1, term-1) }},
			{"n4 sent heartbeats of an older term", func(term int) { p[2].heartbeat(1, term-1) }},
		}
		for i, n := range noise {
			term := c.state(1).Term + 10*(i+1)
			p[0].askVote(1, term)
			reset := s.Net.Now()
			p[0].heartbeat(1, term)
			stop := make(chan struct{})
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-p[0].node.Context().Done():
						return
					case <-time.After(30 * time.Millisecond):
						n.make(term)
					}
				}
			}()
			c.waitForCampaign(1, reset, n.name)
			close(stop)
			s.Run(40 * time.Millisecond)
		}
	})
}

// A server that receives no message starts elections again and again. Each timeout is a new random one: at every start of the
// server, and in every election (rule 14).
func TestEachTimeoutIsNew4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink}, func(s *labtest.Sim) {
		c := newCluster(s)
		firsts := map[time.Duration]bool{}
		const starts = 25
		for range starts {
			c.restart(1)
			firsts[c.waitForCampaign(1, s.Net.Now(), "n1 had just started and receives no message").Round(2*time.Millisecond)] = true
		}
		if len(firsts) < 3 {
			s.Failf(ruleElectionTimeout, "n1 started %d times, and the first timeouts had only %s, want at least 3: each is random", starts, lengths(len(firsts)))
		}
		began := s.Net.Now()
		s.Run(6 * time.Second)
		c.checkTimeouts(1, began, "it receives no message")
		waits := map[time.Duration]bool{}
		all := c.campaignsOf(1, began)
		for i := range all[:max(len(all)-1, 0)] {
			waits[(all[i+1].at - all[i].at).Round(2*time.Millisecond)] = true
		}
		if len(all) > 15 && len(waits) < 3 { // a server with pre-votes never becomes a candidate here
			s.Failf(ruleElectionTimeout, "n1 started %d elections in one run, and the timeouts between them had only %s, want at least 3: each is random", len(all), lengths(len(waits)))
		}
	})
}

func lengths(n int) string {
	if n == 1 {
		return "one length"
	}
	return fmt.Sprintf("%d different lengths", n)
}

// checkTimeouts checks that a server without a leader has started its elections neither too early nor too late. A request that
// is not the first of its election tells nothing about the shortest timeout: a candidate may ask again.
func (c *cluster) checkTimeouts(id labrpc.NodeID, since time.Duration, while string) {
	last := since
	for _, at := range append(c.requestsOf(id, since), c.s.Net.Now()) {
		if at-last > longestTimeout+2*time.Millisecond {
			c.s.Failf(ruleElectionTimeout, "%v has not started an election between %s and %s, want one within %v; %s",
				id, labtest.At(last), labtest.At(at), longestTimeout, while)
		}
		last = at
	}
	all := c.campaignsOf(id, since)
	for i := range all[:max(len(all)-1, 0)] {
		if d := all[i+1].at - all[i].at; d < shortestTimeout-2*time.Millisecond {
			c.s.Failf(ruleElectionTimeout, "%v started an election in term %d at %s, and the next one %v later, want at least %v; %s",
				id, all[i].term, labtest.At(all[i].at), d, raftTiming.ElectionTimeout, while)
		}
	}
}

// A candidate receives replies that deny it the vote and state a newer term. It adopts the term, but its timer
// continues (rule 14).
func TestNewerTermDoesNotResetTimer4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		for _, id := range []labrpc.NodeID{2, 3} {
			labrpc.Handle(s.Start(id), "RequestVote", func(_ labrpc.NodeID, r VoteRequest) VoteReply {
				time.Sleep(130 * time.Millisecond)
				return VoteReply{Term: r.Term + 5}
			})
		}
		c.start(1)
		s.Run(5 * time.Second)
		c.checkTimeouts(1, 0, "it receives only replies that state a newer term, which must not reset its timer")
	})
}

// A leader has no election timer; one that is deposed starts it again. n4, which the test plays, leads a newer term and sends
// a heartbeat to one follower, whose reply deposes the old leader. That is the last message that the old leader receives
// except replies: it must start an election, neither too early nor too late (rule 14). Then the next leader is isolated. If it becomes a follower,
// because it receives no replies from a majority, it must start an election too.
func TestDeposedLeaderCampaigns4C(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Link: steadyLink, Seeds: raftSeeds}, func(s *labtest.Sim) {
		c := newCluster(s)
		c.start(1, 2, 3)
		old, term := c.waitForLeader(electionLimit)
		n4 := c.scriptedPeers(4)[0]
		s.Run(time.Duration(s.Rand().Int64N(int64(time.Second))))
		requests := s.Net.Hold(labrpc.Match{To: old, Kind: labrpc.Request})
		n4.heartbeat(old%3+1, term+100)
		v := *violation(ruleTerms, "%v leads term %d, and a follower replies to its heartbeats with term %d, but after 500ms %v has not become a follower in that term",
			old, term, term+100, old)
		s.WaitFor(500*time.Millisecond, v, func() bool { return c.state(old).Term >= term+100 && c.state(old).Role != Leader })
		campaigns := func(id labrpc.NodeID, while string) { // it was deposed just now
			deposed := s.Net.Now() - fixedLatency
			s.Run(time.Millisecond) // it may have sent a heartbeat at the same instant
			c.waitForCampaign(id, deposed, while)
		}
		campaigns(old, "it was the leader, and learnt a newer term from a reply")
		requests.Release()
		next, _ := c.waitForLeader(electionLimit)
		s.Run(time.Duration(s.Rand().Int64N(int64(time.Second))))
		s.Net.Isolate(next)
		s.Until(3*time.Second, func() bool { return c.state(next).Role != Leader }) // it may also lead on
		if c.state(next).Role == Follower {
			campaigns(next, "it received no message: it was isolated while it was the leader, and became a follower")
		}
	})
}
