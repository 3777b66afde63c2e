package replication

import (
	"fmt"
	"slices"
	"strconv"

	"distlabs/labrpc"
)

// A diskLog is a server's log: a snapshot, which stands for all entries up to
// its index, and the entries after it. The disk always holds the same, except
// what a crash cut short.
//
// Its methods belong to the holder of the server's mutex. Those that write
// report whether they could; if not, this incarnation is over.
type diskLog struct {
	disk     *labrpc.Disk
	snapshot snapshot
	entries  []Entry // entries[0] has the index snapshot.Index+1; never changed in place
}

// A snapshot is a state of the application, as figure 13 sends it.
type snapshot struct {
	Index int // of the last entry that it holds
	Term  int // of the same
	Data  []byte
}

// open reads what earlier incarnations left on the disk.
func (l *diskLog) open(disk *labrpc.Disk) error {
	l.disk = disk
	if _, err := disk.Load("snapshot", &l.snapshot); err != nil {
		return err
	}
	if err := l.removeCompacted(); err != nil {
		return err
	}
	for {
		var e Entry
		found, err := disk.Load(entryName(l.last()+1), &e)
		if err != nil {
			return err
		}
		if !found {
			return nil
		}
		l.entries = append(l.entries, e)
	}
}

func entryName(index int) string { return "entry " + strconv.Itoa(index) }

// last returns the index of the last entry, 0 if there never was one.
func (l *diskLog) last() int { return l.snapshot.Index + len(l.entries) }

// term returns the term of an entry from the snapshot's last up to last; index
// 0 has the term 0.
func (l *diskLog) term(index int) int {
	if index == l.snapshot.Index {
		return l.snapshot.Term
	}
	return l.at(index).Term
}

// at returns an entry after the snapshot.
func (l *diskLog) at(index int) Entry { return l.entries[index-l.snapshot.Index-1] }

// from returns the entries from index on, which are after the snapshot.
func (l *diskLog) from(index int) []Entry {
	return slices.Clip(l.entries[index-l.snapshot.Index-1:])
}

// firstOfTerm returns the first entry after the snapshot that has the same term
// as the one at index, all between included.
func (l *diskLog) firstOfTerm(index int) int {
	first := index
	for first-1 > l.snapshot.Index && l.term(first-1) == l.term(index) {
		first--
	}
	return first
}

// append adds entries at the end.
func (l *diskLog) append(entries ...Entry) bool {
	for _, e := range entries {
		if l.disk.Save(entryName(l.last()+1), e) != nil {
			return false
		}
		l.entries = append(l.entries, e)
	}
	return true
}

// truncate removes the entries from index on, the last first: whenever a crash
// comes, no gap is left.
func (l *diskLog) truncate(index int) bool {
	for i := l.last(); i >= index; i-- {
		if l.disk.Delete(entryName(i)) != nil {
			return false
		}
		// Clipped, so that an append does not write where a request that is being
		// sent still reads.
		l.entries = slices.Clip(l.entries[:len(l.entries)-1])
	}
	return true
}

// install puts a snapshot in the place of all entries up to its index, which is
// after that of the one before. Entries after it stay if they continue it (Raft §7).
func (l *diskLog) install(s snapshot) bool {
	if l.last() >= s.Index && l.term(s.Index) != s.Term {
		// What follows a wrong entry is as wrong. It goes first: left behind by a
		// crash, it would stand after the snapshot as if it belonged there.
		if !l.truncate(s.Index) {
			return false
		}
	}
	// The snapshot is on the disk before what it stands for is removed.
	if l.disk.Save("snapshot", s) != nil {
		return false
	}
	first, last := l.snapshot.Index+1, min(s.Index, l.last())
	kept := l.entries[min(s.Index-l.snapshot.Index, len(l.entries)):]
	l.entries, l.snapshot = slices.Clone(kept), s
	return l.deleteEntries(first, last)
}

// deleteEntries removes records of entries from the disk.
func (l *diskLog) deleteEntries(first, last int) bool {
	for i := first; i <= last; i++ {
		if l.disk.Delete(entryName(i)) != nil {
			return false
		}
	}
	return true
}

// removeCompacted removes the records that a crash has left of entries that the snapshot
// holds.
func (l *diskLog) removeCompacted() error {
	for _, name := range l.disk.Names() {
		var index int
		if n, _ := fmt.Sscanf(name, "entry %d", &index); n != 1 || index > l.snapshot.Index {
			continue
		}
		if err := l.disk.Delete(name); err != nil {
			return err
		}
	}
	return nil
}
