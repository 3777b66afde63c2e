package clock

import (
	"time"

	"distlabs/labrpc"
)

type Stamp struct {
	At    time.Time
	Round time.Duration
}

type record struct{ Granted time.Time }

type Grant struct{ Until time.Time }

type server struct {
	node     *labrpc.Node
	deadline time.Time
}

func (s *server) wrong() {
	labrpc.Handle(s.node, "lease", func(labrpc.NodeID, Stamp) Grant {
		return Grant{Until: time.Now().Add(time.Second)} // want `a reading of time.Now leaves this node, in a message or a record`
	})
	labrpc.Send(s.node, 2, "stamp", Stamp{At: time.Now()}) // want `leaves this node, in a message or a record`
	labrpc.Send(s.node, 2, "now", time.Now())              // want `leaves this node`
	now := time.Now()
	s.node.Disk().Save("granted", now)                 // want `leaves this node`
	_ = now.UnixNano()                                 // want `is turned into a number or text`
	s.node.Disk().Save("record", record{Granted: now}) // want `in a message or a record`
	var g Grant
	g.Until = now.Add(time.Minute) // want `leaves this node, in a message or a record`
	_ = g
	_ = time.Now().Format(time.RFC3339) // want `is turned into a number or text`
}

func (s *server) right() {
	began := time.Now()
	s.deadline = began.Add(time.Second)
	labrpc.Send(s.node, 2, "stamp", Stamp{At: s.node.Clock().Now(), Round: time.Since(began)})
	wall := s.node.Clock().Now()
	s.node.Disk().Save("granted", wall)
	s.node.Disk().Save("record", record{Granted: wall})
	_ = wall.UnixNano()
	if time.Now().After(s.deadline) {
		return
	}
}
