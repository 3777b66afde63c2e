package grade

import (
	"bytes"
	"fmt"
	"time"
)

// limits bound what a command may use. A zero field is no limit.
//
// The memory is what the command and all that it started have resident, watched from outside. RLIMIT_AS
// can not be that limit: a program under the race detector that holds 1 MiB has 1.8 GB of addresses, one
// that holds 600 MiB has 3.8 GB. RLIMIT_DATA, at 0.3 GB and 2.4 GB, follows it well enough
// to be the backstop for a grader that gets no processor to watch with.
type limits struct {
	memory int64         // bytes resident, by all its processes together
	data   int64         // bytes of private writable memory, a process
	cpu    time.Duration // of processor, a process
	file   int64         // bytes, a file that it writes
	files  int           // open at once
	procs  int           // processes and threads at once
}

// DefaultMemory is how much memory a test's process may use: the reference of no lab needs a tenth of it.
const DefaultMemory = 2 << 30

// testLimits are those of a test. A soak has none on memory: it is of our own code, and grows with its thousands of seeds.
func (g *Grader) testLimits(run Run) limits {
	memory := g.memory
	if memory <= 0 {
		memory = DefaultMemory
	}
	l := limits{memory: memory, data: 2*memory + 1<<30, cpu: (run.Timeout + grace) * time.Duration(max(run.Procs, 1)+1),
		file: 64 << 20, files: 256, procs: 128}
	if run.Soak {
		l.memory, l.data = 0, 0
	}
	return l
}

// buildLimits are those of a build. A source file of 1 MiB can ask the compiler for any amount of each: sixteen thousand
// conditions in one function take it minutes. A lab takes it a second.
var buildLimits = limits{memory: 3 << 30, data: 6 << 30, cpu: time.Minute, file: 256 << 20, files: 4096}

// size is a number of bytes as a person says it.
func size(n int64) string {
	if n >= 1<<30 && n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// ranInto says which limit ended a process that the grader did not stop: one phrase, "" if none did.
func (l limits) ranInto(out outcome) string {
	said := func(text string) bool { return bytes.Contains(out.stderr, []byte(text)) }
	switch {
	case out.exit == 0:
		return ""
	case l.data > 0 && (said("ThreadSanitizer failed to allocate") || said("ThreadSanitizer: out of memory") || said("fatal error: runtime: out of memory") ||
		said("fatal error: runtime: cannot allocate memory")):
		return "used more than " + size(l.memory) + " of memory"
	case out.exit < 0 && l.spent(out):
		return fmt.Sprintf("used more than %v of processor time", l.cpu)
	}
	return ""
}

// spent reports whether a process and those that it waited for used all the processor time that each may have.
func (l limits) spent(out outcome) bool {
	return l.cpu > 0 && out.cpu+100*time.Millisecond >= l.cpu // two clocks
}
