package isolation

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// initial is the version of a key before any write.
const initial = -1

// A write is one write or append of a key.
type write struct {
	txn   int32
	op    int32
	value int64
	final bool // the transaction's last write of the key: the version that it installs
}

// A seen is one read of a key, by a transaction that was or may have been committed.
type seen struct {
	txn, op int32
	// version is an index of keyInfo.writes, or initial. Of a list, at is how many elements the reader saw that others appended.
	version, at int32
	predicate   bool // a range read that did not find the key
}

// A keyInfo is everything that a history says about one key.
type keyInfo struct {
	name    string
	list    bool
	writes  []write
	reads   []seen
	longest []int64 // the longest read of a list
	reader  int32   // the transaction that made it
	aborted int32   // the first place in chain of an aborted transaction's append, or initial
	// chain has the known beginning of the order of versions, as indexes of writes, or initial for a value that nobody wrote.
	chain []int32
	// loose has the installed versions whose places in the order are unknown: one for each transaction. Those of a list are
	// after the chain.
	loose []int32
}

type keyValue struct {
	key   int32
	value int64
}

// An index is a history, looked at from its keys.
type index struct {
	h      *History
	keys   []keyInfo
	id     map[string]int32
	sorted []int32 // keys by name, for range reads; nil if there are none
	writer map[keyValue]int32
	in     []bool // the transactions that were committed, or whose writes were read by one that was
	report *Report
}

// newIndex reads the history. The error is about a history that cannot be judged.
func newIndex(h *History, report *Report) (*index, error) {
	ix := &index{h: h, id: map[string]int32{}, writer: map[keyValue]int32{}, in: make([]bool, len(h.Txns)), report: report}
	if err := ix.collectWrites(); err != nil {
		return nil, err
	}
	ix.findCommitted()
	for t := range h.Txns {
		if ix.in[t] {
			ix.findLongest(int32(t))
		}
	}
	for k := range ix.keys {
		ix.makeChain(int32(k))
	}
	for t := range h.Txns {
		if ix.in[t] {
			report.Txns++
			report.Ops += len(h.Txns[t].Ops)
			ix.walk(int32(t))
		}
	}
	for k := range ix.keys {
		ix.lostUpdates(int32(k))
	}
	return ix, nil
}

func (ix *index) key(name string) int32 {
	k, known := ix.id[name]
	if !known {
		k = int32(len(ix.keys))
		ix.id[name] = k
		ix.keys = append(ix.keys, keyInfo{name: name, reader: initial, aborted: initial})
	}
	return k
}

// txn returns a transaction's name in sentences.
func (ix *index) txn(t int32) string { return ix.h.Txns[t].Name() }

// collectWrites learns who wrote what, and which keys are lists.
func (ix *index) collectWrites() error {
	kinds := map[int32]OpKind{}
	scans := false
	for t := range ix.h.Txns {
		for o, op := range ix.h.Txns[t].Ops {
			switch op.Kind {
			case Scan:
				scans = true
				for _, f := range op.Found {
					ix.key(f.Key)
				}
				continue
			case Read:
				k := ix.key(op.Key)
				ix.keys[k].list = ix.keys[k].list || op.List != nil
				continue
			}
			k := ix.key(op.Key)
			if other, known := kinds[k]; known && other != op.Kind {
				return fmt.Errorf("isolation: %s is both written and appended to: a key is a register or a list", op.Key)
			}
			kinds[k] = op.Kind
			if err := ix.addWrite(k, int32(t), int32(o), op); err != nil {
				return err
			}
		}
	}
	if scans {
		ix.sorted = make([]int32, len(ix.keys))
		for k := range ix.sorted {
			ix.sorted[k] = int32(k)
		}
		slices.SortFunc(ix.sorted, func(a, b int32) int {
			if ix.keys[a].name < ix.keys[b].name {
				return -1
			}
			return 1
		})
	}
	return nil
}

func (ix *index) addWrite(k, t, o int32, op Op) error {
	info := &ix.keys[k]
	info.list = info.list || op.Kind == Append
	if w, known := ix.writer[keyValue{k, op.Value}]; known {
		return fmt.Errorf("isolation: %s and %s both wrote %s to %s: it cannot be known which of them a read saw, so each value may be written to a key only once",
			ix.txn(info.writes[w].txn), ix.txn(t), ix.h.value(op.Value), op.Key)
	}
	if n := len(info.writes); n > 0 && info.writes[n-1].txn == t {
		info.writes[n-1].final = false
	}
	ix.writer[keyValue{k, op.Value}] = int32(len(info.writes))
	info.writes = append(info.writes, write{txn: t, op: o, value: op.Value, final: true})
	return nil
}

