package transactions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A wal is the write-ahead log of a store on its disk. A transaction that commits gets a number, and writes
//
//	log/NUMBER/0000, log/NUMBER/0001, …   what it has written, as many records as it takes
//	log/NUMBER/commit                     it has committed
//
// Only then are its writes copied to data/KEY, in the background, and after that the log's records deleted. So whatever a
// crash interrupts, the log of a committed transaction is whole until all its data are there.
type wal struct {
	disk Disk

	mu     sync.Mutex
	number uint64   // of the last transaction
	queue  []logged // committed, and still in the log
	wake   chan struct{}
}

// An item is the value of a key, and the number of the transaction that wrote it.
type item struct {
	Value  string
	Number uint64
}

// A logRecord is a piece of what a transaction has written.
type logRecord struct {
	Writes []logWrite
}

// A logWrite is a write. Last writes only: the log does not have what a transaction itself has overwritten.
type logWrite struct {
	Key, Value string
	Delete     bool
}

// logged is a transaction in the log.
type logged struct {
	number  uint64
	writes  []logWrite
	records []string // their names; the name of the commit is the last
}

const (
	logPrefix  = "log/"
	dataPrefix = "data/"
	commitMark = "commit"
)

// openWAL recovers: it returns the log, with nothing in it, and the data that committed transactions have left.
func openWAL(ctx context.Context, disk Disk) (*wal, map[string]item, error) {
	w := &wal{disk: disk, wake: make(chan struct{}, 1)}
	found, err := w.read()
	if err != nil {
		return nil, nil, err
	}
	for _, tx := range found {
		if !strings.HasSuffix(tx.records[len(tx.records)-1], commitMark) {
			tx.writes = nil // it did not commit
		}
		if err := w.retire(tx); err != nil {
			return nil, nil, err
		}
	}
	items := map[string]item{}
	for _, name := range disk.Names() {
		if key, is := strings.CutPrefix(name, dataPrefix); is {
			var it item
			if _, err := disk.Load(name, &it); err != nil {
				return nil, nil, err
			}
			items[key] = it
			w.number = max(w.number, it.Number)
		}
	}
	go w.run(ctx)
	return w, items, nil
}

// read returns the transactions in the log, by their numbers. A number has 16 digits, and a digit sorts before commitMark.
func (w *wal) read() (found []logged, err error) {
	for _, name := range w.disk.Names() {
		rest, is := strings.CutPrefix(name, logPrefix)
		if !is {
			continue
		}
		var number uint64
		if _, err := fmt.Sscanf(rest, "%d/", &number); err != nil {
			return nil, fmt.Errorf("transactions: the log has a record %q: %w", name, err)
		}
		if len(found) == 0 || found[len(found)-1].number != number {
			found = append(found, logged{number: number})
		}
		tx := &found[len(found)-1]
		var r logRecord
		if _, err := w.disk.Load(name, &r); err != nil {
			return nil, err
		}
		tx.writes = append(tx.writes, r.Writes...)
		tx.records = append(tx.records, name)
	}
	return found, nil
}

// commit makes the writes of a transaction durable, all of them or none, and returns its number. A nil value deletes the key. A later call
// gets a higher number, so of two transactions that write one key the later one has it.
func (w *wal) commit(writes map[string]*string) (uint64, error) {
	w.mu.Lock()
	w.number++
	tx := logged{number: w.number}
	w.mu.Unlock()
	if len(writes) == 0 {
		return tx.number, nil
	}
	for _, key := range slices.Sorted(maps.Keys(writes)) {
		write := logWrite{Key: key, Delete: writes[key] == nil}
		if !write.Delete {
			write.Value = *writes[key]
		}
		tx.writes = append(tx.writes, write)
	}
	for rest := tx.writes; len(rest) > 0; {
		n := fits(rest)
		if err := w.append(&tx, fmt.Sprintf("%04d", len(tx.records)), logRecord{Writes: rest[:n]}); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	if err := w.append(&tx, commitMark, logRecord{}); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, tx)
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
	return tx.number, nil
}

// append writes a record of a transaction.
func (w *wal) append(tx *logged, part string, r logRecord) error {
	name := fmt.Sprintf("%s%016d/%s", logPrefix, tx.number, part)
	tx.records = append(tx.records, name)
	return w.disk.Save(name, r)
}

// fits returns how many of the writes fit into one record: at least one, since a key and its value are small.
func fits(writes []logWrite) int {
	size := 0
	for i, write := range writes {
		size += len(write.Key) + len(write.Value) + 64 // and what is around them
		if size > MaxRecord {
			return i
		}
	}
	return len(writes)
}

// run moves transactions from the log to the data, one after another in the order in which they committed.
func (w *wal) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for {
			w.mu.Lock()
			if len(w.queue) == 0 {
				w.mu.Unlock()
				break
			}
			tx := w.queue[0]
			w.queue = slices.Delete(w.queue, 0, 1) // which also clears the place at the end
			w.mu.Unlock()
			if w.retire(tx) != nil {
				return
			}
		}
	}
}

// retire copies the writes of a transaction to the data and removes it from the log. The commit goes first: what is left then is a transaction that did not
// commit.
func (w *wal) retire(tx logged) error {
	for _, write := range tx.writes {
		name := dataPrefix + write.Key
		var err error
		if write.Delete {
			err = w.disk.Delete(name)
		} else {
			err = w.disk.Save(name, item{Value: write.Value, Number: tx.number})
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Backward(tx.records) {
		if err := w.disk.Delete(name); err != nil {
			return err
		}
	}
	return nil
}
