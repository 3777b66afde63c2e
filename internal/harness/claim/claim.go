// Package claim divides the tests of one run among several processes. Each of them goes through all tests, in their order, and runs those
// that no other has taken. What one has told the others need not tell again.
package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Env names the variable by which the parent gives each process the folder of the run, which is empty at first. It must be a folder
// that the parent removes.
const Env = "LABS_CLAIMS"

// run is what this process has claimed, and where those of all processes are.
var run = ledger{dir: inherit()}

type ledger struct {
	sync.Mutex
	dir  string // "" if this process runs all tests
	mine map[string]string
}

// inherit takes the variable out of the environment: a process that a test starts is none of this run's.
func inherit() string {
	dir := os.Getenv(Env)
	os.Unsetenv(Env)
	return dir
}

// Test reports whether this process is to run the test: no other one runs it, or has.
func Test(test string) bool { return run.take(test) }

// First notes that what was said by someone, and reports whether that was the first time in this run, in any of its processes.
// If not, it returns who said it first. A folder that cannot be used counts as if there were no other process.
func First(what, by string) (who string, first bool) { return run.claim(what, by) }

// Known returns who was the first to claim what, if somebody has.
func Known(what string) (who string, known bool) { return run.claimed(what) }

func (l *ledger) take(test string) bool {
	if l.dir == "" { // each time, if it runs several times
		return true
	}
	_, first := l.claim("test "+test, "")
	return first
}

func (l *ledger) claim(what, by string) (who string, first bool) {
	l.Lock()
	defer l.Unlock()
	if who, known := l.find(what); known {
		return who, false
	}
	if l.dir != "" {
		if err := l.publish(what, by); errors.Is(err, fs.ErrExist) {
			who, _ := l.find(what)
			return who, false
		}
	}
	if l.mine == nil {
		l.mine = map[string]string{}
	}
	l.mine[what] = by
	return by, true
}

func (l *ledger) claimed(what string) (who string, known bool) {
	l.Lock()
	defer l.Unlock()
	return l.find(what)
}

// find looks for a claim. The caller holds the lock.
func (l *ledger) find(what string) (who string, known bool) {
	if who, known := l.mine[what]; known || l.dir == "" {
		return who, known
	}
	text, err := os.ReadFile(l.file(what))
	return string(text), err == nil
}

// publish shows a claim to the other processes, with all that it says at once. The error is fs.ErrExist if another has made it.
func (l *ledger) publish(what, by string) error {
	temp, err := os.CreateTemp(l.dir, "new-")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(by)
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Link(temp.Name(), l.file(what))
}

func (l *ledger) file(what string) string {
	sum := sha256.Sum256([]byte(what))
	return filepath.Join(l.dir, hex.EncodeToString(sum[:]))
}
