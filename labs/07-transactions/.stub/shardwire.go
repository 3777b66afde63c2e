package transactions

import (
	"errors"
	"sort"
	"time"

	"distlabs/labrpc"
)

// ErrOutcomeUnknown: the transaction may have been committed, or may still be, or not.
var ErrOutcomeUnknown = errors.New("transactions: the outcome is unknown")

// A Layout describes a sharded store. All its servers and clients have the same layout.
type Layout struct {
	Groups [][]labrpc.NodeID // the servers of each group
	Splits []string          // ascending, one less than groups: group i holds the keys k with Splits[i-1] <= k < Splits[i]

	Lease         time.Duration // how long a transaction may make others wait after the last message of its client
	SnapshotEvery int           // after how many entries of its log a server makes a snapshot; 0 means 500
}

// Group returns the index of the group that holds a key.
func (l Layout) Group(key string) int {
	return sort.Search(len(l.Splits), func(i int) bool { return key < l.Splits[i] })
}

// Member returns the index of the group to which a server belongs; -1 if the node is no server.
func (l Layout) Member(id labrpc.NodeID) int {
	for i, servers := range l.Groups {
		for _, server := range servers {
			if server == id {
				return i
			}
		}
	}
	return -1
}
