// Package disk keeps the records of a labrpc.Disk in files: recent writes in a log, which is only appended to, and everything older
// in a database, go.etcd.io/bbolt.
//
// Write returns when the operating system has the record: a kill of the process loses nothing. Sync returns when stable storage has
// it too; it is called before anything leaves the process that a node has done since. So a loss of power is, to all others, a crash
// a little earlier, and a server that writes a hundred entries pays for one fsync and not for a hundred.
package disk

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A Store is a labrpc.Store.
type Store struct {
	db *bolt.DB

	written atomic.Uint64 // how many writes were made
	synced  atomic.Uint64 // how many of them stable storage has
	syncs   atomic.Uint64
	spent   atomic.Int64 // nanoseconds in fsync

	// syncing is held during an fsync of the log and while the log begins again.
	syncing sync.Mutex

	mu      sync.Mutex
	records map[string][]byte // when the store was opened
	log     *os.File
	size    int64
	recent  map[string][]byte // what the log has: of each record its last value, nil if deleted
	failed  error             // after an error nothing is written any more
}

var bucket = []byte("records")

const (
	// lockTime is how long Open waits for the process that had the file before, which may be ending.
	lockTime = 5 * time.Second
	// maxLog is how large the log may become before its records go into the database.
	maxLog = 4 << 20
)

// Open opens the files of a store, or makes them: path for the database, and path.log.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("live: disk: %w", err)
	}
	// The list of free pages is not worth a write at each commit: it is found again at the next start.
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTime, FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = errors.New("another process has it open")
		}
		return nil, fmt.Errorf("live: disk %s: %w", path, err)
	}
	s := &Store{db: db, records: map[string][]byte{}, recent: map[string][]byte{}}
	err = db.Update(s.load)
	if err == nil {
		err = s.openLog(path + ".log")
	}
	if err != nil {
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

// openLog reads what the log has, and cuts off what a crash has left of a record at its end.
func (s *Store) openLog(path string) (err error) {
	if s.log, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	s.size, err = readLog(s.log, func(name string, data []byte) {
		s.recent[name] = data
		if data == nil {
			delete(s.records, name)
		} else {
			s.records[name] = data
		}
	})
	if err != nil {
		return err
	}
	if err := s.log.Truncate(s.size); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path)) // the log's name must survive too
}

// Records implements labrpc.Store.
func (s *Store) Records() map[string][]byte { return maps.Clone(s.records) }

// Write implements labrpc.Store.
func (s *Store) Write(name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	n, err := s.log.Write(encodeRecord(name, data))
	if err != nil {
		s.failed = err
		return err
	}
	s.size += int64(n)
	s.recent[name] = data
	s.written.Add(1)
	if s.size >= maxLog {
		s.failed = s.checkpoint()
	}
	return s.failed
}

// checkpoint puts the log's records into the database, and begins the log again. A crash between the two does no harm: the log's
// records are the same. The caller holds s.mu.
func (s *Store) checkpoint() error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		for name, data := range s.recent {
			key := []byte("=" + name) // a record's name may be empty, a key of bbolt's may not
			err := b.Delete(key)
			if data != nil {
				err = b.Put(key, data)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.log.Truncate(0); err != nil {
		return err
	}
	if err := s.log.Sync(); err != nil {
		return err
	}
	s.size, s.recent = 0, map[string][]byte{}
	s.synced.Store(s.written.Load())
	return nil
}

// Sync returns when stable storage has every write that has returned. Writes go on meanwhile, and the next Sync is for all of
// them.
func (s *Store) Sync() error {
	want := s.written.Load()
	if s.synced.Load() >= want {
		return nil
	}
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.synced.Load() >= want {
		return nil // another has done it
	}
	has := s.written.Load()
	began := time.Now()
	err := s.log.Sync()
	s.syncs.Add(1)
	s.spent.Add(int64(time.Since(began)))
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed = err
		return err
	}
	for old := s.synced.Load(); old < has && !s.synced.CompareAndSwap(old, has); old = s.synced.Load() {
	}
	return nil
}

// Stats returns how many writes and how many syncs there were, and how long the syncs took together.
func (s *Store) Stats() (writes, syncs uint64, spent time.Duration) {
	return s.written.Load(), s.syncs.Load(), time.Duration(s.spent.Load())
}

// Close closes the files.
func (s *Store) Close() error { return errors.Join(s.Sync(), s.log.Close(), s.db.Close()) }

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