// findCommitted finds the transactions that count as committed: an unknown one does if one that counts has read it.
func (ix *index) findCommitted() {
	var todo []int32
	for t := range ix.h.Txns {
		if ix.h.Txns[t].Outcome == Committed {
			ix.in[t] = true
			todo = append(todo, int32(t))
		}
	}
	unknown := slices.ContainsFunc(ix.h.Txns, func(t Txn) bool { return t.Outcome == Unknown })
	for unknown && len(todo) > 0 {
		t := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		see := func(k int32, value int64) {
			w, known := ix.writer[keyValue{k, value}]
			if !known {
				return
			}
			if by := ix.keys[k].writes[w].txn; !ix.in[by] && ix.h.Txns[by].Outcome == Unknown {
				ix.in[by] = true
				todo = append(todo, by)
			}
		}
		for r := range ix.h.Txns[t].observations() {
			k := ix.key(r.Key)
			if r.List == nil && !r.Absent {
				see(k, r.Value)
			}
			for _, v := range r.List {
				see(k, v)
			}
		}
	}
}

// observations yields the reads of single keys that a transaction made, those of its range reads too.
func (t *Txn) observations() func(yield func(Op) bool) {
	return func(yield func(Op) bool) {
		for _, op := range t.Ops {
			if op.Kind == Read && !yield(op) {
				return
			}
			for _, f := range op.Found {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// findLongest keeps the longest reads of lists.
func (ix *index) findLongest(t int32) {
	for r := range ix.h.Txns[t].observations() {
		if len(r.List) == 0 {
			continue
		}
		k := ix.id[r.Key]
		if info, at := &ix.keys[k], ix.others(k, t, r.List); at > len(info.longest) {
			info.longest, info.reader = r.List[:at], t
		}
	}
}

// others returns how long a list is without the reader's own appends at its end. These say nothing of the order in which
// versions were committed: below snapshot isolation, others' appends may come between.
func (ix *index) others(k, t int32, list []int64) int {
	at := len(list)
	for at > 0 {
		w, known := ix.writer[keyValue{k, list[at-1]}]
		if !known || ix.keys[k].writes[w].txn != t {
			break
		}
		at--
	}
	return at
}

// makeChain derives the order of versions from the longest read, and finds the versions of which it says nothing.
func (ix *index) makeChain(k int32) {
	info := &ix.keys[k]
	placed := map[int32]bool{} // writes in the chain
	twice := map[int64]bool{}
	for _, v := range info.longest {
		w, known := ix.writer[keyValue{k, v}]
		if !known {
			w = initial
			ix.report.add(Anomaly{Kind: Unwritten, Forbids: ReadUncommitted, Txns: []int{int(info.reader)},
				Text: fmt.Sprintf("%s read %s = %s, but no transaction appended %s", ix.txn(info.reader), info.name, ix.h.list(info.longest), ix.h.value(v))})
		}
		if twice[v] {
			w = initial
			ix.report.add(Anomaly{Kind: Duplicate, Forbids: ReadUncommitted, Txns: []int{int(info.reader)},
				Text: fmt.Sprintf("%s read %s = %s, which has %s twice, although it was appended once", ix.txn(info.reader), info.name, ix.h.list(info.longest), ix.h.value(v))})
		}
		twice[v] = true
		info.chain = append(info.chain, w)
		if w == initial {
			continue
		}
		placed[w] = true
		if by := info.writes[w].txn; w > 0 && info.writes[w-1].txn == by && !placed[w-1] {
			ix.report.add(Anomaly{Kind: Incompatible, Forbids: ReadUncommitted, Txns: []int{int(by), int(info.reader)},
				Text: fmt.Sprintf("%s appended %s to %s before %s, but %s read %s", ix.txn(by), ix.h.value(info.writes[w-1].value), info.name,
					ix.h.value(v), ix.txn(info.reader), ix.h.list(info.longest))})
		}
		if info.aborted == initial && ix.h.Txns[info.writes[w].txn].Outcome == Aborted {
			info.aborted = int32(len(info.chain) - 1)
		}
	}
	for w, wr := range info.writes {
		if wr.final && ix.in[wr.txn] && !placed[int32(w)] {
			info.loose = append(info.loose, int32(w))
		}
	}
}

// keyState is what a transaction has done with a key so far.
type keyState struct {
	key     int32
	own     []int64 // what it wrote or appended
	read    bool
	version int32 // what its last read of others' versions saw
	at      int32
}

// walk goes through the operations of a transaction in their order, and notes what it saw of others.
func (ix *index) walk(t int32) {
	var states []keyState
	state := func(k int32) *keyState {
		for i := range states {
			if states[i].key == k {
				return &states[i]
			}
		}
		states = append(states, keyState{key: k})
		return &states[len(states)-1]
	}
	for o, op := range ix.h.Txns[t].Ops {
		switch op.Kind {
		case Write, Append:
			s := state(ix.id[op.Key])
			s.own = append(s.own, op.Value)
		case Read:
			ix.read(t, int32(o), state(ix.id[op.Key]), op)
		case Scan:
			ix.scan(t, int32(o), op, state)
		}
	}
}

// scan notes a range read: a read of each key in the range, found or not.
func (ix *index) scan(t, o int32, op Op, state func(int32) *keyState) {
	for _, f := range op.Found {
		if !op.inRange(f.Key) {
			ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
				Text: fmt.Sprintf("%s %s, and %s is outside this range", ix.txn(t), ix.h.Op(op), f.Key)})
			continue
		}
		ix.read(t, o, state(ix.id[f.Key]), f)
	}
	first := sort.Search(len(ix.sorted), func(i int) bool { return ix.keys[ix.sorted[i]].name >= op.From })
	for _, k := range ix.sorted[first:] {
		info := &ix.keys[k]
		if !op.inRange(info.name) {
			break
		}
		if _, found := op.finds(info.name); found || len(info.writes) == 0 {
			continue
		}
		s := state(k)
		if len(s.own) > 0 {
			ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
				Text: fmt.Sprintf("%s %s, although it had itself written %s", ix.txn(t), ix.h.Op(op), info.name)})
			continue
		}
		info.reads = append(info.reads, seen{txn: t, op: o, version: initial, predicate: true})
		ix.repeats(t, s, Op{Kind: Read, Key: info.name, Absent: true}, initial, 0)
	}
}

