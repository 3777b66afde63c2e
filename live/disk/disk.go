// Package disk keeps the records of a labrpc.Disk in one file, with go.etcd.io/bbolt: what Write has returned for survives
// a kill of the process and a loss of power.
package disk

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A Store is a labrpc.Store.
type Store struct {
	db      *bolt.DB
	records map[string][]byte
	writes  atomic.Uint64
	spent   atomic.Int64 // nanoseconds in Write
}

var bucket = []byte("records")

// lockTime is how long Open waits for the process that had the file before, which may be ending.
const lockTime = 5 * time.Second

// Open opens the file of a store, or makes it.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("live: disk: %w", err)
	}
	// The list of free pages is not worth a write at each commit: it is found again at the next start.
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		if errors.Is(err, bolt.ErrTimeout) {
			err = errors.New("another process has it open")
		}
		return nil, fmt.Errorf("live: disk %s: %w", path, err)
	}
	s := &Store{db: db, records: map[string][]byte{}}
	if err := db.Update(s.load); err != nil {
		return nil, errors.Join(fmt.Errorf("live: disk %s: %w", path, err), db.Close())
	}
	return s, nil
}

func (s *Store) load(tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	return b.ForEach(func(name, data []byte) error {
		s.records[string(name[1:])] = append([]byte{}, data...)
		return nil
	})
}

// Records implements labrpc.Store.
func (s *Store) Records() map[string][]byte { return maps.Clone(s.records) }

// Write implements labrpc.Store.
func (s *Store) Write(name string, data []byte) error {
	began := time.Now()
	defer func() {
		s.writes.Add(1)
		s.spent.Add(int64(time.Since(began)))
	}()
	return s.db.Update(func(tx *bolt.Tx) error {
		key := []byte("=" + name) // a record's name may be empty, a key of bbolt's may not
		if data == nil {
			return tx.Bucket(bucket).Delete(key)
		}
		return tx.Bucket(bucket).Put(key, data)
	})
}

// Stats returns how many writes were made, and how long they took together.
func (s *Store) Stats() (writes uint64, spent time.Duration) {
	return s.writes.Load(), time.Duration(s.spent.Load())
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }
