package cluster

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are those of a child process: a group of its own, so that Ctrl-C reaches only the command; and the kernel kills the process when the command
// ends, also one that is stopped and cannot see the end of its standard input.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit bounds what a process may use: a student's mistake must not take the machine with it.
func limit(pid int) {
	for resource, most := range map[int]uint64{unix.RLIMIT_DATA: 4 << 30, unix.RLIMIT_FSIZE: 4 << 30, unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 4096} {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: most, Max: most}, nil)
	}
}
