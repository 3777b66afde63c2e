//go:build !linux

package sandbox

import (
	"context"
	"os/exec"
	"time"
)

// Serve does nothing: on this system no process is confined.
func Serve() {}

type confined struct{}

const launched = ""

func (Box) confine(*exec.Cmd, Command) (*confined, error) { return nil, nil }

func (*confined) started()      {}
func (*confined) ended() string { return launched }
func (*confined) close()        {}

// resident is not known here.
func resident(int) int64 { return 0 }

// queued is not known here.
func queued(int) time.Duration { return 0 }

// Find finds no barriers here.
func Find(context.Context, string) (Box, error) {
	return Box{Isolation: Isolation{Level: IsolationGate, Missing: []string{"the layer of the operating system needs Linux"}}}, nil
}
