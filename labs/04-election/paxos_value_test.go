package election_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// n1 proposes, and n2 and n3, which the test plays, report what they have accepted, one or the other first; n1's own acceptor
// may have accepted a value too. n1 proposes the value of the highest ballot (rule 22). In four more seeds a value does not count: only an earlier
// attempt was told of it, or only a refusal tells of it.
func TestProposerTakesTheHighest4D(t *testing.T) {
	none := AcceptorState{Promised: Ballot{Round: 5, Node: 4}}
	low := AcceptorState{Promised: Ballot{Round: 5, Node: 4}, Accepted: Ballot{Round: 3, Node: 4}, Value: 4}
	high := AcceptorState{Promised: Ballot{Round: 5, Node: 4}, Accepted: Ballot{Round: 5, Node: 4}, Value: 3}
	sameRound := AcceptorState{Promised: Ballot{Round: 5, Node: 4}, Accepted: Ballot{Round: 5, Node: 2}, Value: 5}
	lowest := AcceptorState{Promised: Ballot{Round: 2, Node: 4}, Accepted: Ballot{Round: 2, Node: 4}, Value: 4}
	fours := AcceptorState{Promised: Ballot{Round: 5, Node: 4}, Accepted: Ballot{Round: 4, Node: 4}, Value: 4}
	cases := []struct {
		own, n2, n3 AcceptorState
		want        labrpc.NodeID
		rivals      []Ballot
	}{
		{none, low, high, 3, nil}, {none, high, low, 3, nil}, {none, none, low, 4, nil}, {none, none, none, 1, nil},
		{none, sameRound, high, 3, nil}, {none, high, sameRound, 3, nil}, {low, none, none, 4, nil}, {high, low, none, 3, nil}, {low, high, none, 3, nil},
		{lowest, low, fours, 4, nil},                        // the same value everywhere, but in three ballots
		{none, low, low, 4, []Ballot{{Round: 50, Node: 4}}}, // n2 and n3 refuse the Accept of the value that they have accepted before
	}
	cfg := labtest.Config{Nodes: 5, Link: steadyLink, Seeds: 2 * (len(cases) + 2), MustCover: []string{reportGone, reportRefused}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		y := newPaxosCluster(s)
		y.allow(0, 1, 2, 3, 4, 5)
		y.start(1)
		i := s.Seed % uint64(len(cases)+2)
		switch i {
		case uint64(len(cases)):
			y.onlyTheFirstAttemptReports()
			return
		case uint64(len(cases)) + 1:
			y.onlyARefusalReports()
			return
		}
		c := cases[i]
		if c.own.Accepted.Round > 0 {
			// An n1 that has prepared a ballot already accepts only a higher one. Then all others are higher by as much.
			by := scriptedProposer{paxosCluster: y, node: s.Start(4)}.accept(c.own.Accepted, c.own.Value, true).Round - c.own.Accepted.Round
			for _, st := range []*AcceptorState{&c.own, &c.n2, &c.n3} {
				st.Promised = higher(st.Promised, by)
				st.Accepted = higher(st.Accepted, by)
			}
		}
		n2, n3 := y.scriptedAcceptor(2, c.n2, c.rivals...), y.scriptedAcceptor(3, c.n3, c.rivals...)
		slow := labrpc.NodeID(2 + s.Seed/uint64(len(cases)+2)%2)
		s.Net.SetLink(slow, 1, labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)})
		got := y.decides(1, 1)
		y.mu.Lock()
		defer y.mu.Unlock()
		for _, r := range y.asked[1] {
			if r.Value != c.want {
				s.Failf(ruleProposes, "n1 has accepted %v, n2 has accepted %v and n3 has accepted %v, but n1 proposes the value %v in ballot %v, want the value %v",
					accepted(c.own), accepted(c.n2), accepted(c.n3), r.Value, r.Ballot, c.want)
			}
		}
		if len(y.asked[1]) == 0 {
			s.Failf(ruleChosen, "n1 has accepted %v, n2 has accepted %v and n3 has accepted %v, and Propose returned %v on n1, which has sent no Accept: no majority has accepted it in one ballot",
				accepted(c.own), accepted(c.n2), accepted(c.n3), got)
		}
		if n2().Accepted != n3().Accepted {
			s.Failf(ruleChosen, "Propose returned %v on n1, but n2 has accepted %v and n3 %v, and n4 and n5 are down: no majority has accepted it in one ballot",
				got, accepted(n2()), accepted(n3()))
		}
		if got != c.want {
			s.Failf(ruleChosen, "the value %v is chosen, but Propose returned the value %v", c.want, got)
		}
	})
}

// The situations of the next two functions.
const (
	reportGone    = "n1's first attempt was told of a value, and no acceptor of its second attempt had accepted one"
	reportRefused = "only a refusal told n1 of a value"
)

