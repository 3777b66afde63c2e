package labtest

import (
	"encoding/json"
	"fmt"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// What a test itself sees of a run: it stands in the record among the network's events, and the page draws it. These
// methods cost nothing while nobody records; they decide nothing. They may be called by several goroutines at once.

// Called records that the client at a node begins an operation: id is its name among the node's operations, what
// its method and arguments. The page draws a bar from here to Returned.
func (s *Sim) Called(client labrpc.NodeID, id string, what any) {
	s.saw(trace.KindCalled, client, id, what)
}

// Returned records that an operation has ended, with its result.
func (s *Sim) Returned(client labrpc.NodeID, id string, result any) {
	s.saw(trace.KindReturned, client, id, result)
}

// Delivered records that a node delivered a value to its application.
func (s *Sim) Delivered(node labrpc.NodeID, value any) {
	s.saw(trace.KindTold, node, "", value)
}

// Seen records what the test saw at a node: name is value from now on. The page's table of states shows it.
func (s *Sim) Seen(node labrpc.NodeID, name string, value any) {
	s.saw(trace.KindSeen, node, name, value)
}

// A Log is what a test sees of a server's replicated log.
type Log struct {
	Snapshot     int   `json:"snapshot"` // the last index in the snapshot; 0 if there is none
	SnapshotTerm int   `json:"snapshotTerm"`
	First        int   `json:"first"` // index of the first of Terms
	Terms        []int `json:"terms"`
	Committed    int   `json:"committed"`
	Applied      int   `json:"applied"`
}

// shownEntries is how many entries of a log the record keeps: the page shows the last ones.
const shownEntries = 24

// Recording reports whether the run is recorded: a test may save the work of describing what nothing keeps.
func (s *Sim) Recording() bool { return s.recorder != nil }

// SeenLog records the state of a server's log. The page draws it as a strip.
func (s *Sim) SeenLog(server labrpc.NodeID, log Log) {
	if s.recorder == nil {
		return
	}
	if left := len(log.Terms) - shownEntries; left > 0 {
		log.First, log.Terms = log.First+left, log.Terms[left:]
	}
	if log.Terms == nil {
		log.Terms = []int{}
	}
	text, err := json.Marshal(log)
	if err != nil {
		panic(err) // numbers: it cannot fail
	}
	s.saw(trace.KindSeen, server, "log", string(text))
}

func (s *Sim) saw(kind labrpc.EventKind, node labrpc.NodeID, name string, value any) {
	if s.recorder == nil || s.stop.Load() || s.ending.Load() {
		return
	}
	s.recorder.Add(labrpc.Event{Kind: kind, Node: node, Name: name, Value: fmt.Sprint(value), At: s.now()})
}
