// Package gradetest runs the tests of packages that grade.
package gradetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/sandbox"
)

// LauncherEnv names the variable that says, to a test that starts itself again, where the program is that [Fast] builds.
const LauncherEnv = "GRADETEST_LAUNCHER"

// Main runs tests, as testing.M does, and returns the status of the process. The process serves the grader as the gate and
// as the launcher of confined processes, where it was started as one of them.
func Main(tests interface{ Run() int }) int {
	gate.Serve()
	sandbox.Serve()
	return tests.Run()
}

// Fast is Main for tests that start thousands of those: they have a program of their own, built without the race detector, which needs
// a fifth of the time to start and to check types.
func Fast(tests interface{ Run() int }) int { return Main(fast{tests}) }

type fast struct{ tests interface{ Run() int } }

func (f fast) Run() int {
	if os.Getenv(LauncherEnv) == "" {
		dir, err := build()
		defer os.RemoveAll(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gradetest:", err)
			return 1
		}
		os.Setenv(LauncherEnv, filepath.Join(dir, "launcher"))
	}
	sandbox.ServeWith(os.Getenv(LauncherEnv))
	return f.tests.Run()
}

// build builds the launcher in a folder of its own, which every user may read: an ordinary user's tests start it, too.
func build() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "gradetest-"); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "launcher"), "distlabs/internal/grading/gradetest/launcher")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, os.Chmod(dir, 0o755)
}
