// Package supervise watches over the tests of a lab from outside their process.
//
// A panic in a student's goroutine, a fatal error, os.Exit or a data race ends
// or marks the whole test process, where no harness can say a word about it. So
// the test binary starts itself once more, as a child that runs the tests, and
// says afterwards what happened, where, and how to see it again.
package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"distlabs/internal/harness/globals"
	"distlabs/internal/harness/report"
)

// outputGrace is how long the supervisor waits for output after the child has
// exited, in case that the child left a process that holds its stderr.
const outputGrace = 2 * time.Second

// Main runs the tests in a child process, explains how they died if they did,
// and exits with the child's status. It never returns.
//
// All tests of a lab it runs in several children where there are processors, each test in one of them (see crew).
//
// In a lab's folder, where go test runs it, it reads the student's files first: code whose nodes share memory proves
// nothing, so its tests do not run (package globals says why).
//
// It runs them in this process instead if LABS_DIRECT is set, as it is in the
// child and as a person sets it to use a debugger; if another supervisor gave
// this process a results channel; for -test.list and for fuzzing, which starts
// children of its own; and if no child can be started.
func Main(m interface{ Run() int }) {
	if runtime.GOOS == "js" { // a browser starts no processes: its program does without what this takes
		os.Exit(m.Run())
		return
	}
	if direct() {
		os.Exit(m.Run())
	}
	if shared := sharedMemory(); shared != "" {
		fmt.Fprintf(os.Stdout, "%s\nFAIL\n", shared)
		exitNow(1)
	}
	code, err := supervise()
	if err != nil {
		os.Exit(m.Run())
	}
	// os.Exit would have the race detector sleep a second in this process too,
	// which has no goroutine of a student's to report on.
	exitNow(code)
}

// sharedMemory is the sentence about memory that the nodes of a lab would share; "" if there is none, or if this is no lab.
func sharedMemory() string {
	if _, err := os.Stat("lab.yaml"); err != nil {
		return ""
	}
	return globals.CheckDir(".")
}

func direct() bool {
	for _, name := range []string{report.DirectEnv, report.ResultsEnv} {
		if _, set := os.LookupEnv(name); set {
			return true
		}
	}
	return slices.ContainsFunc(os.Args[1:], func(arg string) bool {
		arg = strings.TrimLeft(arg, "-")
		return strings.HasPrefix(arg, "test.list") || strings.HasPrefix(arg, "test.fuzz=") || strings.HasPrefix(arg, "test.fuzzworker")
	})
}

// supervise runs the children to their end and reports on them. The error says that no
// child was started.
func supervise() (code int, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// The thread that starts a child stays, as its end would end the child
	// where endWithParent has an effect.
	runtime.LockOSThread()
	pass, stop := passSignals() // before a child says anything: who reads it may send one
	defer stop()
	crew, err := newCrew(os.Args[1:])
	if err != nil {
		return 0, err
	}
	defer crew.remove()
	for i := range crew.size {
		c, err := crew.start(exe, i)
		switch {
		case err == nil:
			crew.children = append(crew.children, c)
		case i == 0:
			return 0, err
		}
	}
	go pass(crew.processes())
	for _, c := range crew.children {
		c.wait()
	}
	crew.joinLogs()
	crew.printer.end()
	for _, c := range crew.children {
		ending := ending{state: c.cmd.ProcessState, stderr: c.stderr, races: c.races.text()}
		status := explain(os.Stdout, c.story, ending)
		remember(c.story, status, len(ending.races) > 0)
		code = max(code, status)
		c.close()
	}
	return code, nil
}

// child is a process that runs tests.
type child struct {
	cmd       *exec.Cmd
	receiver  *report.Receiver
	collected chan error
	story     *story
	stderr    *holder
	races     raceLog
}

// wait waits until the child is over and all is read that it had to say.
func (c *child) wait() {
	c.cmd.Wait() // its error is the child's status, which explain reads
	c.receiver.Ended()
	c.story.channelErr = <-c.collected
}

func (c *child) close() {
	c.races.remove()
	c.receiver.Close()
}
