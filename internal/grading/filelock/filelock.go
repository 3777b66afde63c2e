// Package filelock lets one process at a time have a file. The kernel lets go
// of it when the process ends, however it ends, so that a killed one leaves
// nothing to clear away.
package filelock

import (
	"errors"
	"os"
)

// ErrTaken says that another process has the file.
var ErrTaken = errors.New("filelock: another process has it")

// Take makes the file if need be and takes it, or fails with ErrTaken at once.
// Closing the file lets go of it. Where there are no such locks it only opens the file.
func Take(path string) (*os.File, error) { return take(path, os.O_CREATE, false) }

// TakeExisting takes a file that is there. Where there are no such locks it
// fails: that nobody else has the file is then certain.
func TakeExisting(path string) (*os.File, error) { return take(path, 0, true) }
