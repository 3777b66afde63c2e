package report

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// maxEvents bounds what a child can make its parent remember.
const maxEvents = 16 << 20

// Receiver is the parent's end of the results channel, for one child:
//
//	r, err := report.NewReceiver()
//	defer r.Close()
//	r.Attach(cmd)
//	err = cmd.Start()
//	r.Started()
//	go func() { cmd.Wait(); r.Ended() }()
//	events, err := r.Collect(nil)
type Receiver struct {
	key  []byte
	pipe transport
}

// transport is how the bytes come from the child.
type transport interface {
	io.ReadCloser
	attach(cmd *exec.Cmd) (value string) // value of ResultsEnv for the child
	started()
	ended()
}

// NewReceiver returns a receiver with a fresh key.
func NewReceiver() (*Receiver, error) {
	return newReceiver(newTransport)
}

func newReceiver(open func(key []byte) (transport, error)) (*Receiver, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails, says its documentation
	pipe, err := open(key)
	if err != nil {
		return nil, fmt.Errorf("report: no results channel: %w", err)
	}
	return &Receiver{key: key, pipe: pipe}, nil
}

// Attach hands the channel to a command that has not started: it appends to
// ExtraFiles and to Env, which it first fills from this process if it is nil.
func (r *Receiver) Attach(cmd *exec.Cmd) {
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool {
		return strings.HasPrefix(v, ResultsEnv+"=") || strings.HasPrefix(v, DirectEnv+"=")
	})
	cmd.Env = append(cmd.Env, ResultsEnv+"="+r.pipe.attach(cmd), DirectEnv+"=1")
}

// Started closes the child's ends in this process. Call it after cmd.Start,
// also when that failed: Collect sees no end of the channel otherwise.
func (r *Receiver) Started() { r.pipe.started() }

// Ended says that the child has exited: Collect returns once it has read what is
// there, even if a process that the child left behind keeps the channel open.
func (r *Receiver) Ended() { r.pipe.ended() }

// Close frees the channel; a Collect under way returns.
func (r *Receiver) Close() { r.pipe.Close() }

// Collect reads events until the child's end is closed, and returns those that
// verified. If each is not nil, it is called with every one as it arrives.
//
// The error names the first line that was not signed with the key, the first
// number that is missing or comes twice, or the limit of 16 MiB. Events after
// it are still returned: what is signed is true whatever else was written.
func (r *Receiver) Collect(each func(Event)) ([]Event, error) {
	var events []Event
	var first error
	last := 0
	lines := bufio.NewScanner(io.LimitReader(r.pipe, maxEvents))
	lines.Buffer(nil, maxEvents)
	read := 0
	for n := 1; lines.Scan(); n++ {
		read += len(lines.Bytes()) + 1
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || read > maxEvents { // the last line of too many is cut off
			continue
		}
		e, err := verify(r.key, line)
		switch {
		case err != nil:
			err = fmt.Errorf("report: line %d of the results channel, %.40q: %w", n, line, err)
		case e.Seq <= last:
			err = fmt.Errorf("report: event %d came again after event %d", e.Seq, last)
		case e.Seq > last+1:
			err = fmt.Errorf("report: event %d follows event %d", e.Seq, last)
		}
		first = firstOf(first, err)
		if e.Seq <= last {
			continue // not signed, or a replay
		}
		last = e.Seq
		events = append(events, e)
		if each != nil {
			each(e)
		}
	}
	if read >= maxEvents || errors.Is(lines.Err(), bufio.ErrTooLong) {
		first = firstOf(first, fmt.Errorf("report: more than %d bytes of results", maxEvents))
		io.Copy(io.Discard, r.pipe) // a child that blocks on the pipe would never exit
	} else if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		first = firstOf(first, fmt.Errorf("report: reading results: %w", err))
	}
	return events, first
}

// firstOf returns the first error that is not nil.
func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
