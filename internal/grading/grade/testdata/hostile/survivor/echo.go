package echo

import (
	"os"
	"syscall"
	"time"
)

// It leaves a process in a session of its own, which goes on for an hour.
func init() {
	if os.Args[0] == "@TOKEN@" {
		time.Sleep(time.Hour)
	}
	syscall.ForkExec("/proc/self/exe", []string{"@TOKEN@"}, &syscall.ProcAttr{Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}})
}

func Echo(string) string { return "?" }
