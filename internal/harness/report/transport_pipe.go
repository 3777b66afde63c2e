//go:build !windows

package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

func newTransport(key []byte) (transport, error) { return newPipes(key) }

// pipes carries the key and the events through two inherited pipes.
type pipes struct {
	*os.File     // events, the parent's end
	keyR, eventW *os.File
}

func newPipes(key []byte) (transport, error) {
	keyR, keyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer keyW.Close()
	eventR, eventW, err := os.Pipe()
	if err != nil {
		keyR.Close()
		return nil, err
	}
	p := &pipes{File: eventR, keyR: keyR, eventW: eventW}
	if _, err := keyW.Write(key); err != nil { // fits into the pipe's buffer
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *pipes) attach(cmd *exec.Cmd) string {
	fd := 3 + len(cmd.ExtraFiles)
	cmd.ExtraFiles = append(cmd.ExtraFiles, p.keyR, p.eventW)
	return fmt.Sprintf("%d,%d", fd, fd+1)
}

func (p *pipes) started() {
	p.keyR.Close()
	p.eventW.Close()
}

func (p *pipes) ended() { p.SetReadDeadline(time.Now()) }

// Read waits for the child's bytes. Once the child has ended, it takes what is
// in the pipe and waits no more, although another process may still hold the other end.
func (p *pipes) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	p.SetReadDeadline(time.Time{}) // else the raw read below is refused too
	defer p.SetReadDeadline(time.Now())
	raw, err := p.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), b)
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case readErr != nil && readErr != syscall.EINTR, n <= 0 && readErr == nil:
		return 0, io.EOF // EAGAIN: the pipe is empty
	}
	return max(n, 0), nil
}

func (p *pipes) Close() error {
	p.started()
	return p.File.Close()
}

// inheritPipes takes over the child's ends. The events' descriptor is not
// passed on to processes that this one starts.
func inheritPipes(keyFD, eventsFD uintptr) *Channel {
	key := readKey(os.NewFile(keyFD, "results key"))
	if key == nil {
		return nil
	}
	syscall.CloseOnExec(int(eventsFD))
	return &Channel{key: key, out: os.NewFile(eventsFD, "results")}
}
