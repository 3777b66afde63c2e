// Package explore searches the schedules of a network: what arrives next, what is lost or copied, when time passes, who
// crashes. It knows nothing of networks: a harness offers choices at each quiescent point ([Choice]), a [Strategy] picks one,
// and the same picks make the same run, so that a search can go back by starting again (stateless search, Godefroid 1997).
//
// Four strategies: [NewRandom], a random walk; [NewPCT], probabilistic concurrency testing; [NewDepthFirst], all schedules up to
// a depth, one of each class of those that differ only in the order of steps that commute, and by turns the long ones with few detours; [NewByState],
// one of those that lead to states which look alike.
package explore

import (
	"fmt"
	"hash/fnv"

	"distlabs/labrpc"
)

// Act is the sort of a step.
type Act byte

// The sorts of step, by the letters that a written schedule has for them.
const (
	Wait        Act = 'w' // time passes to the next timer
	Deliver     Act = 'd' // a message arrives
	Copy        Act = 'u' // a message arrives, and a copy of it is still under way
	Lose        Act = 'x' // a message is lost
	Crash       Act = 'c' // a node crashes and starts again
	CrashBefore Act = 'b' // a node crashes before its next disk write takes effect, and starts again
	CrashAfter  Act = 'a' // a node crashes just after its next disk write, and starts again
)

// More sorts of step, which no strategy here picks by itself: only a written schedule, or a person who plays.
const (
	Down  Act = 'k' // a node crashes and stays down
	Up    Act = 'r' // a node that is down starts again
	Pause Act = 'p' // a node stands still for a while
	Cut   Act = 'l' // a one-way link is cut
	Heal  Act = 'h' // a one-way link is healed
	Do    Act = 's' // the scenario does something: a client's request, say
)

// aboutMessage reports whether a step of this sort is about a pending message.
func (a Act) aboutMessage() bool { return a == Deliver || a == Copy || a == Lose }

// aboutLink reports whether a step of this sort is about a one-way link.
func (a Act) aboutLink() bool { return a == Cut || a == Heal }

// A Choice is one step that may be taken. Two choices are the same step, also in different schedules of one seed, if they are equal.
type Choice struct {
	Act    Act
	Node   labrpc.NodeID // the receiver of the message, the node that crashes, or the end of the link
	From   labrpc.NodeID // of a message or a link
	Method string        // also the name of what the scenario does
	Kind   labrpc.MessageKind
	Number uint64 // of the message on its link, or the place of what the scenario does
	Copies int
}

// String says what happens: "n1→n3 RequestVote arrives".
func (c Choice) String() string {
	message := func() string {
		name := c.Method
		if c.Kind == labrpc.Reply {
			name += " reply"
		}
		return fmt.Sprintf("%v→%v %s #%d", c.From, c.Node, name, c.Number)
	}
	switch c.Act {
	case Wait:
		return "time passes"
	case Deliver:
		return message() + " arrives"
	case Copy:
		return message() + " arrives, a copy is under way"
	case Lose:
		return message() + " is lost"
	case Crash:
		return fmt.Sprintf("%v crashes and starts again", c.Node)
	case CrashBefore:
		return fmt.Sprintf("%v will crash before its next write, and start again", c.Node)
	case CrashAfter:
		return fmt.Sprintf("%v will crash after its next write, and start again", c.Node)
	case Down:
		return fmt.Sprintf("%v crashes and stays down", c.Node)
	case Up:
		return fmt.Sprintf("%v starts again", c.Node)
	case Pause:
		return fmt.Sprintf("%v pauses", c.Node)
	case Cut:
		return fmt.Sprintf("the link %v→%v is cut", c.From, c.Node)
	case Heal:
		return fmt.Sprintf("the link %v→%v is healed", c.From, c.Node)
	case Do:
		return c.Method
	}
	return fmt.Sprintf("step %q", c.Act)
}

// IsFault reports whether the step is something that goes wrong.
func (c Choice) IsFault() bool {
	switch c.Act {
	case Deliver, Wait, Up, Heal, Do:
		return false
	}
	return true
}

// hash is the same for equal choices.
func (c Choice) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%c %d %d %v %d %d %s", c.Act, c.Node, c.From, c.Kind, c.Number, c.Copies, c.Method)
	return h.Sum64()
}

// commute reports whether two steps that are both possible lead to the same state in either order, and neither makes the
// other impossible. Steps at two nodes do: nodes share nothing, and a message is named by its number on
// its link. Faults draw on one budget, and time passes for all.
func commute(a, b Choice) bool {
	if a.Act == Wait || b.Act == Wait || a.IsFault() && b.IsFault() {
		return false
	}
	return a.Node != b.Node
}

// A StateReader is a strategy that is told, before each pick, a hash of what is seen of the system, if anything is.
type StateReader interface{ At(state uint64) }

// Bounds say how long a schedule may be and how much may go wrong in it.
type Bounds struct {
	Depth   int // steps
	Losses  int
	Copies  int
	Crashes int
}

// A Strategy picks the steps of one schedule after another.
type Strategy interface {
	// Begin begins the next schedule, and returns the seed for all else in that run that is random. It
	// returns false when there is none left.
	Begin() (seed uint64, ok bool)
	// Pick returns which of the choices is taken as the step with this number, from 0; -1 ends the schedule.
	Pick(depth int, choices []Choice) int
}
