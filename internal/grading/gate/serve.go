package gate

import (
	"encoding/json"
	"fmt"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/course"
)

// Request asks a process to Check the labs of a workspace.
type Request struct {
	Labs     []course.Lab      // each after those that it builds on; the last is the one to judge
	Root     string            // of the workspace: it has the labs as they will be built, and their tests
	Pristine string            // the course's root, for the stubs
	Packages map[string]string // where export data lies, by import path
	Answer   string            // the file to write the verdict to
}

// serveEnv names the variable that makes a process of this program one that checks.
const serveEnv = "GRADE_GATE"

// served is whether this program can check in a process of its own.
var served bool

// Serve turns this process into one that checks a submission, if the grader started it as one. It returns otherwise. A
// program that grades calls it first in main; without it, submissions are checked in the grader's own process, which a
// source that keeps the type checker busy could then stall.
func Serve() {
	text, ok := os.LookupEnv(serveEnv)
	if !ok {
		served = true
		return
	}
	var r Request
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Process returns the environment that makes a process of this program answer the request; ok is false if the program does
// not call Serve.
func (r Request) Process() (env []string, ok bool, err error) {
	text, err := json.Marshal(r)
	// GORACE: a program that is built with the race detector sleeps for a second at its end.
	return []string{serveEnv + "=" + string(text), "GOMAXPROCS=1", "GOGC=400", "GORACE=atexit_sleep_ms=0"}, served, err
}

func (r Request) serve() error {
	v, err := r.Check()
	if err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	if err := os.WriteFile(r.Answer, text, 0o600); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	return nil
}

// ReadAnswer reads the verdict that a process wrote.
func (r Request) ReadAnswer() (Verdict, error) {
	var v Verdict
	text, err := os.ReadFile(r.Answer)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return v, fmt.Errorf("gate: no verdict: %w", err)
	}
	return v, nil
}

// Check answers the request in this process. What is wrong with a lab that the last one builds on is in its own verdict.
func (r Request) Check() (v Verdict, err error) {
	packages := NewPackages(r.Packages)
	labs := map[string]*types.Package{}
	for _, lab := range r.Labs {
		src := Source{Lab: lab, Labs: maps.Clone(labs)}
		for _, part := range []struct {
			to   *map[string][]byte
			dir  string
			want func(name string) bool
		}{
			{&src.Files, filepath.Join(r.Root, lab.Dir()), func(name string) bool { return !course.IsTest(name) }},
			{&src.Tests, filepath.Join(r.Root, lab.Dir()), course.IsTest},
			{&src.Stubs, filepath.Join(r.Pristine, lab.StubDir()), func(string) bool { return true }},
		} {
			if *part.to, err = read(part.dir, part.want); err != nil {
				return v, err
			}
		}
		v = packages.Check(src)
		labs[course.Module+"/"+lab.Dir()] = v.Types
	}
	return v, nil
}

// read reads the Go files of a folder that are wanted; none if it is not there.
func read(dir string, want func(name string) bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("gate: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || !want(e.Name()) {
			continue
		}
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("gate: %w", err)
		}
	}
	return files, nil
}
