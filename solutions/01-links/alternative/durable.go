package links

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"distlabs/labrpc"
)

// Apply is the application: it returns the state after msg.
type Apply func(state []byte, from labrpc.NodeID, msg []byte) []byte

// A Durable link keeps each message that it has promised in a record of its own until it is acknowledged.
type Durable struct {
	node  *labrpc.Node
	apply Apply

	mu   sync.Mutex
	in   incoming
	last uint64          // number of the last message, to any peer
	open map[uint64]bool // the messages that are not acknowledged
}

type incoming struct {
	State []byte
	Known map[labrpc.NodeID]spans
}

type promise struct {
	Number uint64
	To     labrpc.NodeID
	Msg    []byte
}

// NewDurable makes the link of one node from the records on its disk.
func NewDurable(node *labrpc.Node, apply Apply) (*Durable, error) {
	d := &Durable{node: node, apply: apply, open: map[uint64]bool{}}
	d.mu.Lock()
	defer d.mu.Unlock()
	disk := node.Disk()
	if _, err := disk.Load("incoming", &d.in); err != nil {
		return nil, err
	}
	if d.in.Known == nil {
		d.in.Known = map[labrpc.NodeID]spans{}
	}
	if _, err := disk.Load("last", &d.last); err != nil {
		return nil, err
	}
	labrpc.Receive(node, "promise", d.take)
	labrpc.Receive(node, "kept", d.kept)
	for _, name := range disk.Names() {
		if !strings.HasPrefix(name, "promise ") {
			continue
		}
		var p promise
		if _, err := disk.Load(name, &p); err != nil {
			return nil, err
		}
		d.try(p, 300*time.Millisecond)
	}
	return d, nil
}

func promiseName(n uint64) string { return fmt.Sprintf("promise %020d", n) }

// Send promises, by returning nil, that msg will be applied exactly once at to. It writes the number
// before the message: after a crash between the two writes, the number is never used.
func (d *Durable) Send(to labrpc.NodeID, msg []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := promise{Number: d.last + 1, To: to, Msg: append([]byte{}, msg...)}
	if err := d.node.Disk().Save("last", p.Number); err != nil {
		return err
	}
	d.last = p.Number
	if err := d.node.Disk().Save(promiseName(p.Number), p); err != nil {
		return err
	}
	d.try(p, 300*time.Millisecond)
	return nil
}

// try sends a message and sets the timer for the next time. The caller holds d.mu.
func (d *Durable) try(p promise, wait time.Duration) {
	d.open[p.Number] = true
	_ = labrpc.Send(d.node, p.To, "promise", p)
	time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.open[p.Number] && d.node.Context().Err() == nil {
			d.try(p, min(2*wait, 5*time.Second))
		}
	})
}

func (d *Durable) take(from labrpc.NodeID, p promise) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := d.in.Known[from]
	if known.add(p.Number) {
		d.in.State = d.apply(append([]byte{}, d.in.State...), from, p.Msg)
		d.in.Known[from] = known
		if d.node.Disk().Save("incoming", d.in) != nil {
			return
		}
	}
	_ = labrpc.Send(d.node, from, "kept", p.Number)
}

func (d *Durable) kept(_ labrpc.NodeID, n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[n] && d.node.Disk().Delete(promiseName(n)) == nil {
		delete(d.open, n)
	}
}

// State returns a copy of the state.
func (d *Durable) State() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]byte{}, d.in.State...)
}
