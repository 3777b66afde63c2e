//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// become makes this process another program: the processes that it starts then end with it, however it ends.
func become(program string, args []string) error {
	err := syscall.Exec(program, append([]string{program}, args...), os.Environ())
	return fmt.Errorf("%s: %w", program, err)
}
