package consistency

import "distlabs/labrpc"

// read replies with this server's own state, as soon as that is not older than the
// request's index. After 3s at the latest it replies that it is not Done. It asks
// no other server.
func (s *Server) read(from labrpc.NodeID, req ReadRequest) ReadReply {
	// TODO(6B): wait, and reply.
	return ReadReply{}
}
