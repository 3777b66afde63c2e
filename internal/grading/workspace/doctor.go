package workspace

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"distlabs/internal/grading/plain"
	"distlabs/internal/grading/sandbox"
)

// Check is one thing that grading needs of this machine.
type Check struct {
	Name string
	OK   bool
	Is   string // what was found
	Do   string // what to do, when not OK
}

// raceProgram has a data race that the detector cannot miss.
const raceProgram = `package main

import "sync"

func main() {
	var n int
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 1000 {
				n++
			}
		})
	}
	wg.Wait()
}
`

// Doctor checks this machine for everything that grading needs. root is the
// course's folder. The error is only about ctx or the lack of scratch space.
func Doctor(ctx context.Context, root string) ([]Check, error) {
	var checks []Check
	add := func(name string, err error, is, do string) bool {
		c := Check{Name: name, OK: err == nil, Is: is}
		if err != nil {
			c.Is, c.Do = plain.Text(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "workspace: "), "sandbox: ")), do
		}
		checks = append(checks, c)
		return c.OK
	}
	tools, err := findToolchain(ctx, root)
	if err == nil {
		err = recentEnough(root, tools.Version)
	}
	if !add("go", err, tools.Version+" in "+tools.Root, "install Go from https://go.dev/dl") {
		return checks, ctx.Err()
	}
	scratch, err := os.MkdirTemp("", "grade-")
	if err == nil {
		err = newHome(scratch)
	}
	if !add("scratch folder", err, os.TempDir(), "set TMPDIR to a folder that is writable") {
		return checks, ctx.Err()
	}
	defer os.RemoveAll(scratch)
	compiler, err := findCompiler(ctx, tools, root)
	add("C compiler", err, compiler, "-race needs one: install gcc or clang (on macOS: xcode-select --install)")
	add("build cache", writable(tools.Cache), tools.Cache, "make the folder writable, or set GOCACHE to one that is")
	add("module cache", modulesPresent(ctx, tools, root, scratch), tools.ModCache, "run: go mod download")
	add("race detector", raceWorks(ctx, tools, scratch), "finds a race in a test program",
		"see https://go.dev/doc/articles/race_detector#Requirements")
	box, err := sandbox.Find(ctx, scratch)
	add("isolation", err, box.Isolation.String(), "see docs/isolation.md")
	return checks, ctx.Err()
}

var goLine = regexp.MustCompile(`(?m)^go\s+(\S+)`)

// recentEnough holds the toolchain against the go line of go.mod.
func recentEnough(root, have string) error {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	if m := goLine.FindStringSubmatch(string(text)); m != nil && version.Compare(have, "go"+m[1]) < 0 {
		return fmt.Errorf("%s is older than go%s, which the course needs", have, m[1])
	}
	return nil
}

// findCompiler finds the C compiler that cgo would run.
func findCompiler(ctx context.Context, t toolchain, root string) (string, error) {
	cmd := exec.CommandContext(ctx, t.command(), "env", "CC")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return exec.LookPath(name)
}

func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "grade-doctor-")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// modulesPresent checks that the packages a lab is built from need no network.
func modulesPresent(ctx context.Context, t toolchain, root, scratch string) error {
	cmd := exec.CommandContext(ctx, t.command(), "list", "-deps", "-test", "./labs/...")
	cmd.Dir, cmd.Env = root, t.env(scratch, scratch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s", plain.FirstLine(string(out)))
	}
	return nil
}

// raceWorks builds a program that has a race and checks that it is found.
func raceWorks(ctx context.Context, t toolchain, scratch string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	main, binary := filepath.Join(scratch, "main.go"), filepath.Join(scratch, "race.exe")
	if err := os.WriteFile(main, []byte(raceProgram), 0o666); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, t.command(), "build", "-race", "-trimpath", "-o", binary, main)
	build.Dir, build.Env = scratch, t.env(scratch, scratch)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build -race: %s", plain.FirstLine(string(out)))
	}
	run := exec.CommandContext(ctx, binary)
	run.Env = append(SystemEnv(), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	out, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "WARNING: DATA RACE") {
		return fmt.Errorf("a program with a data race went unnoticed")
	}
	return nil
}
