package supervise

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the child when this process is killed, as
// go test does some time after its timeout.
func endWithParent(child *exec.Cmd) {
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
