package transactions_test

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	"distlabs/labs/07-transactions"
)

// A slowDisk is the disk of an incarnation, on which a write takes time. It holds the records to their size.
type slowDisk struct {
	db   *db
	ctx  context.Context
	disk *labrpc.Disk

	mu      sync.Mutex
	latency time.Duration // 0 is diskLatency
}

// setLatency changes how long a write takes.
func (d *slowDisk) setLatency(latency time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = latency
}

// commitTime is how long the Commits of transactions may take, one after another.
func (d *slowDisk) commitTime(all ...*txn) (sum time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range all {
		sum += quickly + perKey*time.Duration(len(t.writes))*max(1, d.latency/diskLatency)
	}
	return sum
}

// wait waits as long as a write takes: with the name of the record it differs, so that hardly ever two writes end in one instant. Which of them were
// first would not follow from the seed.
func (d *slowDisk) wait(name string) {
	d.mu.Lock()
	latency := cmp.Or(d.latency, diskLatency)
	d.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	select {
	case <-time.After(latency + time.Duration(h.Sum64()%900_001)):
	case <-d.ctx.Done():
	}
}

func (d *slowDisk) Save(name string, v any) error {
	b, err := labrpc.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > transactions.MaxRecord {
		d.db.s.Failf(d.db.rules.records, "the store saved a record %q of %d bytes at %v, want at most %d", name, len(b), labtest.At(d.db.s.Net.Now()), transactions.MaxRecord)
		return fmt.Errorf("the record %q has %d bytes, and the disk takes %d", name, len(b), transactions.MaxRecord)
	}
	d.wait(name)
	return d.disk.Write(name, b)
}

func (d *slowDisk) Delete(name string) error {
	d.wait(name)
	return d.disk.Delete(name)
}

func (d *slowDisk) Load(name string, v any) (bool, error) { return d.disk.Load(name, v) }

func (d *slowDisk) Names() []string { return d.disk.Names() }
