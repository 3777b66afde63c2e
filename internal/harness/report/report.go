// Package report is what a graded test tells about itself: the one form of a
// failure, and the signed channel on which results leave the test's process.
//
// The test harness writes it and the grader reads it; neither imports the other.
package report

import (
	"fmt"
	"strings"
)

// Kind is the sort of a failure.
type Kind string

// The kinds of failure. All except Rule are noticed by the harness, not by a lab's test.
const (
	Rule      Kind = "rule"      // the test saw a rule broken
	Lock      Kind = "lock"      // a goroutine held a mutex across a wait: virtual time stood still
	Spin      Kind = "spin"      // a busy loop: virtual time stood still
	Limit     Kind = "limit"     // not done within the test's limit of virtual time
	Deadlock  Kind = "deadlock"  // every goroutine waits and nothing can wake one
	Leak      Kind = "leak"      // a goroutine outlived its node
	Panic     Kind = "panic"     // a panic or a fatal error of the Go runtime
	Race      Kind = "race"      // the race detector saw two goroutines touch one variable
	Exit      Kind = "exit"      // the process ended by itself in the middle of a test
	Vacuous   Kind = "vacuous"   // the faults that the test is about never happened
	Malformed Kind = "malformed" // the harness's own bug, or a broken results channel
)

// SameSeed is the rule that a test breaks whose seed has two runs that are not the same.
const SameSeed = "same seed, same run"

// Vacuity is the failure of a test whose situations never occurred: in none of its runs, such as "10 seeds", did any of what is missing happen.
func Vacuity(test string, missing []string, runs, replay string) Failure {
	return Failure{
		Test: test, Kind: Vacuous, Replay: replay,
		What: fmt.Sprintf("the test is inconclusive: in none of %s did this happen: %s", runs, strings.Join(missing, ", nor this: ")),
		Rule: "a test counts only if the situation that it tests has happened; where the README names messages, the test recognises it by them",
	}
}

// Failure is one failed test, in the words that a student reads.
type Failure struct {
	Test    string   `json:"test"`              // TestOneLeaderPerTerm4C
	Kind    Kind     `json:"kind"`              //
	Where   string   `json:"where,omitempty"`   // file:line, the student's where there is one, else the test's
	What    string   `json:"what"`              // one sentence: who, what, when
	Rule    string   `json:"rule,omitempty"`    // the rule it broke, with its source
	Seen    []string `json:"seen,omitempty"`    // the evidence, a line each
	Faults  string   `json:"faults,omitempty"`  // what the network had done
	Replay  string   `json:"replay,omitempty"`  // the command that shows it again
	Play    string   `json:"play,omitempty"`    // the command that opens it on a page where it can be changed
	Diagram string   `json:"diagram,omitempty"` // path of the recorded run
	History string   `json:"history,omitempty"` // path of a page of what the clients saw
	Seed    uint64   `json:"seed,omitempty"`
	Notes   []string `json:"notes,omitempty"` // anything else worth a line: "not the same on replay: …"
	Trace   string   `json:"trace,omitempty"` // the last events before it, as text
}
