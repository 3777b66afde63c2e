package labtest

import (
	"os"
	"runtime"
	"testing"
)

// playEnv, when set, has a test that searches schedules wait for a person who chooses each step. In a browser its value
// does not matter; elsewhere it says what is played: see [exploration.play].
const playEnv = "LABS_PLAY"

// inBrowser says that this is a program for the page. It is a constant, so that the compiler leaves out what the page does not need.
const inBrowser = runtime.GOOS == "js"

func toPlay() bool { return os.Getenv(playEnv) != "" }

// Play is for a scenario that no search takes: a person plays it ("grade play"), and LABS_SCHEDULE replays what the person
// played. Any other run skips it. Its name is TestPlay and the ID of its part; it is not graded.
func Play(t *testing.T, space SearchSpace, setup func(s *Sim) Scenario) {
	t.Helper()
	if !toPlay() && os.Getenv("LABS_SCHEDULE") == "" && os.Getenv(whatIfEnv) == "" {
		skip(t, "a person plays this scenario: see grade play")
	}
	Explore(t, space, setup)
}

// A Puzzle is a goal that a person brings about by choosing what the network does.
type Puzzle struct {
	ID    string // a few letters, for addresses: split-vote
	Title string
	Goal  string   // what must happen, in one or two sentences
	Hints []string // most general first

	// Reached reports whether the goal is reached now. It is asked after every step. It is nil for a puzzle that no
	// schedule solves: the person must find that out, and choose which of Rules forbids it.
	Reached func() bool
	// Solution is a schedule of seed 1 that reaches the goal with the reference.
	Solution string

	Rules  []string // of a puzzle without a solution
	Forbid int      // the place in Rules of the one that forbids the goal
}
