package consistency

import "distlabs/labrpc"

// read answers with what this server has, as soon as that is not older than the
// index. It asks nobody, so others may know better: what it tells was true once.
func (s *Server) read(from labrpc.NodeID, req ReadRequest) ReadReply {
	m, ok := s.valueAt(req.Index, req.Key)
	return ReadReply{Done: ok, Value: m.value, Index: m.index}
}
