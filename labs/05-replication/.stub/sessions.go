package replication

// expireSessions ends the sessions of clients that are silent, for as long as the
// node lives.
//
// The replicas must agree on when a session ended: before which command, and after
// which. No replica may go by its own clock alone.
func (s *Server) expireSessions() {
	// TODO(5D): find the silent ones.
}

// keepAlive makes the store hear of a client that has nothing else to say, until
// the client is closed or its node is down.
func (c *Client) keepAlive() {
	// TODO(5D): tell it.
}
