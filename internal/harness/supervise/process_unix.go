//go:build !windows && !js

package supervise

import (
	"os"
	"os/signal"
	"syscall"
)

// passSignals lets the child decide about the signals that a person or go test
// sends. The terminal sends an interrupt to both processes, so it is not passed
// on; go test's timeout and kill reach only this one, so they are. It returns
// a function that passes them to a child, those too that came before there was one, and one that ends this.
//
// The signals are caught, not ignored: a child would inherit that.
func passSignals() (pass func(child *os.Process), stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	over := make(chan struct{})
	pass = func(child *os.Process) {
		for {
			select {
			case s := <-signals:
				if s != syscall.SIGINT {
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
