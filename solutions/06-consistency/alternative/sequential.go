package consistency

import "distlabs/labrpc"

// read answers with the version of the key that this server has. The answer is as old as that version: no later
// entry that this server has executed changes the key.
func (s *Server) read(_ labrpc.NodeID, req ReadRequest) ReadReply {
	if !s.until(func() bool { return s.applied >= req.Index }) {
		return ReadReply{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.state[req.Key]
	return ReadReply{Done: true, Value: v.Value, Index: v.Index}
}
