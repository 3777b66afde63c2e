package gateway

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	replication "distlabs/labs/05-replication"
)

// A kv is a key as etcd sees it. Its revisions are the store's.
type kv struct {
	Key     string
	Value   string
	Create  int
	Mod     int
	Version int
	Lease   int64 // 0 for none
	Marked  bool  // deleted, although the store still has it: see mark
}

// What the gateway keeps in the store for itself is under this prefix, and not shown. The revisions of its changes are missing in
// what a client sees.
const (
	hidden      = "\x00live/"
	barrierKey  = hidden + "barrier"
	leasePrefix = hidden + "lease/" // then the lease's ID: an ephemeral key of its session
)

// A value is stored as it is, unless it begins with a zero byte; then, and where it says more, these two bytes come before it.
const (
	markPlain = "\x00V"
	markLease = "\x00L" // then the lease's ID, 16 hexadecimal digits: the first value of a key with a lease
	markGone  = "\x00D" // the whole value: see kv.Marked
)

func encodeValue(value string, lease int64) string {
	switch {
	case lease != 0:
		return markLease + leaseID(lease) + value
	case strings.HasPrefix(value, "\x00"):
		return markPlain + value
	}
	return value
}

func decodeValue(data string) (value string, lease int64, gone bool) {
	switch {
	case data == markGone:
		return "", 0, true
	case strings.HasPrefix(data, markPlain):
		return data[len(markPlain):], 0, false
	case strings.HasPrefix(data, markLease) && len(data) >= len(markLease)+16:
		if id, err := hex.DecodeString(data[2:18]); err == nil {
			return data[18:], int64(be64(id)), false
		}
	}
	return data, 0, false
}

func leaseID(id int64) string {
	text := strconv.FormatUint(uint64(id), 16)
	return strings.Repeat("0", 16-len(text)) + text
}

func be64(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// A tree is the store at one revision, as a watch of all keys tells it.
type tree struct {
	Revision int
	Keys     map[string]kv
	Leases   map[int64]string // of each lease: what its hidden key says
}

func newTree() tree { return tree{Keys: map[string]kv{}, Leases: map[int64]string{}} }

func (t *tree) clone() tree {
	return tree{Revision: t.Revision, Keys: maps.Clone(t.Keys), Leases: maps.Clone(t.Leases)}
}

// A change is one change as etcd's clients see it.
type change struct {
	Revision int
	Key      string
	Before   kv // Mod is 0 if there was no such key
	After    kv // Mod is 0 if there is no such key
}

// apply makes the next change. It returns what clients see of it, if they see it.
func (t *tree) apply(e replication.Event) (c change, seen bool) {
	t.Revision = e.Revision
	if name, ours := strings.CutPrefix(e.Key, hidden); ours {
		if id, err := strconv.ParseUint(strings.TrimPrefix(name, "lease/"), 16, 64); err == nil {
			if e.Deleted {
				delete(t.Leases, int64(id))
			} else {
				t.Leases[int64(id)] = e.Data
			}
		}
		return change{}, false
	}
	before := t.Keys[e.Key]
	shown := before
	if before.Marked {
		shown = kv{}
	}
	c = change{Revision: e.Revision, Key: e.Key, Before: shown}
	if e.Deleted {
		delete(t.Keys, e.Key)
		return c, shown.Mod != 0
	}
	value, lease, gone := decodeValue(e.Data)
	if before.Mod != 0 {
		lease = before.Lease // a key belongs to the session that created it, whichever client writes it (rule 28)
	}
	after := kv{Key: e.Key, Value: value, Create: e.Revision, Mod: e.Revision, Version: 1, Lease: lease, Marked: gone}
	if shown.Mod != 0 {
		after.Create, after.Version = shown.Create, shown.Version+1
	}
	t.Keys[e.Key] = after
	if gone {
		return c, shown.Mod != 0
	}
	c.After = after
	return c, true
}

// history is how many changes a mirror keeps, hidden ones too.
const history = 10_000

// A mirror follows the store: its present state, and its last changes.
type mirror struct {
	mu      sync.Mutex
	base    tree                // before the first of events
	events  []replication.Event // all, in order
	now     tree
	changes []change      // what clients see of events
	moved   chan struct{} // closed at the next change
}

func newMirror() *mirror {
	return &mirror{base: newTree(), now: newTree(), moved: make(chan struct{})}
}

// apply takes in the next event; one that is known already, or is not the next, is left out.
func (m *mirror) apply(e replication.Event) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Revision != m.now.Revision+1 {
		return e.Revision <= m.now.Revision
	}
	m.add(e)
	close(m.moved)
	m.moved = make(chan struct{})
	return true
}

