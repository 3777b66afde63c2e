//go:build !linux

package seeded

import "runtime"

// nap gives the processor to others for some microseconds.
func nap() {
	for range 50 {
		runtime.Gosched()
	}
}
