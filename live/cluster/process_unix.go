//go:build unix && !linux

package cluster

import "syscall"

// Attributes are those of a child process: a group of its own, so that Ctrl-C reaches only the command. The process ends with its standard input.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func limit(int) {}
