package consistency

import "distlabs/labrpc"

// PutRequest is the argument of "Put", which the leader serves. You may add
// fields to this and to every type below; zero must be a safe value of each.
type PutRequest struct {
	Key, Value string
}

// PutReply answers a PutRequest. With neither Done nor Refused, the outcome is unknown: the
// key may have been written already, or may still be written.
type PutReply struct {
	Done    bool // the key is written
	Refused bool // the key is not written and never will be, by this request
	Index   int  // if done: the index of the write's entry in the log

	Leader labrpc.NodeID // if refused: the server to ask instead, 0 if not known
}

// GetRequest is the argument of "LogGet", which the leader serves, and of "Get",
// which every server serves.
type GetRequest struct {
	Key string
}

// GetReply answers a GetRequest.
type GetReply struct {
	Done   bool
	Value  string        // if done; "" if no client has written the key
	Leader labrpc.NodeID // if not done: the server to ask instead, 0 if not known
}

// ReadRequest is the argument of "Read", which every server serves.
type ReadRequest struct {
	Key   string
	Index int // the reply must not be older than this index of the log
}

// ReadReply answers a ReadRequest.
type ReadReply struct {
	Done  bool
	Value string // if done; "" if no client has written the key
	Index int    // if done: the index of the state that the reply is from, or a lower one that is not below the request's
}