// onlyTheFirstAttemptReports has n2 report a value to n1's first attempt. Then n1 and n3 promise the ballot of n5, so that the attempt fails, n2
// crashes, and n4 returns. No acceptor that is up has accepted a value.
func (y *paxosCluster) onlyTheFirstAttemptReports() {
	s := y.s
	y.scriptedAcceptor(2, AcceptorState{Promised: Ballot{Round: 5, Node: 4}, Accepted: Ballot{Round: 3, Node: 4}, Value: 4})
	y.scriptedAcceptor(3, AcceptorState{Promised: Ballot{Round: 5, Node: 4}})
	held := s.Net.Hold(labrpc.Match{From: 1, Method: "Accept", Kind: labrpc.Request})
	call := y.propose(1, 1, time.Hour)
	s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 proposed n1, but within %v it has sent no Accept", proposeLimit),
		func() bool { return len(held.Messages()) > 0 })
	first := held.Messages()[0].Body.(AcceptRequest)
	rival, n5 := Ballot{Round: first.Ballot.Round + 50, Node: 5}, s.Start(5)
	for _, id := range []labrpc.NodeID{1, 3} {
		if r := ask[PrepareReply](rulePromise, s, n5, id, "Prepare", PrepareRequest{Ballot: rival}); !r.OK && r.State.Promised.Compare(rival) < 0 {
			s.Failf(rulePromise, "n1 refused Prepare %v, although the highest ballot that it has promised is %v", rival, r.State.Promised)
		}
	}
	s.Net.Crash(5)
	s.Net.Crash(2)
	y.scriptedAcceptor(4, AcceptorState{Promised: rival})
	held.Release() // n1 and n3 refuse
	y.returnsChosen(call)
	y.mu.Lock()
	defer y.mu.Unlock()
	if last := y.asked[1][len(y.asked[1])-1]; first.Value == 4 && last.Ballot.Compare(first.Ballot) > 0 {
		s.Cover(reportGone)
	}
}

// onlyARefusalReports has n1's Prepare come late to n4, which has accepted a value in a higher ballot and refuses. n2 has promised
// that ballot after n1's, and refuses n1's Accept. n1 may stop at the refusal, and try again with a higher ballot, which n4 promises.
func (y *paxosCluster) onlyARefusalReports() {
	s := y.s
	prepares := s.Net.Hold(labrpc.Match{From: 1, Method: "Prepare", Kind: labrpc.Request})
	call := y.propose(1, 1, time.Hour)
	s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 proposed n1, but within %v it has sent no Prepare", proposeLimit),
		func() bool { return len(prepares.Messages()) > 0 })
	first := prepares.Messages()[0].Body.(PrepareRequest).Ballot
	high := Ballot{Round: first.Round + 50, Node: 5}
	y.scriptedAcceptor(2, AcceptorState{}, high)
	y.scriptedAcceptor(3, AcceptorState{})
	n4 := y.scriptedAcceptor(4, AcceptorState{Promised: high, Accepted: high, Value: 4})
	for _, id := range []labrpc.NodeID{2, 3} { // n4's reply arrives first
		s.Net.SetLink(id, 1, labrpc.Link{Latency: labrpc.Fixed(10 * time.Millisecond)})
	}
	prepares.Release()
	s.Run(5 * time.Millisecond)
	if n4().Promised == high {
		s.Cover(reportRefused)
	}
	y.returnsChosen(call)
}

// returnsChosen waits until a call of Propose at n1 returns. The cluster checks the values that n1 proposes, and the value that it returns.
func (y *paxosCluster) returnsChosen(call *proposal) {
	y.s.WaitFor(proposeLimit, *violation(ruleReturns, "n1 is connected to a majority since %s, without a rival, but its call of Propose has not returned within %v",
		labtest.At(y.s.Net.Now()), proposeLimit), func() bool { _, _, done := call.outcome(); return done })
	if _, err, _ := call.outcome(); err != nil {
		y.s.Failf(ruleReturns, "n1 is connected to a majority, without a rival, but its call of Propose returned %s, want nil", errorText(err))
	}
}

// higher is a ballot, if there is one, so many rounds later.
func higher(b Ballot, rounds int) Ballot {
	if b != (Ballot{}) {
		b.Round += rounds
	}
	return b
}

// promises are the reports of the acceptors that have promised a ballot, by acceptor. One that was asked again may have made several.
type promises map[labrpc.NodeID][]AcceptorState

// mayPropose checks rule 22 for a node that runs the student's code. The test does not know which majority of promises the node has used: it may
// be any. If no majority has promised, another rule is broken. The caller holds y.mu.
func (y *paxosCluster) mayPropose(id labrpc.NodeID, r AcceptRequest) *labtest.Violation {
	if y.nodes[id] == nil {
		return nil
	}
	own, promised := y.own[id][r.Value], y.promises[r.Ballot]
	switch {
	case !y.majorityReports(id, promised, Ballot{Round: math.MaxInt}):
		return nil
	case own && y.majorityReports(id, promised, Ballot{}):
		return nil
	}
	for _, reports := range promised {
		for _, st := range reports {
			if st.Accepted != (Ballot{}) && st.Value == r.Value && y.majorityReports(id, promised, st.Accepted) {
				return nil
			}
		}
	}
	for b, who := range y.accepted { // a node that asks its own acceptor without a message
		if promised[id] == nil && who[id] && y.values[b] == r.Value && y.majorityReports(id, promised, b) {
			return nil
		}
	}
	want := "the value of the highest ballot that its majority reports"
	if !own {
		want += ", or its own value if its majority reports none"
	}
	v := violation(ruleProposes, "%v proposes the value %v in ballot %v, want %s", id, r.Value, r.Ballot, want)
	for _, from := range slices.Sorted(maps.Keys(promised)) {
		v.Seen = append(v.Seen, fmt.Sprintf("%v has promised ballot %v, and has accepted %v", from, r.Ballot, accepted(promised[from][0])))
	}
	return v
}

// majorityReports tells whether a majority has promised, of which no acceptor reports a ballot higher than this one. If the node has asked its own
// acceptor without a message, that acceptor counts, whatever it has accepted. The caller holds y.mu.
func (y *paxosCluster) majorityReports(id labrpc.NodeID, promised promises, highest Ballot) bool {
	n := 0
	for _, reports := range promised {
		if slices.ContainsFunc(reports, func(st AcceptorState) bool { return st.Accepted.Compare(highest) <= 0 }) {
			n++
		}
	}
	if promised[id] == nil {
		n++
	}
	return n > len(y.s.Net.Nodes())/2
}
