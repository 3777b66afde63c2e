package report

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// followEvery is how often a parent looks for new events in a file.
const followEvery = 10 * time.Millisecond

// files carries the key and the events through a folder that only this user can
// read, for systems on which a child inherits no descriptors.
type files struct {
	dir    string
	events *os.File

	once sync.Once
	over chan struct{} // closed when the child has exited
}

const (
	keyFile    = "key"
	eventsFile = "events"
)

func newFiles(key []byte) (transport, error) {
	dir, err := os.MkdirTemp("", "labs-results-")
	if err != nil {
		return nil, err
	}
	if err = os.WriteFile(filepath.Join(dir, keyFile), key, 0o600); err == nil {
		var events *os.File
		if events, err = os.Create(filepath.Join(dir, eventsFile)); err == nil {
			return &files{dir: dir, events: events, over: make(chan struct{})}, nil
		}
	}
	os.RemoveAll(dir)
	return nil, err
}

func (f *files) attach(*exec.Cmd) string { return f.dir }

func (f *files) started() {}

func (f *files) ended() { f.once.Do(func() { close(f.over) }) }

// Read waits at the end of the file for more, until the child has exited.
func (f *files) Read(p []byte) (int, error) {
	for {
		over := false
		select {
		case <-f.over:
			over = true // looked up before the read: what came before the end is read
		default:
		}
		n, err := f.events.Read(p)
		if n > 0 || err != io.EOF || over {
			return n, err
		}
		select {
		case <-f.over:
		case <-time.After(followEvery):
		}
	}
}

func (f *files) Close() error {
	f.ended()
	err := f.events.Close()
	os.RemoveAll(f.dir)
	return err
}

// inheritFiles takes over the child's side of the folder and removes the key.
func inheritFiles(dir string) *Channel {
	path := filepath.Join(dir, keyFile)
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	key := readKey(f)
	os.Remove(path)
	out, err := os.OpenFile(filepath.Join(dir, eventsFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil || key == nil {
		return nil
	}
	return &Channel{key: key, out: out}
}
