// Command election is one process of grade live 4C: a server of lab 04's Raft, which elects a leader and does no more. It is built with the files of the lab that are to run.
package main

import (
	"strconv"
	"time"

	"distlabs/labrpc"
	election "distlabs/labs/04-election"
	"distlabs/live/control"
	"distlabs/live/process"
)

// The lab's own tests have timeouts a third as long: these can be followed by eye.
const (
	heartbeat       = 150 * time.Millisecond
	electionTimeout = 450 * time.Millisecond
)

func main() { process.Main(start) }

func start(p *process.Process) (process.Service, error) {
	node := p.Network.Start(p.Server)
	raft := election.NewRaft(node, election.RaftOptions{Heartbeat: heartbeat, ElectionTimeout: electionTimeout})
	status := func() control.Report {
		st := raft.State()
		return control.Report{Status: &control.Status{Term: st.Term, Role: st.Role.String(), Leader: st.Leader, Lost: p.Carrier.Lost(), Problems: p.Network.Misuses()}, Cells: []control.Cell{
			{Name: "term", Value: strconv.Itoa(st.Term)}, {Name: "role", Value: st.Role.String()}, {Name: "leader", Value: leader(st.Leader)},
		}}
	}
	p.Reports.Say(status())
	return process.Service{Node: node, Status: status}, nil
}

func leader(id labrpc.NodeID) string {
	if id == 0 {
		return "–"
	}
	return id.String()
}
