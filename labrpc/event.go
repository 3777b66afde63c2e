package labrpc

import "time"

// EventKind says what an [Event] tells of.
type EventKind string

// The kinds of event. "The message" is the one that Event.Msg numbers.
const (
	EventSent       EventKind = "sent"       // Node put the message on the wire
	EventDelivered  EventKind = "delivered"  // Node received the message, or a copy of it
	EventLost       EventKind = "lost"       // a copy of the message came to nothing, for Reason
	EventDuplicated EventKind = "duplicated" // the network made one more copy of the message
	EventHeld       EventKind = "held"       // a Hold stopped the message
	EventReleased   EventKind = "released"   // the Hold let it go again
	EventAltered    EventKind = "altered"    // an Intercept changed the message or forged it
	EventStarted    EventKind = "started"    // an incarnation of Node began
	EventCrashed    EventKind = "crashed"    // it lost its memory; Reason tells where, if at a disk write
	EventStopped    EventKind = "stopped"    // Node is down forever
	EventPaused     EventKind = "paused"     // Node stands still, Value says for how long
	EventResumed    EventKind = "resumed"    // Node goes on
	EventCut        EventKind = "cut"        // the one-way link From→To carries nothing
	EventHealed     EventKind = "healed"     // the one-way link From→To carries messages again
	EventNoted      EventKind = "noted"      // Node.Note: Name has Value from now on
	EventLogged     EventKind = "logged"     // Node.Logf: Value
	EventWrote      EventKind = "wrote"      // Node wrote (or deleted: Value "deleted") the disk record Name
	EventClock      EventKind = "clock"      // Node's wall clock was set: Value
	EventMarked     EventKind = "marked"     // Network.Mark: the test's own remark, Value
)

// MessageKind tells the three kinds of message apart.
type MessageKind string

// The kinds of message.
const (
	OneWay  MessageKind = "message" // Node.Send
	Request MessageKind = "request" // Call, on its way to the handler
	Reply   MessageKind = "reply"   // Call, on its way back
)

// Event is one step of a run, as an observer sees it ([Options.Observe]).
// In virtual time the same seed gives the same events in the same order.
type Event struct {
	Seq  uint64        // place in the run, from 1
	At   time.Duration // since the network was made
	Kind EventKind
	Node NodeID // where it happened; 0 for a link or the network
	Inc  int    // which incarnation of Node, from 1; 0 if Node is 0

	// Of the message, for the kinds that speak of one.
	Msg     uint64 // the message's number in the run, from 1
	Copy    int    // which copy was delivered or lost: 0 the original, 1 a duplicate
	From    NodeID // also for EventCut and EventHealed
	To      NodeID
	Method  string
	Message MessageKind
	Number  uint64 // its number on its link, among those of its method and kind, from 1: what its fate depends on
	ReplyTo uint64 // of a reply: the Msg of its request
	Body    any    // the value sent; read it, never change it
	Source  string // of EventSent: folder/file:line of the student's call, "" for a reply

	Reason string // of EventLost and EventCrashed: "loss", "cut", "receiver down", …
	Name   string // of EventNoted and EventWrote
	Value  string
}
