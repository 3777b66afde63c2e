//go:build !windows && !js

package supervise

import (
	"os"
	"os/signal"
	"syscall"
)

// passSignals lets the children decide about the signals that a person or go test
// sends. The terminal sends an interrupt to all processes, so it is not passed
// on; go test's timeout and kill reach only this one, so they are. It returns
// a function that passes them to the children, those too that came before there was one, and one that ends this.
//
// The signals are caught, not ignored: a child would inherit that.
func passSignals() (pass func(children []*os.Process), stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	over := make(chan struct{})
	pass = func(children []*os.Process) {
		for {
			select {
			case s := <-signals:
				if s == syscall.SIGINT {
					continue
				}
				for _, child := range children {
					child.Signal(s)
				}
			case <-over:
				return
			}
		}
	}
	return pass, func() {
		signal.Stop(signals)
		close(over)
	}
}

// exitNow ends the process at once: no deferred calls, no exit hooks.
func exitNow(code int) { syscall.Exit(code) }
