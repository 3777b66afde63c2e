package consistency

import "distlabs/labrpc"

// read answers with what this server has, as soon as that is not older than the
// request's index; if it takes too long, after 3s at the latest, not at all. It asks
// no other server.
func (s *Server) read(from labrpc.NodeID, req ReadRequest) ReadReply {
	// TODO(6B): wait, and answer.
	return ReadReply{}
}
