package supervise

import (
	"os"
	"os/signal"
	"syscall"
)

// passSignals leaves an interrupt to the children, which the console sends it to as
// well, so pass does nothing. stop ends this.
func passSignals() (pass func([]*os.Process), stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt)
	return func([]*os.Process) {}, func() { signal.Stop(signals) }
}

// exitNow ends the process at once: no deferred calls, no exit hooks.
func exitNow(code int) { syscall.Exit(code) }
