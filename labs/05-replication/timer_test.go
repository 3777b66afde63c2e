package replication_test

import (
	"sync"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// longestTimeout is what rule 16 allows, and one heartbeat for a server that looks at its timer now and then.
const longestTimeout = 2*electionTimeout + heartbeat

// waitForElection waits until n1 starts an election: at least a timeout after its timer was reset, and at most the longest one. It returns when that was.
func (p *scriptedCluster) waitForElection(reset span, what string) time.Duration {
	term := p.status().Term
	p.s.Until(reset.to+longestTimeout-p.s.Net.Now(), func() bool { return p.status().Term > term })
	p.expectElection(p.status().Term > term, reset, what)
	return p.s.Net.Now()
}

// expectElection checks that n1 has just started an election, and not too early.
func (p *scriptedCluster) expectElection(started bool, reset span, what string) {
	now := p.s.Net.Now()
	switch {
	case !started:
		p.fail(ruleTimer, "n1 had not started an election by %v, want one within %v of %v, when %s", labtest.At(now), longestTimeout, labtest.At(reset.to), what)
	case now-reset.from < electionTimeout:
		p.fail(ruleTimer, "n1 started an election at %v, want none within %v of %v, when %s", labtest.At(now), electionTimeout, labtest.At(reset.from), what)
	}
}

// runAfter runs until so long after the last request reached n1.
func (p *scriptedCluster) runAfter(d time.Duration) { p.s.Run(p.heard.from + d - p.s.Net.Now()) }

// n1 receives heartbeats of its leader, and then none; then it is a candidate without votes. Each time it starts an election after a
// timeout of one to two election timeouts, which it draws again. At the end another candidate wins, and is heard of once. In every second seed five servers that have just started
// receive nothing.
func TestElectionTimer5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 8, Link: calmLink}, func(s *labtest.Sim) {
		if s.Seed%2 == 0 {
			checkFirstTimeouts(s)
			return
		}
		p := newScriptedCluster(s)
		p.answerVotes(func(labrpc.NodeID, VoteRequest) bool { return false })
		for range 6 { // longer than any timeout in total
			p.append(2, AppendRequest{Term: 1}, true)
			p.runAfter(electionTimeout - replyBound - 10*time.Millisecond) // n1 does not start an election while it replies
			if st := p.status(); st.Term != 1 {
				p.fail(ruleTimer, "n1 started an election at most %v after the last heartbeat of its leader: it is in term %d", electionTimeout, st.Term)
			}
		}
		p.append(2, AppendRequest{Term: 1}, true)
		s.Net.JumpClock(1, []time.Duration{-time.Hour, time.Hour}[s.Seed/2%2]) // election timers do not ask the wall clock
		reset := p.heard
		var waits []time.Duration
		next := func(what string) {
			at := p.waitForElection(reset, what)
			waits, reset = append(waits, at-reset.from), instant(at)
		}
		next("its leader had sent the last heartbeat")
		for range 5 {
			next("it started its last election")
		}
		p.expectRandom(waits, "its elections")
		s.Run(reset.to + electionTimeout - replyBound - 10*time.Millisecond - s.Net.Now()) // n1 does not start an election while it replies
		p.append(2, AppendRequest{Term: p.status().Term}, true)
		p.waitForElection(p.heard, "it was a candidate, and the last request of the leader of its term came then")
	})
}

// An electionWatch sees by the requests of each server when it starts an election. A RequestVote is a sign of one; so is, from the call of ready on, a request
// whose method the server has not used before: it may ask for pre-votes (§9.6) and get none. What it has sent before is something else, as a probe of its peers.
type electionWatch struct {
	s       *labtest.Sim
	mu      sync.Mutex
	methods map[labrpc.Match]bool // known ones, with their senders
	learned bool
	signs   map[labrpc.NodeID]time.Duration // the first of each server
}

func watchElections(s *labtest.Sim) *electionWatch {
	w := &electionWatch{s: s, methods: map[labrpc.Match]bool{}, signs: map[labrpc.NodeID]time.Duration{}}
	s.Net.Intercept(w.see)
	return w
}

