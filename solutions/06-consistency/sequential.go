package consistency

import "distlabs/labrpc"

// read replies with this server's own state, as soon as that is not older than the
// index. It asks no other server, so the value may be old.
func (s *Server) read(from labrpc.NodeID, req ReadRequest) ReadReply {
	m, ok := s.valueAt(req.Index, req.Key)
	return ReadReply{Done: ok, Value: m.value, Index: m.index}
}
