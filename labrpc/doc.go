// Package labrpc is a simulated network of machines that crash.
//
// # Nodes, messages, calls
//
// A [Network] has nodes n1, n2, … A test starts them; your code is handed a [Node] and runs on it as on a
// machine of its own: it shares no memory with the others, and knows of them only what arrives.
//
// There are two ways to talk. [Send] puts a one-way message on the wire, [Receive] registers who takes it:
//
//	labrpc.Receive(node, "rumour", func(from labrpc.NodeID, r Rumour) { … })
//	err := labrpc.Send(node, 2, "rumour", Rumour{Text: "…"})
//
// [Call] sends a request and waits for the reply, [Handle] registers who answers:
//
//	labrpc.Handle(node, "vote", func(from labrpc.NodeID, a VoteArgs) VoteReply { … })
//	reply, err := labrpc.Call[VoteReply](ctx, node, 2, "vote", VoteArgs{Term: 3})
//
// Every handler runs in a goroutine of its own, so several run at once. Values are copied on the way: fields must
// be exported (their type need not be), and of plain types (numbers, strings, booleans, times, and slices, maps, arrays,
// pointers and structs of them). An interface, a channel or a function cannot travel; the error says so at once.
//
// Neither side is notified of a lost message. A Call without a deadline may therefore wait until its own node crashes.
//
// # Crashes
//
// [Network.Crash] ends an incarnation of a node: its [Node.Context] ends, and nothing that it still sends, writes or tells
// has any effect. Go cannot stop goroutines from outside, so yours should end when the context does.
// What the [Disk] holds is there when [Network.Start] begins the next incarnation.
//
// # Virtual time
//
// Inside a testing/synctest bubble, time is virtual for all code, yours included: when every goroutine waits, the clock
// jumps to the next timer. A minute takes milliseconds. One rule follows: a goroutine that waits for a
// sync.Mutex does not count as waiting, so never hold one across [Call], a channel operation or time.Sleep: if
// another goroutine wants it meanwhile, time stands still. Nor may a goroutine poll in a loop without sleeping.
//
// A test of your own looks like this; without the bubble, the same runs in real time:
//
//	synctest.Test(t, func(t *testing.T) {
//		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 3, Link: labrpc.FairLoss(0.2)})
//		defer net.Close()
//		for _, id := range net.Nodes() {
//			startServer(net.Start(id))
//		}
//		net.Run(10 * time.Second)
//		net.Isolate(2)
//		…
//	})
//
// # Real processes
//
// The command grade live runs the same code as processes of the operating system: a [Carrier] takes its messages over TCP and
// keeps its disks in files. Time is real there, and no seed decides anything.
//
// # One seed, one run
//
// In a bubble, the same [Options.Seed] gives the same run. One goroutine owns the network; it lets all nodes
// run until they wait, sorts what they sent into an order that does not depend on the scheduler, decides the fate of each message
// by a pure function of (seed, link, method, number), and then delivers one message, at an instant at which no other arrives at that
// node. What remains is yours:
//
//   - the order of iteration over a map, where something is sent or chosen by it;
//   - a select with several cases ready at once;
//   - the global functions of math/rand: use [Node.Rand];
//   - two goroutines of one node that wake at the same instant, as two timers set together for the same
//     length do, and race for a lock;
//   - two goroutines of one node in the same instant, one of which sends while the other makes the very write at which a
//     test crashes the node ([Network.CrashAtWrite]): the message may be out by then, or not;
//   - two goroutines of one node that make the same Call, to the byte, in the same instant: only one of the two requests
//     may be lost or late, and either goroutine may be its caller.
//
// # Data races
//
// Under -race, the network orders nothing that your own locks and channels do not order: two handlers that
// touch one field without a lock are reported even though the network ran one long after the other.
// One thing it does order: in virtual time no message arrives before the goroutine that started a node first waits, so
// a constructor may register its handlers before it has set all fields.
package labrpc
