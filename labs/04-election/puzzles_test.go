package election_test

import (
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/04-election"
)

// What a person may try to bring about who plays the network of parts C and D ("grade play"). Every server keeps the rules; only the
// order of events, losses and crashes are the person's.

// electionPuzzles are those of part C.
func electionPuzzles(c *cluster) []labtest.Puzzle {
	type grant struct {
		term, boots int
		to          labrpc.NodeID
	}
	grants, remembered := map[labrpc.NodeID]grant{}, false
	c.s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		reply, ok := m.Body.(VoteReply)
		if !ok || m.Method != "RequestVote" || c.preVotes.Has(*m) {
			return labrpc.Pass
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if last := grants[m.From]; reply.Granted {
			grants[m.From] = grant{reply.Term, c.boots[m.From], m.To}
		} else if last.term == reply.Term && last.to != m.To && last.boots < c.boots[m.From] {
			remembered = true
		}
		return labrpc.Pass
	})
	return []labtest.Puzzle{
		{
			ID: "split-vote", Title: "A split vote",
			Goal: "Bring about a split vote: in one term every server has voted, and no candidate has the votes of a majority (2 of 3).",
			Hints: []string{
				"A server becomes a candidate when its election timer fires. A candidate votes for itself.",
				"A server that receives a RequestVote votes for its sender, unless it has voted in this term. So do not deliver one.",
				"Let time pass until all three servers are candidates in one term.",
			},
			Reached:  c.isSplit,
			Solution: "w.w.w",
		},
		{
			ID: "two-leaders", Title: "Two leaders at one time",
			Goal: "Bring about a time at which two servers are leaders, in different terms.",
			Hints: []string{
				"First elect one leader: a candidate needs its own vote and one other.",
				"The leader's AppendEntries would keep the others from starting an election. A message that you do not deliver keeps nobody from anything.",
				"Let time pass until another server has a higher term, and elect it with the vote of the third server. Do not deliver anything to the first leader.",
			},
			Reached:  c.hasTwoLeaders,
			Solution: "w.d1.w.w.d4.d5.d1",
		},
		{
			ID: "memory", Title: "A vote survives a crash",
			Goal: "Have a server vote for another server, crash, start again, and refuse its vote to the third server in the same term.",
			Hints: []string{
				"Two servers must be candidates in one term. Let time pass without delivering their requests.",
				"Deliver the request of one candidate to the server that is not a candidate, and restart that server when it has sent its reply.",
				"Then deliver the request of the other candidate to it. The vote is on the disk.",
			},
			Reached:  func() bool { return remembered },
			Solution: "w.d1.c2.w.d2",
		},
		{
			ID: "twins", Title: "Two leaders in one term",
			Goal: "Bring about a time at which two servers are leaders in the same term.",
			Hints: []string{
				"Each leader needs the votes of two of the three servers. How many servers would have voted twice?",
			},
			Rules: []string{
				"A server's term never decreases (rule 11)",
				"A server votes at most once per term, and a crash changes nothing (rule 10)",
				"A leader sends AppendEntries to every peer at every heartbeat (rule 15)",
				"Each election timeout is a new random one (rule 14)",
			},
			Forbid: 1,
		},
	}
}

// isSplit reports whether there is a term in which every server has voted and no candidate has a majority.
func (c *cluster) isSplit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, votes := range c.votes {
		count, most := map[labrpc.NodeID]int{}, 0
		for _, v := range votes {
			count[v.for_]++
			most = max(most, count[v.for_])
		}
		if len(votes) == c.servers && most <= c.servers/2 {
			return true
		}
	}
	return false
}

// hasTwoLeaders reports whether two servers that run are leaders now.
func (c *cluster) hasTwoLeaders() bool {
	leaders := 0
	for _, id := range c.up() {
		if c.state(id).Role == Leader {
			leaders++
		}
	}
	return leaders > 1
}

// paxosPuzzles are those of part D. n1 proposes the value n1, and n2 the value n2; one that starts again proposes n3.
func paxosPuzzles(y *paxosCluster) []labtest.Puzzle {
	asked := map[labrpc.NodeID]map[Ballot]bool{} // the ballots of each node that got as far as an Accept
	adopted := false
	y.s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if b, ok := m.Body.(AcceptRequest); ok {
			if asked[m.From] == nil {
				asked[m.From] = map[Ballot]bool{}
			}
			asked[m.From][b.Ballot] = true
			adopted = adopted || b.Value != m.From && b.Value != 3
		}
		return labrpc.Pass
	})
	return []labtest.Puzzle{
		{
			ID: "adopt", Title: "A proposer gives up its value",
			Goal: "Have n1 ask the acceptors to accept the value n2, or n2 to accept the value n1.",
			Hints: []string{
				"A proposer proposes another's value when its majority reports that an acceptor has accepted it.",
				"Bring one proposal so far that one acceptor has accepted it. Then bring the other proposer, with a higher ballot, to a promise of that acceptor.",
			},
			Reached:  func() bool { return adopted },
			Solution: "d1.d5.d0.d4.d4.d1.d6.d5.d2.d4",
		},
		{
			ID: "minority", Title: "Accepted, and never chosen",
			Goal: "Have one acceptor accept a value, and have another value chosen.",
			Hints: []string{
				"A value that only one acceptor has accepted is not chosen, and a proposer need not see it: its majority may be the other two.",
				"A proposer is an acceptor too. Lose its messages to the others, and let it accept its own value.",
				"Then bring the other proposer and the third node to promise and to accept a higher ballot.",
			},
			Reached:  y.hasLostValue,
			Solution: "d2.d4.d3.d4.d0.d0.d2.d1.d1.d5.d3.d3",
		},
		{
			ID: "outbid", Title: "Two proposers outbid each other",
			Goal: "Have n1 and n2 outbid each other three times: each asks the acceptors to accept in three ballots, and no value is chosen.",
			Hints: []string{
				"An acceptor that has promised a higher ballot refuses to accept in a lower one. Then the proposer begins again, with a higher ballot.",
				"Bring n1 the promises of a majority: it sends its Accepts. Before they arrive, deliver the Prepares of n2.",
				"Then deliver the Accepts of n1, which are refused, and let time pass: n1 begins again. Now do to n2 what you have done to n1.",
			},
			Reached:  func() bool { return len(asked[1]) >= 3 && len(asked[2]) >= 3 && y.isOpen() },
			Solution: "d0.d0.d4.d4.d1.d1.d5.d5.d2.d2.d6.d6.w.d6.d6.d7.d7.d3.d3.d8.d8.w.d8.d8.d9.d9.d5.d5.d10.d10.w.w.d13.d13.d14.d14.d10.d10.d15.d15",
		},
	}
}

// isOpen reports whether no value is chosen.
func (y *paxosCluster) isOpen() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.chosen) == 0
}

// hasLostValue reports whether a value that was accepted is not the one that was chosen.
func (y *paxosCluster) hasLostValue() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.chosen) == 0 {
		return false
	}
	for ballot, who := range y.accepted {
		if _, chosen := y.chosen[y.values[ballot]]; !chosen && len(who) > 0 {
			return true
		}
	}
	return false
}
