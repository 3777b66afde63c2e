package sandbox

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Limits bound what a command may use. A zero field is no limit.
//
// The memory is what the command and all that it started have resident, watched from outside. RLIMIT_AS
// cannot be that limit: a program under the race detector that holds 1 MiB has 1.8 GB of addresses, one
// that holds 600 MiB has 3.8 GB. RLIMIT_DATA, at 0.3 GB and 2.4 GB, follows it well enough
// to be the backstop for a grader that gets no processor to watch with.
type Limits struct {
	Memory int64         // bytes resident, by all its processes together
	Data   int64         // bytes of private writable memory, a process
	CPU    time.Duration // of processor, a process
	File   int64         // bytes, a file that it writes
	Files  int           // open at once
	Procs  int           // processes and threads at once
}

// ProgramLimits are the limits of a small program that may be a stranger's, such as a test: so much
// memory and processor time, and no more of anything else than such a program needs.
func ProgramLimits(memory int64, cpu time.Duration) Limits {
	return Limits{Memory: memory, Data: 2*memory + 1<<30, CPU: cpu, File: 64 << 20, Files: 256, Procs: 128}
}

// size is a number of bytes as a person says it.
func size(n int64) string {
	if n >= 1<<30 && n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// starvedOf are the last words of a program that got no more memory, of the runtime, the race detector, whose allocators
// each have their own, and the C library.
var starvedOf = []string{"ThreadSanitizer failed to allocate", "ThreadSanitizer: out of memory", "ThreadSanitizer: internal allocator is out of memory",
	"fatal error: runtime: out of memory", "fatal error: runtime: cannot allocate memory",
	"fatal error: too many address space collisions for -race mode", "pthread_create failed: Resource temporarily unavailable"}

// ranInto says which limit ended a process that the grader did not stop: one phrase, "" if none did.
func (l Limits) ranInto(out Outcome) string {
	said := func(text string) bool { return bytes.Contains(out.Stderr, []byte(text)) }
	switch {
	case out.Exit == 0:
		return ""
	case l.Data > 0 && slices.ContainsFunc(starvedOf, said):
		return "used more than " + size(l.Memory) + " of memory"
	case out.Exit < 0 && l.Spent(out):
		return fmt.Sprintf("used more than %v of processor time", l.CPU)
	}
	return ""
}

// Spent reports whether a process and those that it waited for used all the processor time that each may have. The kernel
// keeps the limit by counting the ticks at which it saw the process run, and reports the time by another clock: on a busy
// machine the two differ by a tenth and more.
func (l Limits) Spent(out Outcome) bool { return l.CPU > 0 && out.CPU >= l.CPU*3/4 }
