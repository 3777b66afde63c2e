package isolation

import (
	"fmt"
	"strings"
	"time"
)

// sentence says why an edge is there.
func (ix *index) sentence(e edge) string {
	from, to := ix.txn(e.from), ix.txn(e.to)
	a, b := &ix.h.Txns[e.from], &ix.h.Txns[e.to]
	switch e.kind {
	case SessionOrder:
		return fmt.Sprintf("%s came before %s in session %d (session order)", from, to, a.Session)
	case RealTime:
		return fmt.Sprintf("%s returned at %s, before %s was called at %s (real time)", from, ix.when(a.Return), to, ix.when(b.Call))
	}
	info := &ix.keys[e.key]
	switch e.kind {
	case WW:
		return fmt.Sprintf("%s %s before %s's %s (ww)", from, ix.lastWrite(e.from, e.key), to, ix.firstWrite(e.to, e.key))
	case follows:
		return fmt.Sprintf("%s read the version of %s that %s wrote, and replaced it (ww)", to, info.name, from)
	case derived, strictDerived:
		return fmt.Sprintf("%s wrote %s before %s did: a transaction that comes after %[1]s has read the value of %[3]s (ww)", from, info.name, to)
	case WR:
		return fmt.Sprintf("%s %s, which %s read (wr)", from, ix.writeSeenBy(e), to)
	case derivedRW, strictDerivedRW:
		return fmt.Sprintf("%s before %s's %s, which is later than the version read (rw)", ix.readBefore(e), to, ix.lastWriteNoun(e.to, e.key))
	case strictRW:
		return fmt.Sprintf("%s before %s's %s, which was called after the version read had been written (rw)", ix.readBefore(e), to, ix.lastWriteNoun(e.to, e.key))
	}
	return fmt.Sprintf("%s before %s's %s (%s)", ix.readBefore(e), to, ix.firstWrite(e.to, e.key), e.kind)
}

// because says why the version that a transaction has read is before the write of another one, if the edge is an rw that follows from that and from
// real time. It says nothing if that follows from such edges itself.
func (ix *index) because(g *graph, e edge) string {
	if e.kind != strictDerivedRW {
		return ""
	}
	info := &ix.keys[e.key]
	for _, r := range info.reads {
		if r.txn != e.from || r.version == initial {
			continue
		}
		path, ok := g.shortestPath(info.writes[r.version].txn, e.to, timed)
		if !ok {
			return ""
		}
		var reasons []string
		for _, e := range ix.withoutRelays(path) {
			reasons = append(reasons, ix.sentence(e))
		}
		return "; it is later, because " + strings.Join(reasons, ", and ")
	}
	return ""
}

// when prints a time to the microsecond.
func (ix *index) when(d time.Duration) string {
	if ix.h.When != nil {
		return ix.h.When(d)
	}
	return fmt.Sprintf("%.6gs", d.Seconds())
}

func (ix *index) writesOf(t, k int32) (values []int64) {
	for _, op := range ix.h.Txns[t].Ops {
		if (op.Kind == Write || op.Kind == Append) && ix.id[op.Key] == k {
			values = append(values, op.Value)
		}
	}
	return values
}

// lastWrite tells of the last write of the key by the transaction: wrote x = 3.
func (ix *index) lastWrite(t, k int32) string {
	values := ix.writesOf(t, k)
	return ix.wrote(k, values[len(values)-1])
}

func (ix *index) wrote(k int32, v int64) string {
	if ix.keys[k].list {
		return fmt.Sprintf("appended %s to %s", ix.h.value(v), ix.keys[k].name)
	}
	return fmt.Sprintf("wrote %s = %s", ix.keys[k].name, ix.h.value(v))
}

// firstWrite names the first write of the key by the transaction: append of 4.
func (ix *index) firstWrite(t, k int32) string { return ix.noun(k, ix.writesOf(t, k)[0]) }

func (ix *index) lastWriteNoun(t, k int32) string {
	values := ix.writesOf(t, k)
	return ix.noun(k, values[len(values)-1])
}

func (ix *index) noun(k int32, v int64) string {
	if ix.keys[k].list {
		return "append of " + ix.h.value(v)
	}
	return "write of " + ix.h.value(v)
}

// writeSeenBy tells of the write that the reader of a wr edge saw.
func (ix *index) writeSeenBy(e edge) string {
	info := &ix.keys[e.key]
	for _, r := range info.reads {
		if r.txn == e.to && r.version != initial && info.writes[r.version].txn == e.from {
			return ix.wrote(e.key, info.writes[r.version].value)
		}
	}
	return ix.lastWrite(e.from, e.key)
}

// readBefore tells of the read of an rw edge: T7 read x = [1 3].
func (ix *index) readBefore(e edge) string {
	info := &ix.keys[e.key]
	for _, r := range info.reads {
		if r.txn != e.from || r.predicate != (e.kind == PredicateRW) {
			continue
		}
		op := ix.h.Txns[e.from].Ops[r.op]
		if f, found := op.finds(info.name); found {
			op = f
		}
		return ix.txn(e.from) + " " + ix.h.Op(op)
	}
	return ix.txn(e.from) + " read " + info.name
}
