package replication_test

import "time"

// The tests compare with these literals, and not with the constants of the package under test: a submission can declare
// its own.
const (
	roleFollower  = 0
	roleCandidate = 1
	roleLeader    = 2

	heartbeat       = 100 * time.Millisecond
	electionTimeout = 400 * time.Millisecond
)
