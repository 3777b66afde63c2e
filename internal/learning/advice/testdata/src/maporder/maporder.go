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
	for to, text := range s.waiting { // want `messages are sent in the order of a map`
		if text == "" {
			s.ask(to) // whichever comes first
			return
		}
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
	for _, text := range s.waiting {
		if text == "" { // one is enough, whichever it is
			s.ask(1)
			break
		}
	}
	longest := 0
	for _, text := range s.waiting {
		longest = max(longest, len(text))
	}
}
