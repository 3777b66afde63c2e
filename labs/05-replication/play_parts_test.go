package replication_test

import (
	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// statuses are those of the servers that run.
func (c *raftCluster) statuses() map[labrpc.NodeID]Status {
	all := map[labrpc.NodeID]Status{}
	for _, id := range c.servers {
		if c.s.Net.Up(id) {
			all[id] = c.rafts[id].Status()
		}
	}
	return all
}

// some reports whether a server that runs has a status as f wants it.
func (c *raftCluster) some(f func(id labrpc.NodeID, st Status) bool) bool {
	for id, st := range c.statuses() {
		if f(id, st) {
			return true
		}
	}
	return false
}

// agreementPuzzles are the puzzles of part A.
func agreementPuzzles(c *raftCluster) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "majority", Title: "Two of three",
			Goal: "Have a leader apply a command that one of the three servers has not received.",
			Hints: []string{
				"Elect a leader: let time pass until a server is a candidate, and deliver its request and the reply of one voter.",
				"Submit a command to the leader, and deliver its AppendEntries to one follower. Do not forget the reply.",
			},
			Solution: "w.d0.d1.s2.d1.d2.d2.d2",
			Reached: func() bool {
				without := func(_ labrpc.NodeID, st Status) bool { return len(st.Log) == 0 }
				return len(c.statuses()) == 3 && c.some(without) &&
					c.some(func(_ labrpc.NodeID, st Status) bool { return st.Role == roleLeader && st.LastApplied > 0 })
			},
		},
		{
			ID: "unaware", Title: "It has it, and does not know",
			Goal: "Have all three servers store a command that only the leader knows to be committed.",
			Hints: []string{
				"A follower learns the commit index from the next AppendEntries. So send the command to both followers before the leader hears a reply.",
			},
			Solution: "w.d0.d1.s2.d1.d1.d1.d1.d1.d1.d1",
			Reached: func() bool {
				know := 0
				for _, st := range c.statuses() {
					if len(st.Log) == 0 {
						return false
					}
					if st.CommitIndex > 0 {
						know++
					}
				}
				return len(c.statuses()) == 3 && know == 1
			},
		},
		{
			ID: "together", Title: "Three at once",
			Goal: "Have a follower store three commands that arrive in one message.",
			Hints: []string{
				"A leader need not send each command by itself. What does it do with those that come while a request is under way?",
				"Submit three commands to the leader before you deliver anything. Then deliver a request and its reply, and look at the next request.",
			},
			Solution: "w.d0.d1.s2.s2.s2.d1.d2.d2",
			Reached:  c.grows(3),
		},
		{
			ID: "two-truths", Title: "Two leaders, two logs",
			Goal: "Have two servers that both are leader, in different terms, each with a command of its own at index 1.",
			Hints: []string{
				"A leader of which nobody hears does not know that there is another one.",
				"Submit a command to the first leader, and deliver nothing of what it sends. Let time pass until another server is a candidate, and let it win.",
			},
			Solution: "w.d0.d1.d0.s2.w.w.w.w.w.w.w.d15.d16.s1",
			Reached: func() bool {
				terms := map[int]bool{}
				for _, st := range c.statuses() {
					if st.Role == roleLeader && len(st.Log) > 0 {
						terms[st.Log[0].Term] = true
					}
				}
				return len(terms) == 2
			},
		},
	}
}

// grows reports whether a server's log has become so much longer between two instants at which the person chose.
func (c *raftCluster) grows(n int) func() bool {
	before := map[labrpc.NodeID]int{}
	return func() (grown bool) {
		for id, st := range c.statuses() {
			now := lastIndexOf(st)
			grown = grown || st.Role != roleLeader && now-before[id] >= n
			before[id] = now
		}
		return grown
	}
}

