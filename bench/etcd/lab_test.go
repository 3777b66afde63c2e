package replication

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLab runs lab 05's tests with this folder's code in the place of the lab's. The tests import the lab's package by its
// path, so the go command is told to read these files there (go help build, -overlay).
func TestLab(t *testing.T) {
	lab, err := filepath.Abs("../../labs/05-replication")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	stubs, err := filepath.Glob(filepath.Join(lab, "*.go"))
	if err != nil || len(stubs) == 0 {
		t.Fatalf("no files of lab 05 in %s: %v", lab, err)
	}
	for _, stub := range stubs {
		if !isTest(stub) {
			replace[stub] = "" // not there
		}
	}
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range own {
		if !isTest(name) {
			path, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(lab, name)] = path
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-overlay", file}
	if pattern := os.Getenv("LAB_RUN"); pattern != "" {
		args = append(args, "-run", pattern)
	}
	out, err := exec.Command("go", append(args, "distlabs/labs/05-replication")...).CombinedOutput()
	if err != nil {
		t.Errorf("go %v: %v\n%s", args, err, out)
	}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }
