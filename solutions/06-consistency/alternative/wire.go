package consistency

import "distlabs/labrpc"

// PutRequest is the argument of "Put", which the leader serves. You may add
// fields to this and to every type below; zero must be a safe value of each.
type PutRequest struct {
	Key, Value string
}

// PutReply answers a PutRequest. With neither Done nor Refused, nobody knows: the
// key may have been written, or may be later.
type PutReply struct {
	Done    bool // the key is written
	Refused bool // the key is not written and never will be, by this request
	Index   int  // if done: the place of the write in the log

	Leader labrpc.NodeID // if refused: whom to ask instead, 0 if not known
}

// GetRequest is the argument of "LogGet", which the leader serves, and of "Get",
// which every server does.
type GetRequest struct {
	Key string
}

// GetReply answers a GetRequest.
type GetReply struct {
	Done   bool
	Value  string        // if done; "" if nobody has written the key
	Leader labrpc.NodeID // if not done: whom to ask instead, 0 if not known
}

// ReadRequest is the argument of "Read", which every server serves.
type ReadRequest struct {
	Key   string
	Index int // the answer must not be older than this place in the log
}

// ReadReply answers a ReadRequest.
type ReadReply struct {
	Done  bool
	Value string // if done; "" if nobody has written the key
	Index int    // if done: the answer is as of this place in the log, or a later one
}
