package transactions

import "distlabs/labrpc"

// A TxID names a transaction of 7C. No two transactions have the same ID, also not
// after a crash: the caller of Coordinator.Run sees to that.
type TxID string

// A Vote is a participant's answer to the question whether a transaction may commit.
type Vote int

// The votes.
const (
	VoteNo       Vote = iota // the participant has undone its work
	VoteYes                  // it can commit and it can abort, also after a crash
	VoteReadOnly             // it has changed nothing: both outcomes are the same to it
)

// An Outcome is the end of a transaction.
type Outcome int

// The outcomes.
const (
	Undecided Outcome = iota
	Committed
	Aborted
)

// A Branch is the part of a transaction that one participant does. The work may be empty.
type Branch struct {
	Participant labrpc.NodeID
	Work        string
}

// A Resource is the data that a participant guards. The tests supply it. Its changes are
// durable; its locks are in memory, and a crash releases them.
//
// Prepare may take long. The other methods return at once. Calls for different
// transactions may overlap.
type Resource interface {
	// Prepare takes the locks of the work, and votes. After VoteNo no lock is held. When it is called again for a transaction,
	// also after a crash, it votes the same.
	Prepare(tx TxID, work string) Vote
	// Restore takes the locks of a transaction in doubt again, after a crash.
	Restore(tx TxID, work string)
	// Commit makes the changes of the work durable, and releases its locks. A repeated call changes nothing.
	Commit(tx TxID, work string)
	// Abort releases the locks of the transaction. A repeated call changes nothing.
	Abort(tx TxID)
	// Release releases the locks of a transaction for which Prepare returned VoteReadOnly.
	Release(tx TxID)
}
