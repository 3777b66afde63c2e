package labrpc

import (
	"fmt"
	"sync"
)

// A Disk keeps small named records. They survive a crash of their node; nothing else does.
//
// A write is atomic and durable when Write returns, and takes no time. A crash may come
// between any two writes: a test chooses which ([Network.CrashAtWrite]). All methods may be called by
// several goroutines at once.
type Disk struct {
	node *Node // the incarnation that looks at it
	*records
}

// records is what lies on the platter, under every incarnation.
type records struct {
	host *host

	mu      sync.Mutex
	store   Store // where data is kept too; nil for nowhere
	data    map[string][]byte
	writes  int // of this incarnation
	crashAt int // crash at this write of this incarnation; 0 for none
	after   bool
}

func newDisk(h *host) *Disk {
	return &Disk{records: &records{host: h, data: map[string][]byte{}}}
}

// keepIn makes the store the place of the records, unless it is nil.
func (d *Disk) keepIn(s Store) {
	if s != nil {
		d.store, d.data = s, s.Records()
	}
}

// spare cancels a crash that was set for a write of an incarnation which is over.
func (d *Disk) spare() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = 0
}

// view is the disk as one incarnation sees it: when that is over, its writes are refused.
func (d *Disk) view(n *Node) *Disk { return &Disk{node: n, records: d.records} }

// use begins an incarnation's count of writes.
func (d *Disk) use() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes = 0
}

// Write sets the record of that name, all at once. The error is ErrDown if this
// incarnation is over (or ends at this very write): then the record may or may not have been written.
func (d *Disk) Write(name string, data []byte) error {
	return d.change(name, append([]byte{}, data...), fmt.Sprintf("%d bytes", len(data)))
}

// Delete removes the record of that name, if there is one. It counts as a write.
func (d *Disk) Delete(name string) error { return d.change(name, nil, "deleted") }

// Save writes the encoding of v ([Marshal]).
func (d *Disk) Save(name string, v any) error {
	b, err := Marshal(v)
	if err != nil {
		return err
	}
	what := ""
	if d.host.net.opts.Observe != nil {
		what = diagnostic(b)
	}
	return d.change(name, b, what)
}

// Load sets *v from the record that Save wrote under that name. It reports whether there is one.
func (d *Disk) Load(name string, v any) (bool, error) {
	b, ok := d.Read(name)
	if !ok {
		return false, nil
	}
	return true, Unmarshal(b, v)
}

// Read returns a copy of the record of that name, and whether there is one.
func (d *Disk) Read(name string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.data[name]
	return append([]byte{}, b...), ok
}

// Names returns the names of all records, sorted.
func (d *Disk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return sortedKeys(d.data)
}

// change makes one write, with the crash that a test has set for it.
func (d *Disk) change(name string, data []byte, what string) error {
	if d.node == nil {
		return fmt.Errorf("labrpc: write %q: a test may only look at the disk of %v", name, d.host.id)
	}
	done, crash := d.write(name, data)
	if done && d.node.net.opts.Observe != nil {
		d.node.net.submit(newText(itemWrite, d.node, name, what))
	}
	if crash != "" {
		d.node.net.submit(newText(itemCrash, d.node, "", crash))
	}
	if !done || crash != "" {
		return fmt.Errorf("labrpc: %v writes %q: %w", d.node.ID(), name, ErrDown)
	}
	return nil
}

// write changes the records, unless the node is down by now; crash says why it went down at
// this very write.
func (d *Disk) write(name string, data []byte) (done bool, crash string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node.isDown() {
		return false, ""
	}
	if d.writes+1 == d.crashAt {
		crash = fmt.Sprintf("before write %d, of %q", d.crashAt, name)
		if d.after {
			crash = fmt.Sprintf("after write %d, of %q", d.crashAt, name)
		}
		d.crashAt = 0
		d.node.fence()
		if !d.after {
			return false, crash
		}
	}
	if d.store != nil {
		if err := d.store.Write(name, data); err != nil {
			d.node.fence()
			return false, fmt.Sprintf("at write %d, of %q: %v", d.writes+1, name, err)
		}
	}
	d.writes++
	if data == nil {
		delete(d.data, name)
	} else {
		d.data[name] = data
	}
	return true, crash
}

// A CrashPoint is an instant at which a node may crash: just before or just after a disk write takes effect.
type CrashPoint struct {
	Write int  // which write of the current incarnation, from 1, counting those already made
	After bool // the write is on the disk, but nothing after it happened
}

// CrashAtWrite makes a node crash when its current incarnation (or the next, if it is down) comes to that write.
// A later call replaces it; the zero CrashPoint, or the end of the incarnation, cancels it.
func (net *Network) CrashAtWrite(id NodeID, at CrashPoint) {
	net.lock()
	defer net.mu.Unlock()
	d := net.host(id).disk
	if at.Write > 0 && net.spares(FaultCrash, id) {
		at = CrashPoint{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt, d.after = at.Write, at.After
}

// Writes returns how many disk writes the node's current incarnation (or the last, if it is down) has made.
func (net *Network) Writes(id NodeID) int {
	net.lock()
	defer net.mu.Unlock()
	d := net.host(id).disk
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// Disk returns a node's disk for a test to look at; writing to it is an error.
func (net *Network) Disk(id NodeID) *Disk {
	net.lock()
	defer net.mu.Unlock()
	return net.host(id).disk
}
