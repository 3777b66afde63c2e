package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"distlabs/internal/grading/sandbox"
)

var wasmEnv = []string{"GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0"}

// BuildWasm makes the lab's test binary for a browser, with one test only or, if test is "", with its scenarios only, unless the lab was refused, and returns its path. What does not compile is
// refused, as Build has it; "" says so. No stub takes the place of a file that does not compile: a person plays with the code that is there.
func (w *Workspace) BuildWasm(ctx context.Context, p *Lab, test string) (path string, err error) {
	if p.Refused != "" {
		return "", nil
	}
	release, err := w.b.Slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	doubt, err := w.admit(ctx, p)
	if err != nil || p.Refused != "" {
		return "", err
	}
	path = filepath.Join(w.dir, p.ID+".wasm")
	// -w: no tables for debuggers at all; the file is a third smaller. -l: no function is copied into its callers, which takes another
	// tenth once the file is compressed.
	args := []string{"-c", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-gcflags=all=-l", "-o", path, "./" + p.Dir()}
	only, err := w.scenarioOverlay(p, test)
	if err != nil {
		return "", err
	}
	out := sandbox.Outcome{Exit: 1}
	if only != nil {
		out, err = w.compileWith(ctx, p.Lab, args, only, wasmEnv...)
	}
	if err == nil && out.Exit != 0 && out.Stopped == "" { // the compiler says what is wrong in the files as they are
		out, err = w.compileWith(ctx, p.Lab, args, nil, wasmEnv...)
	}
	switch {
	case err != nil:
		return "", err
	case out.Exit == 0 && out.Stopped == "" && doubt != "":
		p.Refused = notRead(doubt)
		return "", nil
	case out.Exit == 0 && out.Stopped == "":
		return path, nil
	case out.Stopped != "":
		return "", fmt.Errorf("workspace: building %s for the browser: it %s", p.ID, out.Stopped)
	}
	if p.Compile, err = compileErrors(p.Lab, string(out.Output)); err != nil {
		return "", fmt.Errorf("workspace: building %s for the browser (try grade doctor): %w", p.ID, err)
	}
	p.Refused = "does not compile: " + p.Compile[0]
	return "", nil
}

// WasmExec is the script of the Go toolchain that runs a binary in a browser.
func (b *Builder) WasmExec() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(b.tools.Root, "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, fmt.Errorf("workspace: this Go toolchain has no lib/wasm/wasm_exec.js: %w", err)
	}
	return text, nil
}
