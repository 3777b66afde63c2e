//go:build unix && !linux

package cluster

import "syscall"

// attributes: a group of its own, so that Ctrl-C reaches only the command. The process ends with its standard input.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func limit(int) {}
