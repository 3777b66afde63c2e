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

// supervise runs the child to its end and reports on it. The error says that no
// child was started.
func supervise() (code int, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	receiver, err := report.NewReceiver()
	if err != nil {
		return 0, err
	}
	defer receiver.Close()
	child := exec.Command(exe, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Stdin, child.Stdout = os.Stdin, os.Stdout
	stderr := &holder{out: os.Stderr}
	child.Stderr = stderr
	child.WaitDelay = outputGrace
	receiver.Attach(child)
	races, err := watchRaces(child)
	if err != nil {
		return 0, err
	}
	defer races.remove()

	// The thread that starts the child stays, as its end would end the child
	// where endWithParent has an effect.
	runtime.LockOSThread()
	endWithParent(child)
	pass, stop := passSignals() // before the child says anything: who reads it may send one
	defer stop()
	err = child.Start()
	receiver.Started()
	if err != nil {
		return 0, err
	}
	go pass(child.Process)

	story := newStory()
	collected := make(chan error, 1)
	go func() {
		_, err := receiver.Collect(story.add)
		collected <- err
	}()
	child.Wait() // its error is the child's status, which explain reads
	receiver.Ended()
	story.channelErr = <-collected
	end := ending{state: child.ProcessState, stderr: stderr, races: races.text()}
	code = explain(os.Stdout, story, end)
	remember(story, code, len(end.races) > 0)
	return code, nil
}