func (m *mirror) add(e replication.Event) {
	m.events = append(m.events, e)
	if c, seen := m.now.apply(e); seen {
		m.changes = append(m.changes, c)
	}
	if len(m.events) < 2*history {
		return
	}
	for _, old := range m.events[:history] {
		m.base.apply(old)
	}
	m.events = slices.Clone(m.events[history:])
	first, _ := slices.BinarySearchFunc(m.changes, m.base.Revision+1, func(c change, r int) int { return cmp.Compare(c.Revision, r) })
	m.changes = slices.Clone(m.changes[first:])
}

// A copyOf is a mirror as another process, or a file, gets it.
type copyOf struct {
	Base   tree
	Events []replication.Event
}

func (m *mirror) copy() copyOf {
	m.mu.Lock()
	defer m.mu.Unlock()
	return copyOf{Base: m.base.clone(), Events: slices.Clone(m.events)}
}

// restore replaces a mirror by a copy that is ahead of it. It reports whether it was.
func (m *mirror) restore(c copyOf) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Base.Keys == nil || c.Base.Leases == nil || c.Base.Revision+len(c.Events) <= m.now.Revision {
		return false
	}
	m.base, m.now, m.events, m.changes = c.Base, c.Base.clone(), nil, nil
	for _, e := range c.Events {
		m.add(e)
	}
	close(m.moved)
	m.moved = make(chan struct{})
	return true
}

func (m *mirror) revision() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.Revision
}

// wait waits until the mirror has reached a revision.
func (m *mirror) wait(ctx context.Context, revision int) error {
	for {
		m.mu.Lock()
		reached, moved := m.now.Revision >= revision, m.moved
		m.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// key returns a key at the present revision: as clients see it, and whether it is marked.
func (m *mirror) key(name string) (k kv, marked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k = m.now.Keys[name]
	if k.Marked {
		return kv{Key: name, Mod: k.Mod}, true
	}
	return k, false
}

// at returns the keys of a range at a revision, sorted. ok is false if the mirror does not know that revision (any more, or yet).
func (m *mirror) at(key, end string, revision int) (found []kv, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if revision < m.base.Revision || revision > m.now.Revision {
		return nil, false
	}
	keys := map[string]kv{}
	if end == "" {
		if k := m.now.Keys[key]; k.Mod != 0 {
			keys[key] = k
		}
	} else {
		for name, k := range m.now.Keys {
			if inRange(name, key, end) {
				keys[name] = k
			}
		}
	}
	// What has happened since is undone, the last first.
	for _, c := range slices.Backward(m.changes) {
		if c.Revision <= revision {
			break
		}
		if inRange(c.Key, key, end) {
			keys[c.Key] = c.Before
		}
	}
	for _, k := range keys {
		if k.Mod != 0 && !k.Marked {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b kv) int { return cmp.Compare(a.Key, b.Key) })
	return found, true
}

// inRange has etcd's rules: no end means the one key, the end "\x00" all keys from there on.
func inRange(name, key, end string) bool {
	switch end {
	case "":
		return name == key
	case "\x00":
		return name >= key
	}
	return name >= key && name < end
}

// since returns the changes of a range from a revision on, the revision up to which they reach, and a channel that is closed when
// there are more. ok is false if the mirror does not remember all of them.
func (m *mirror) since(key, end string, from int) (found []change, reached int, moved <-chan struct{}, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from <= m.base.Revision {
		return nil, m.base.Revision, nil, false
	}
	first, _ := slices.BinarySearchFunc(m.changes, from, func(c change, r int) int { return cmp.Compare(c.Revision, r) })
	for _, c := range m.changes[first:] {
		if inRange(c.Key, key, end) {
			found = append(found, c)
		}
	}
	return found, m.now.Revision, m.moved, true
}

// leases returns what the hidden keys of the leases say.
func (m *mirror) leases() map[int64]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.now.Leases)
}