// conflictPuzzles are the puzzles of part B.
func conflictPuzzles(c *raftCluster) []labtest.Puzzle {
	m := &logMemory{c: c, held: map[labrpc.NodeID]map[logPlace]bool{}, majority: map[logPlace]bool{}}
	catchUp := c.grows(2)
	return []labtest.Puzzle{
		{
			ID: "denied", Title: "Too old to lead",
			Goal: "Have a candidate lose because its log is too old: a server whose log is newer denies it the vote of the candidate's term.",
			Hints: []string{
				"The candidate must lack an entry that the voter has.",
				"Elect a leader, submit a command, and deliver it to one follower only. Then let time pass until the other follower is a candidate, and deliver its request to the server with the entry.",
			},
			Solution: "w.d0.d1.d0.s2.d0.d2.d2.w.w.w.w.w.w.w.d15",
			Reached:  c.denied,
		},
		{
			ID: "replaced", Title: "An entry that vanishes",
			Goal: "Have a leader append an entry that another leader's entry replaces.",
			Hints: []string{
				"An entry that only the leader has is not committed. What happens if that leader is cut off?",
				"Cut off the leader and submit a command to it. Elect another leader with the third server, and submit a command there.",
				"Reconnect the old leader, and deliver what the new leader sends to it.",
			},
			Reached: func() bool {
				replaced, _ := m.look()
				return replaced
			},
			Solution: "w.d0.d1.s2.w.w.d5.d6.w.w.w.w.w.w.w.d18.d19.s1.d20.d20.d20",
		},
		{
			ID: "catch-up", Title: "Left behind",
			Goal: "Have a follower that was cut off while two commands were committed receive both in one message.",
			Hints: []string{
				"Deliver AppendEntries to one follower only, until the leader has committed two commands.",
				"The other follower refuses what does not fit to the end of its log, or has not been sent it yet. Deliver what the leader sends to it, and its replies.",
			},
			Solution: "w.d0.d1.s2.s2.d1.d2.d2.d2.d1.d1.d1",
			Reached: func() bool {
				committed := c.some(func(_ labrpc.NodeID, st Status) bool { return st.CommitIndex >= 2 })
				return catchUp() && committed
			},
		},
	}
}

// denied reports whether a candidate waits for the vote of a server in its term that has voted for no one and has a newer log.
func (c *raftCluster) denied() bool {
	return c.some(func(id labrpc.NodeID, candidate Status) bool {
		return candidate.Role == roleCandidate && c.some(func(voter labrpc.NodeID, st Status) bool {
			return voter != id && st.Term == candidate.Term && st.VotedFor == 0 && lastIndexOf(st) > lastIndexOf(candidate)
		})
	})
}

// snapshotPuzzles are the puzzles of part E.
func snapshotPuzzles(c *raftCluster) []labtest.Puzzle {
	return []labtest.Puzzle{
		{
			ID: "compacted", Title: "Two entries, one snapshot",
			Goal: "Have a leader replace entries of its log by a snapshot. The application takes one after every two entries that it has applied, which takes it 20 µs: let time pass.",
			Hints: []string{
				"Elect a leader, submit two commands, and deliver to one follower until both are committed.",
			},
			Solution: "w.d0.d1.s2.s2.d1.d2.d2.d2.w",
			Reached: func() bool {
				return c.some(func(_ labrpc.NodeID, st Status) bool { return st.Role == roleLeader && st.SnapshotIndex > 0 })
			},
		},
		{
			ID: "sent", Title: "The log is gone",
			Goal: "Have a follower install a snapshot that the leader sends, because the leader no longer has the entries that the follower lacks.",
			Hints: []string{
				"Reach the goal of the puzzle before with one follower, and deliver nothing to the other.",
				"Then deliver to the other follower. The leader finds out what it lacks from its reply.",
			},
			Solution: "w.d0.d1.s2.s2.d1.d2.d2.d2.w.d3",
			Reached: func() bool {
				return c.some(func(id labrpc.NodeID, st Status) bool {
					return st.SnapshotIndex > 0 && c.s.Net.Stats(labrpc.Match{To: id, Method: "InstallSnapshot", Kind: labrpc.Request}).Delivered > 0
				})
			},
		},
		{
			ID: "restart", Title: "From the disk alone",
			Goal: "Have a server crash after it has taken a snapshot, start again, and know the state of the snapshot before a message of another server has reached it.",
			Hints: []string{
				"Take a snapshot as before, and restart that server.",
			},
			Solution: "w.d0.d1.s2.s2.d1.d2.d2.d2.w.c3",
			Reached:  c.restored(),
		},
		{
			ID: "uncommitted", Title: "A snapshot of what is not sure",
			Goal: "Have a server take a snapshot that contains an entry which another leader's entry replaces afterwards.",
			Hints: []string{
				"When does the application take a snapshot, and of which entries?",
			},
			Rules: []string{
				"A server that has a snapshot refuses no AppendEntries",
				"The application applies an entry, and so takes a snapshot of it, only when the entry is committed",
				"A leader sends a snapshot to a follower that lacks entries which the leader no longer has",
				"SnapshotIndex never decreases, not even in a crash",
			},
			Forbid: 1,
		},
	}
}

// restored reports whether a server in a later incarnation has applied its snapshot before it got a message.
func (c *raftCluster) restored() func() bool {
	arrived := map[labrpc.NodeID]int{}
	inc := map[labrpc.NodeID]int{}
	return func() bool {
		return c.some(func(id labrpc.NodeID, st Status) bool {
			now := c.s.Net.Stats(labrpc.Match{To: id}).Delivered
			if n := c.s.Net.Incarnation(id); n != inc[id] {
				inc[id], arrived[id] = n, now
			}
			return inc[id] > 1 && st.SnapshotIndex > 0 && st.LastApplied >= st.SnapshotIndex && now == arrived[id]
		})
	}
}
