// Package detector finds out which nodes have crashed.
//
// All that a crashed node has to say is nothing, and so has a slow one. What a
// detector can promise depends on what it may assume about time: the README
// says what that is, part by part.
package detector

import "distlabs/labrpc"

// A Change is a change of a detector's mind about one peer.
type Change struct {
	Peer      labrpc.NodeID
	Suspected bool // true: the peer is taken for crashed from now on; false: no longer
}
