package workspace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/plain"
)

// toolchain is the Go that builds, and the caches that all builds share.
type toolchain struct {
	Root     string `json:"GOROOT"`
	Cache    string `json:"GOCACHE"`
	ModCache string `json:"GOMODCACHE"`
	Version  string `json:"GOVERSION"`
}

// findToolchain asks the user's go command, in the course's folder, so that a
// toolchain that go.mod asks for is the one that is found.
func findToolchain(ctx context.Context, root string) (toolchain, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOROOT", "GOCACHE", "GOMODCACHE", "GOVERSION")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return toolchain{}, fmt.Errorf("workspace: the go command does not work (try grade doctor): %w", err)
	}
	var t toolchain
	if err := json.Unmarshal(out, &t); err != nil {
		return toolchain{}, fmt.Errorf("workspace: go env: %w", err)
	}
	return t, nil
}

func (t toolchain) command() string { return filepath.Join(t.Root, "bin", "go") }

// env is the environment of a build. Nothing of the user's reaches it but the
// path, which the C compiler needs, and the caches: a go env file, a workspace
// or a GOFLAGS left by an earlier submission must not change a grade.
func (t toolchain) env(home, tmp string) []string {
	env := []string{
		"PATH=" + filepath.Join(t.Root, "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + home, "USERPROFILE=" + home,
		"TMPDIR=" + tmp, "TMP=" + tmp, "TEMP=" + tmp, "GOTMPDIR=" + tmp,
		"GOCACHE=" + t.Cache, "GOMODCACHE=" + t.ModCache,
		"GOGC=400", // memory is cheaper than time here
		"GOENV=off", "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=1",
	}
	return append(env, SystemEnv()...)
}

// newHome makes a folder that env can name as home: one in which go keeps no counters. The process that go starts for them outlives it, and
// would make folders again that have just been removed.
func newHome(home string) error {
	for _, config := range []string{".config", filepath.Join("Library", "Application Support")} { // where Linux and macOS have it
		dir := filepath.Join(home, config, "go", "telemetry")
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o666); err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
	}
	return nil
}

// SystemEnv is the environment without which programs cannot start on Windows; it is empty elsewhere.
func SystemEnv() []string {
	var env []string
	for _, name := range []string{"SystemRoot", "ComSpec", "PATHEXT"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// testArgs are the arguments of go test that build the test binary of a package.
//
// Not -cover: with -overlay it silently compiles the file that is to be
// replaced (golang/go issue 73802).
func testArgs(binary, dir string, o options) []string {
	// -s: no tables for debuggers, which nobody starts here; linking is a third faster.
	args := []string{"-c", fmt.Sprintf("-race=%t", !o.plain), "-trimpath", "-buildvcs=false", "-ldflags=-s", "-vet=off", "-o", binary}
	if o.unchecked && !o.plain {
		args = append(args, "-gcflags=all=-d=checkptr=0")
	}
	return append(args, "./"+dir)
}

// options are what Workspace lets a caller choose of a build.
type options struct{ plain, unchecked bool }

func (w *Workspace) options() options { return options{plain: w.Plain, unchecked: w.Unchecked} }

// modulesMissing is what go says when a build needs a module that is not in the cache: builds have no network.
const modulesMissing = "module lookup disabled by GOPROXY=off"

// fetchModules fills the module cache with what the pristine labs are built from, in the user's own environment:
// on a new machine the command that runs the grader has fetched only what the grader itself needs.
func (t toolchain) fetchModules(ctx context.Context, root string) error {
	cmd := exec.CommandContext(ctx, t.command(), "list", "-deps", "-test", "./labs/...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("workspace: the modules that the labs need cannot be fetched (try go mod download): %s", plain.FirstLine(stderr.String()))
	}
	return nil
}

// maxCompileError is how many bytes of a compiler's error are shown: it may quote a name that is as long as a file.
const maxCompileError = 1000

// maxCompileErrors is how many of the compiler's errors are shown.
const maxCompileErrors = 10

var compileError = regexp.MustCompile(`^(?:\./)?([^\s:]+\.go):\d+(:\d+)?: .+`)

// compileErrors picks the errors in the lab's own folder from the output of a
// failed build. An error anywhere else is not the student's, and is returned as one.
func compileErrors(lab course.Lab, output string) ([]string, error) {
	var list []string
	for line := range strings.Lines(output) {
		line = plain.Text(plain.Cut(asImported.Replace(strings.TrimSpace(line)), maxCompileError))
		match := compileError.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		if !strings.HasPrefix(filepath.ToSlash(match[1]), lab.Dir()+"/") {
			return nil, errors.New(line)
		}
		list = append(list, strings.TrimPrefix(line, "./"))
	}
	if len(list) == 0 {
		return nil, errors.New(plain.FirstLine(output))
	}
	if n := len(list) - maxCompileErrors; n > 0 {
		list = append(list[:maxCompileErrors], fmt.Sprintf("and %d more", n))
	}
	return list, nil
}