// read notes one read of a key.
func (ix *index) read(t, o int32, s *keyState, op Op) {
	if ix.keys[s.key].list {
		ix.readList(t, o, s, op)
		return
	}
	info := &ix.keys[s.key]
	if n := len(s.own); n > 0 {
		if !op.Absent && op.Value == s.own[n-1] {
			return
		}
		ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
			Text: fmt.Sprintf("%s wrote %s = %s and then %s", ix.txn(t), info.name, ix.h.value(s.own[n-1]), ix.h.Op(op))})
	}
	version := int32(initial)
	if !op.Absent {
		w, known := ix.writer[keyValue{s.key, op.Value}]
		if !known {
			ix.report.add(Anomaly{Kind: Unwritten, Forbids: ReadUncommitted, Txns: []int{int(t)},
				Text: fmt.Sprintf("%s read %s = %s, but no transaction wrote this value", ix.txn(t), info.name, ix.h.value(op.Value))})
			return
		}
		version = w
		by := info.writes[w]
		if by.txn == t {
			// Its own later write, or one that it has replaced: said above, or a read of the future.
			if len(s.own) == 0 {
				ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
					Text: fmt.Sprintf("%s read %s = %s before it wrote this value itself", ix.txn(t), info.name, ix.h.value(op.Value))})
			}
			return
		}
		if ix.dirty(t, op, w, info) {
			return
		}
	}
	info.reads = append(info.reads, seen{txn: t, op: o, version: version})
	ix.repeats(t, s, op, version, 0)
}

// dirty reports a read of a version that was never committed, and whether its writer must be left out.
func (ix *index) dirty(t int32, op Op, w int32, info *keyInfo) (aborted bool) {
	by := info.writes[w]
	verb := "wrote"
	if info.list {
		verb = "appended"
	}
	if ix.h.Txns[by.txn].Outcome == Aborted {
		ix.report.add(Anomaly{Kind: G1a, Forbids: ReadCommitted, Txns: []int{int(by.txn), int(t)},
			Text: fmt.Sprintf("%s %s, but %s, which %s %s, was aborted", ix.txn(t), ix.h.Op(op), ix.txn(by.txn), verb, ix.h.value(by.value))})
		return true
	}
	if !by.final {
		last := by
		for _, x := range info.writes[w+1:] {
			if x.txn == by.txn {
				last = x
			}
		}
		ix.report.add(Anomaly{Kind: G1b, Forbids: ReadCommitted, Txns: []int{int(by.txn), int(t)},
			Text: fmt.Sprintf("%s %s, but this is an intermediate state of %s, which %s %s and later %s", ix.txn(t), ix.h.Op(op), ix.txn(by.txn), verb, ix.h.value(by.value), ix.h.value(last.value))})
	}
	return false
}

