//go:build !unix

package sandbox

import (
	"os"
	"os/exec"
)

// Where there are no process groups, only the process itself is ended.
func ownGroup(*exec.Cmd) {}

func killGroup(p *os.Process) error { return p.Kill() }