func (w *electionWatch) see(m *labrpc.Message) labrpc.Verdict {
	if m.Kind != labrpc.Request {
		return labrpc.Pass
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	method := labrpc.Match{From: m.From, Method: m.Method}
	if m.Method != "RequestVote" && !w.learned {
		w.methods[method] = true
	} else if _, known := w.signs[m.From]; !known && !w.methods[method] {
		w.signs[m.From] = w.s.Net.Now()
	}
	return labrpc.Pass
}

// ready ends the time in which requests are known to be no elections, RequestVote excepted.
func (w *electionWatch) ready() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.learned = true
}

// sign returns when there was the first sign of an election of this server.
func (w *electionWatch) sign(id labrpc.NodeID) (at time.Duration, seen bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, seen = w.signs[id]
	return at, seen
}

// checkFirstTimeouts starts five isolated servers. Each asks the others for their votes after a timeout that it draws at random.
func checkFirstTimeouts(s *labtest.Sim) {
	from, w := s.Net.Now(), watchElections(s)
	c := newRaftCluster(s, raftClusterOptions{})
	for _, id := range c.servers {
		s.Net.Isolate(id)
	}
	waits := map[labrpc.NodeID]time.Duration{}
	s.Run(electionTimeout - time.Millisecond)
	w.ready()
	s.Until(longestTimeout-electionTimeout+time.Millisecond, func() bool {
		for _, id := range c.servers {
			if at, seen := w.sign(id); seen {
				waits[id] = at - from
			}
		}
		return len(waits) == len(c.servers)
	})
	differ := false
	for _, id := range c.servers {
		switch w := waits[id]; {
		case w == 0:
			s.Failf(ruleTimer, "%v has not started an election %v after its start, although it received nothing", id, longestTimeout)
		case w < electionTimeout:
			s.Failf(ruleTimer, "%v started an election %v after its start, want at least %v", id, briefTime(w), electionTimeout)
		default:
			differ = differ || (w-waits[1]).Abs() > time.Millisecond
		}
	}
	if !differ {
		s.Failf(ruleRandom, "all five servers waited %v after their start before their first election, want timeouts that differ", briefTime(waits[1]))
	}
}

// expectRandom checks that not all timeouts are equal.
func (p *scriptedCluster) expectRandom(waits []time.Duration, of string) {
	for _, w := range waits {
		if (w - waits[0]).Abs() > time.Millisecond {
			return
		}
	}
	p.fail(ruleRandom, "n1 waited %v before each of %s, want timeouts that differ", briefTime(waits[0]), of)
}

// A granted vote resets the election timer, and binds n1 to no server: it follows the candidate that wins.
func TestVoteResetsTheTimer5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 8, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		for i := range 5 {
			p.runAfter(electionTimeout - replyBound - 10*time.Millisecond) // until the next request is handled
			if st := p.status(); st.Term != i {
				p.fail(ruleTimer, "n1 started an election less than %v after it had granted a vote: it is in term %d, want %d", electionTimeout, st.Term, i)
			}
			p.vote(VoteRequest{Term: i + 1, Candidate: labrpc.NodeID(2 + i%4), LastLogIndex: 9, LastLogTerm: 1}, true, "it has not voted in this term, and its log is empty")
			if st := p.status(); st.Leader != 0 {
				p.fail(ruleNames, "n1 has Leader = %v in term %d, want 0: it has only granted that server its vote", st.Leader, st.Term)
			}
		}
		if s.Seed%2 == 0 { // another candidate of that term has won
			p.append(3, AppendRequest{Term: 5}, true)
			if st := p.status(); st.Leader != 3 {
				p.fail(ruleNames, "n1 has Leader = %v in term %d, want n3: it has accepted AppendEntries of n3 in this term, and had voted for n2", st.Leader, st.Term)
			}
		}
		p.waitForElection(p.heard, "it had granted its last vote, or accepted the request of the leader of that term")
	})
}

