package seeded

import "syscall"

// nap gives the processor away, also to other threads: the kernel wakes the caller some 50 µs later.
func nap() {
	_ = syscall.Nanosleep(&syscall.Timespec{Nsec: 1000}, nil) // an early end does no harm
}
