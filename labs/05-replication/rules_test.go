package replication_test

import "time"

// The rules of README.md, as the failures cite them. The numbers and the words are those of the README.
const (
	ruleElection     = "Election Safety: each term has at most one leader, elected by a majority (rule 1; Raft figure 3, §5.2)"
	ruleTerm         = "a server that sees a higher term in a request or a reply becomes a follower in it (rule 1; Raft §5.1)"
	ruleAppendOnly   = "Leader Append-Only: a leader never changes or removes entries of its own log (rule 2; Raft figure 3, §5.3)"
	ruleMatching     = "Log Matching: logs that agree on the index and term of one entry are identical up to it (rule 3; Raft figure 3, §5.3)"
	ruleAppend       = "a server accepts AppendEntries exactly if the term is not older than its own and its log has the previous entry; it then removes an entry that conflicts, and all after it (rule 3; Raft figure 2, §5.3)"
	ruleCompleteness = "Leader Completeness: a leader has every entry committed in its term or earlier (rule 4; Raft figure 3, §5.4)"
	ruleVote         = "a server grants one vote per term, and only to a candidate whose log is at least as up-to-date as its own (rules 1 and 4; Raft §5.2, §5.4.1)"
	ruleStateMachine = "State Machine Safety: no two servers apply different commands at the same index (rule 5; Raft figure 3, §5.4.3)"

	ruleQuorum   = "an entry is committed only when a majority of the servers has stored it (rule 6; Raft §5.3)"
	ruleCounting = "a leader counts only acknowledgements of requests of its current term, for entries of its current term (rules 4 and 6; Raft §5.4.2)"
	ruleKeepsAck = "an acknowledgement that a leader has counted stays counted (rule 6; Raft §5.3)"
	ruleCommit   = "a follower commits the smaller of the request's Commit and the last index that the request has shown to be the same (rule 6; Raft figure 2)"
	ruleApply    = "every committed entry is applied exactly once, in index order, and nothing else is (rule 7; Raft §5.3)"
	ruleRestart  = "after a restart a server applies its snapshot or entry 1 first (rule 7; Raft §7)"
	ruleNoLock   = "apply is called by one goroutine, one call after the other, and with no lock held (rule 7)"
	rulePromise  = "a server never forgets what it has told others: its term, its vote, the entries it acknowledged (rule 8; Raft §5.6)"
	ruleStatus   = "Status describes one instant: LastApplied ≤ CommitIndex ≤ last index, and nothing goes backwards (rule 9)"

	ruleNames    = "Leader is the leader of Term, or 0; a candidate does not name itself (rule 9)"
	ruleRestored = "what a server has on its disk is a state that it was in: the terms of its entries never decrease, and none exceeds Term (rules 8 and 9)"

	ruleLeader   = "a connected majority has a leader that it knows within 5s (rule 10)"
	ruleStable   = "in a calm network no server starts an election while all servers are connected to the leader (rule 10)"
	ruleAgree    = "the leader of a connected majority applies a command within 500ms of Submit (rule 11)"
	ruleSubmit   = "a leader appends every command at the end of its log, and any other server rejects it (rule 11)"
	ruleCatchUp  = "a server that is connected to the leader has applied what is committed within 20s (rule 12)"
	ruleConverge = "20s after all servers are up in a calm network, all logs are identical and applied (rule 12)"
	ruleReply    = "the handlers of RequestVote, AppendEntries and InstallSnapshot reply at once (rule 13)"
	ruleBudget   = "the messages, bytes and requests per follower keep their cost limits (rule 14)"
	ruleSnapshot = "a snapshot replaces the entries up to its index; an outdated one changes nothing (rule 15; Raft §7, figure 13)"
	ruleFollows  = "InstallSnapshot of the leader of its term makes a server its follower, as AppendEntries does (rules 10 and 16; Raft §5.2)"
	ruleTimer    = "an election timer fires after 400ms to 800ms, and only the leader's requests, a granted vote and an election reset it (rules 10 and 16; Raft §5.2)"
	ruleRandom   = "each timeout of the election timer is drawn at random again (rules 10 and 16; Raft §5.2, §9.3)"

	ruleLinearizable = "each command takes effect at one instant between its call and its return (linearizability, rule 20)"
	ruleOnce         = "a command that returns nil takes effect exactly once, any other at most once, however often it is sent (rule 21)"
	ruleReturns      = "a command returns within 20s while its client reaches the store (rule 22)"
	ruleContext      = "a call returns within 100ms of the end of its context, or of a crash of its client's node (rule 22)"
	ruleRevisions    = "each change gets the next revision: 1, 2, 3, … (rule 23)"
	ruleChecked      = "Create and CompareAndSet are atomic, and change nothing if they return an error (rule 24)"
	ruleWatch        = "a watch reports every change after its revision, in order, once, within 10s (rule 25)"
	ruleCompacted    = "a watch that starts more than ServerOptions.History changes behind returns ErrCompacted (rule 26)"
	ruleSession      = "a session lasts while its client reaches the store, and expires TTL to TTL + 10s after the last request received (rule 27)"
	ruleClose        = "Close returns nil if the session has ended already, and from 10s later on the client sends nothing by itself (rule 28)"
	ruleExpired      = "the commands of a client whose session has ended return ErrExpired, whatever the key (rule 28)"
	ruleOwned        = "a session's keys are deleted together with the session, and no other keys are (rule 28)"
	ruleWholeStore   = "a snapshot holds the whole state of the store: keys, sessions and changes (rule 29)"
	ruleSnapshotDue  = "a store makes a snapshot after at most 3 times SnapshotEvery entries (rule 29)"

	noRule = "none: this is a mistake in the test, not in your code"
)

const (
	electionBound = 5 * time.Second        // rule 10
	agreeBound    = 500 * time.Millisecond // rule 11
	healBound     = 20 * time.Second       // rule 12: for a cluster to be one again after anything
	replyBound    = 100 * time.Millisecond // rule 13

	commandLimit = 20 * time.Second // rule 22
	watchLimit   = 10 * time.Second // rule 25
	sessionSlack = 10 * time.Second // rule 27
)
