package trace

import "distlabs/labrpc"

// Kinds of step beside those of the network: what the test itself saw. A file that has one is of version 2.
const (
	KindCalled   labrpc.EventKind = "called"   // the client at Node began the operation Name: Value
	KindReturned labrpc.EventKind = "returned" // the operation Name of the client at Node ended with Value
	KindTold     labrpc.EventKind = "told"     // Node delivered Value to its application
	KindSeen     labrpc.EventKind = "seen"     // the test saw that Name is Value at Node
)

// ByTest reports whether the step is what the test saw, and nothing that the network knows of.
func (s *Step) ByTest() bool {
	switch s.Kind {
	case KindCalled, KindReturned, KindTold, KindSeen:
		return true
	}
	return false
}
