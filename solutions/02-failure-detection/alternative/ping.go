package detector

import (
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

// ProberOptions say how a Prober works.
type ProberOptions struct {
	Period  time.Duration // every peer is pinged at least this often
	Timeout time.Duration // no correct peer takes longer to answer
	// Changed is told of every change of mind, once and in order. It returns at
	// once and does not call the Prober. It may be nil.
	Changed func(Change)
}

// A Prober is one goroutine that owns all state. It sends numbered one-way
// probes, two a period, and takes the echoes from a channel.
type Prober struct {
	node   *labrpc.Node
	opts   ProberOptions
	echoes chan echo
	sent   int
	open   []probe // without an echo yet, oldest first

	mu   sync.Mutex
	dead []labrpc.NodeID
}

// Probe is what a Prober sends; its receiver sends it back.
type Probe struct{ Number int }

type echo struct {
	from   labrpc.NodeID
	number int
}

type probe struct {
	to     labrpc.NodeID
	number int
	due    time.Time
}

// NewProber makes the node answer the probes of others, and starts to probe.
func NewProber(node *labrpc.Node, opts ProberOptions) *Prober {
	p := &Prober{node: node, opts: opts, echoes: make(chan echo)}
	labrpc.Receive(node, "probe", func(from labrpc.NodeID, m Probe) { labrpc.Send(node, from, "echo", m) })
	labrpc.Receive(node, "echo", func(from labrpc.NodeID, m Probe) {
		select {
		case p.echoes <- echo{from: from, number: m.Number}:
		case <-node.Context().Done():
		}
	})
	go p.run()
	return p
}

// Suspects reports whether the peer is suspected now.
func (p *Prober) Suspects(peer labrpc.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.dead, peer)
}

func (p *Prober) run() {
	ticker := time.NewTicker(p.opts.Period / 2)
	defer ticker.Stop()
	for {
		var overdue <-chan time.Time
		if len(p.open) > 0 {
			overdue = time.After(time.Until(p.open[0].due))
		}
		select {
		case <-ticker.C:
			p.probeAll()
		case e := <-p.echoes:
			p.open = slices.DeleteFunc(p.open, func(o probe) bool { return o.to == e.from && o.number == e.number })
		case <-overdue:
			p.suspect(p.open[0].to)
			p.open = p.open[1:]
		case <-p.node.Context().Done():
			return
		}
	}
}

func (p *Prober) probeAll() {
	p.sent++
	for _, peer := range p.node.Peers() {
		if p.Suspects(peer) {
			continue
		}
		labrpc.Send(p.node, peer, "probe", Probe{Number: p.sent})
		p.open = append(p.open, probe{to: peer, number: p.sent, due: time.Now().Add(p.opts.Timeout)})
	}
}

func (p *Prober) suspect(peer labrpc.NodeID) {
	if p.Suspects(peer) {
		return
	}
	p.mu.Lock()
	p.dead = append(p.dead, peer)
	p.mu.Unlock()
	if p.opts.Changed != nil {
		p.opts.Changed(Change{Peer: peer, Suspected: true})
	}
}
