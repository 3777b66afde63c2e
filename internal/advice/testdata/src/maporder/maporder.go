package maporder

import (
	"maps"
	"slices"

	"distlabs/labrpc"
)

type server struct {
	node    *labrpc.Node
	waiting map[labrpc.NodeID]string
}

func (s *server) wrong() {
	for to, text := range s.waiting { // want `messages are sent in the order of a map`
		labrpc.Send(s.node, to, "text", text)
	}
	for to := range s.waiting { // want `messages are sent in the order of a map`
		go s.ask(to)
	}
}

func (s *server) ask(to labrpc.NodeID) {
	labrpc.Call[string](s.node.Context(), s.node, to, "ask", "who?")
}

func (s *server) right() {
	for _, to := range slices.Sorted(maps.Keys(s.waiting)) {
		labrpc.Send(s.node, to, "text", s.waiting[to])
	}
	for _, to := range s.node.Peers() {
		s.ask(to)
	}
	longest := 0
	for _, text := range s.waiting {
		longest = max(longest, len(text))
	}
}
