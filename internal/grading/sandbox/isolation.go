package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The levels of isolation: how far a submission was kept from harm. Each holds all that the one below holds.
const (
	IsolationNone      = 0 // none: this grader never grades so
	IsolationGate      = 1 // the gate, a signed results channel, one process a test
	IsolationOS        = 2 // and around each test's process a layer of the operating system
	IsolationContainer = 3 // and the whole grader is in a container
)

// isolationEnv names the variable by which a person keeps the isolation at a level below what this machine offers.
const isolationEnv = "GRADE_ISOLATION"

// ErrIsolation is what Demand returns if this machine offers less than was demanded.
var ErrIsolation = errors.New("isolation is weaker than demanded")

// Isolation is what keeps the machine and other people's grades from harm by the processes of a box. It holds for every
// confined process, because a process that cannot be confined so is an error and never runs.
type Isolation struct {
	Level    int
	Barriers []string // what holds beyond the gate and the channel: a phrase each
	Missing  []string // what this machine lacks for the next level, and why
}

// String is the level, what holds, and what is missing for the next.
func (i Isolation) String() string {
	text := fmt.Sprintf("level %d: %s", i.Level, strings.Join(append([]string{"gate and results channel"}, i.Barriers...), "; "))
	if len(i.Missing) > 0 {
		text += fmt.Sprintf("; not level %d: %s", i.Level+1, strings.Join(i.Missing, "; "))
	}
	return text
}

// Box is how a machine confines processes. The zero value confines none.
type Box struct {
	Isolation
	launcher   bool // processes are started through this program's own launcher
	namespaces bool // in namespaces and a view of the file system of their own
	landlock   bool
	user       bool // under a user of their own, as the grader is root
}

// OtherUsers reports whether confined processes have users of their own: those must be able to read what they run.
func (b Box) OtherUsers() bool { return b.user }

// LimitsOnly is the box without the layer of the operating system. Tests use it, to show what holds without that layer.
func (b Box) LimitsOnly() Box {
	return Box{Isolation: Isolation{Level: IsolationGate}, launcher: true, user: b.user}
}

// Demand returns an error if the isolation is below the level.
func (i Isolation) Demand(level int) error {
	if i.Level >= level {
		return nil
	}
	text := fmt.Sprintf("level %d is demanded, this machine offers %d", level, i.Level)
	if len(i.Missing) > 0 {
		text += " (" + i.Missing[0] + ")"
	}
	return fmt.Errorf("sandbox: %w: %s", ErrIsolation, text)
}

// ceiling is the highest level that the user wants.
func ceiling() (int, error) {
	text, set := os.LookupEnv(isolationEnv)
	if !set || text == "" {
		return IsolationContainer, nil
	}
	level, err := strconv.Atoi(text)
	if err != nil || level < IsolationGate || level > IsolationContainer {
		return 0, fmt.Errorf("sandbox: %s=%s: want 1, 2 or 3", isolationEnv, text)
	}
	return level, nil
}

// containerEnv names the variable by which a container's maker says that this grader runs in one. A process can
// not prove that from inside; the signs that engines leave are also found in virtual machines made of their images.
const containerEnv = "GRADE_CONTAINER"

func contained() bool { return os.Getenv(containerEnv) != "" }
