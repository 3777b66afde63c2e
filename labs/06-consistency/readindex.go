package consistency

import "distlabs/labrpc"

// get reads a key, without an entry in the log, at every server. It replies within
// 3s, and is linearizable, like logGet.
func (s *Server) get(from labrpc.NodeID, req GetRequest) GetReply {
	// TODO(6A): find an index at least as high as that of every write that has already returned,
	// and wait until this server has applied the log up to there.
	return GetReply{}
}