// repeats reports a transaction that reads two different versions of a key which it did not write in between.
func (ix *index) repeats(t int32, s *keyState, op Op, version, at int32) {
	if s.read && (s.version != version || s.at != at) {
		ix.report.add(Anomaly{Kind: Internal, Forbids: SnapshotIsolation, Txns: []int{int(t)},
			Text: fmt.Sprintf("%s %s, but it had read another version of %s before, which is not of its own making", ix.txn(t), ix.h.Op(op), op.Key)})
	}
	s.read, s.version, s.at = true, version, at
}

// readList notes a read of a list: the part of it that others appended.
func (ix *index) readList(t, o int32, s *keyState, op Op) {
	info := &ix.keys[s.key]
	at := ix.others(s.key, t, op.List)
	if !slices.Equal(op.List[:at], info.longest[:min(at, len(info.longest))]) {
		ix.report.add(Anomaly{Kind: Incompatible, Forbids: ReadUncommitted, Txns: []int{int(info.reader), int(t)},
			Text: fmt.Sprintf("%s read %s = %s and %s read %s: neither is the beginning of the other, so the elements have no one order",
				ix.txn(info.reader), info.name, ix.h.list(info.longest), ix.txn(t), ix.h.list(op.List))})
		return
	}
	switch own := op.List[at:]; {
	case slices.Equal(own, s.own):
		inside := func(w int32) bool { return w != initial && info.writes[w].txn == t }
		if !info.writtenBy(t) {
			break
		}
		if i := slices.IndexFunc(info.chain[:at], inside); i >= 0 {
			ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
				Text: fmt.Sprintf("%s %s, which has its own element %s in the place of an earlier one", ix.txn(t), ix.h.Op(op), ix.h.value(op.List[i]))})
		}
	case len(s.own) == 0:
		ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
			Text: fmt.Sprintf("%s %s before it appended %s itself", ix.txn(t), ix.h.Op(op), ix.h.value(own[0]))})
	default:
		ix.report.add(Anomaly{Kind: Internal, Forbids: ReadUncommitted, Txns: []int{int(t)},
			Text: fmt.Sprintf("%s appended %s to %s and then read %s, which does not end with its own appends", ix.txn(t), ix.h.list(s.own), info.name, ix.h.list(op.List))})
	}
	if p := info.aborted; p != initial && int(p) < at {
		ix.dirty(t, op, info.chain[p], info)
	}
	version := int32(initial)
	for i := at - 1; i >= 0 && version == initial; i-- {
		if w := info.chain[i]; w != initial && ix.in[info.writes[w].txn] {
			version = w
		}
	}
	if version != initial && info.writes[version].txn != t && info.chain[at-1] == version {
		ix.dirty(t, op, version, info)
	}
	info.reads = append(info.reads, seen{txn: t, op: o, version: version, at: int32(at)})
	ix.repeats(t, s, op, version, int32(at))
}

// writtenBy reports whether the transaction writes the key.
func (info *keyInfo) writtenBy(t int32) bool {
	_, found := slices.BinarySearchFunc(info.writes, t, func(w write, t int32) int { return cmp.Compare(w.txn, t) })
	return found
}

// lostUpdates reports pairs of transactions which read the same version of a key and both replace it, where their order is
// unknown: whatever it is, one of them did not see the other. Where it is known, the graph has the cycle.
func (ix *index) lostUpdates(k int32) {
	info := &ix.keys[k]
	type update struct{ version, at, txn int32 }
	var updates []update
	loose := map[int32]bool{}
	for _, w := range info.loose {
		loose[info.writes[w].txn] = true
	}
	for _, r := range info.reads {
		if loose[r.txn] {
			updates = append(updates, update{r.version, r.at, r.txn})
		}
	}
	slices.SortFunc(updates, func(a, b update) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.at, b.at), cmp.Compare(a.txn, b.txn))
	})
	updates = slices.Compact(updates)
	for i := 1; i < len(updates); i++ {
		a, b := updates[i-1], updates[i]
		if a.version != b.version || a.at != b.at {
			continue
		}
		was := "found no " + info.name
		if a.version != initial {
			was = fmt.Sprintf("read the version of %s that %s wrote", info.name, ix.txn(info.writes[a.version].txn))
		}
		ix.report.add(Anomaly{Kind: LostUpdate, Forbids: SnapshotIsolation, Txns: []int{int(a.txn), int(b.txn)}, Shortest: true,
			Text: fmt.Sprintf("%s and %s both %s, and both replaced it: whichever was first, the other one did not see its update", ix.txn(a.txn), ix.txn(b.txn), was)})
	}
}
