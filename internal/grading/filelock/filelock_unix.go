//go:build unix

package filelock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

func take(path string, create int, strict bool) (*os.File, error) {
	f, err := os.OpenFile(path, create|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("filelock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil, !strict && (errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOLCK)): // a network's disk may have none
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrTaken
	default:
		err = fmt.Errorf("filelock: %s: %w", path, err)
	}
	f.Close()
	return nil, err
}