// Requests that n1 refuses do not reset its election timer: those of a leader of an earlier term, and those of a candidate that has voted
// for itself in n1's term.
func TestRefusalsDoNotResetTheTimer5A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 6, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.vote(VoteRequest{Term: 3, Candidate: 4}, true, "it has not voted in this term")
		reset, term := p.heard, 3
		for s.Net.Now()-reset.to < longestTimeout && p.status().Term == term {
			p.append(2, AppendRequest{Term: 2}, false)
			p.vote(VoteRequest{Term: 3, Candidate: 5}, false, "it has voted for n4 in this term")
			s.Run(100 * time.Millisecond)
		}
		if p.status().Term == term {
			p.waitForElection(reset, "it granted its vote: then it received only requests that it refused")
		}
	})
}

// A candidate with an old log and ever higher terms does not reset n1's election timer: n1, which has the newer log, must become leader. It
// does not reset the timer either when n1 is a candidate and becomes a follower because of it.
func TestHopelessCandidates5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 10, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.append(2, AppendRequest{Term: 1, Entries: entriesOf(1)}, true)
		from, asked := p.last, time.Duration(0)
		var started span // when n1 started its last election: it may do so while n3 asks it
		follows := func() bool { return p.status().Role == roleFollower }
		for follows() {
			now := s.Net.Now()
			if now-from > longestTimeout {
				p.fail(ruleTimer, "n1 has not started an election by %v: its leader's last request came at %v, and since then only candidates that it refused asked it", labtest.At(now), labtest.At(from))
			}
			if now-asked > 200*time.Millisecond {
				asked = now
				p.vote(VoteRequest{Term: p.status().Term + 1, Candidate: 3}, false, "its log is empty")
				started = span{from: now, to: s.Net.Now()}
			}
			if follows() && s.Until(5*time.Millisecond, func() bool { return !follows() }) {
				started = instant(s.Net.Now())
			}
		}
		for s.Net.Now()-from < 10*electionTimeout {
			s.Run(started.from + electionTimeout - replyBound - 20*time.Millisecond - s.Net.Now()) // n1 does not start an election while it replies
			p.vote(VoteRequest{Term: p.status().Term + 1, Candidate: 3}, false, "its log is empty")
			started = instant(p.waitForElection(started, "it had started its last election; since then only a candidate that it refused asked it"))
		}
	})
}

// A candidate of the leader's own term does not depose it: it is late. One of a newer term, which cannot win, does. The leader, which every
// server would vote for, must become leader again, and then send no more heartbeats than in its first term.
func TestDeposedLeaderHasATimer5B(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 5, Seeds: 5, Link: calmLink}, func(s *labtest.Sim) {
		p := newScriptedCluster(s)
		p.grantVotes()
		p.accept()
		p.waitForLead()
		p.submit()
		s.Run(2 * time.Second)
		p.vote(VoteRequest{Term: p.status().Term, Candidate: 3, LastLogIndex: 9, LastLogTerm: p.status().Term}, false, "it has voted for itself in this term, and leads it")
		if st := p.status(); st.Role != roleLeader {
			p.fail(ruleStable, "n1 is %v in term %d, which it led, after it refused its vote in this term to n3: only a newer term deposes a leader", st.Role, st.Term)
		}
		p.vote(VoteRequest{Term: p.status().Term + 1, Candidate: 3}, false, "its log is empty")
		p.waitUntil(electionBound, ruleTimer, "n1, which was deposed by a candidate that cannot win, did not become leader, although every server would vote for it", p.leads)
		s.Run(time.Second)
		toN2 := labrpc.Match{From: 1, To: 2, Method: "AppendEntries", Kind: labrpc.Request}
		before := s.Net.Stats(toN2).Sent
		s.Run(20 * heartbeat)
		p.c.budget("requests of an idle leader that leads for the second time, per follower and heartbeat", float64(s.Net.Stats(toN2).Sent-before)/20, 1.2)
	})
}
