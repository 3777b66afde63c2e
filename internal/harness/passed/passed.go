// Package passed keeps the tests of a lab that passed under plain go test, with the files on which they passed: so that
// a part that passes there counts on the learner's screen as one that passes under grade does. It earns no points.
package passed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Run is the tests that passed on one state of a lab's folder, in one run of go test or in several.
type Run struct {
	Files map[string]string `json:"files"` // by name: the sum of each .go file of the folder
	Tests []string          `json:"tests"` // in alphabetical order
}

// kept is how many states of a folder are remembered, the latest ones.
const kept = 20

// File is where a lab's folder has it.
const File = ".labs/passed.json"

func file(dir string) string { return filepath.Join(dir, filepath.FromSlash(File)) }

// Sum names a file's content.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Load returns what is remembered of a lab's folder, the latest first. What cannot be read is as good as nothing.
func Load(dir string) []Run {
	text, err := os.ReadFile(file(dir))
	var runs []Run
	if err != nil || json.Unmarshal(text, &runs) != nil {
		return nil
	}
	return runs
}

// Add remembers that tests passed in a lab's folder, in a binary that was built at the given time. If a source was
// written since, nobody knows what they passed on, and nothing is remembered.
func Add(dir string, built time.Time, tests []string) error {
	files, last, err := sources(dir)
	if err != nil || len(tests) == 0 || !last.Before(built) {
		return err
	}
	now := Run{Files: files, Tests: slices.Clone(tests)}
	runs := slices.DeleteFunc(Load(dir), func(r Run) bool {
		same := maps.Equal(r.Files, files)
		if same {
			now.Tests = append(now.Tests, r.Tests...)
		}
		return same
	})
	slices.Sort(now.Tests)
	now.Tests = slices.Compact(now.Tests)
	runs = append([]Run{now}, runs...)
	text, err := json.Marshal(runs[:min(len(runs), kept)])
	if err != nil {
		return fmt.Errorf("passed: %w", err)
	}
	return replace(file(dir), append(text, '\n'))
}

// sources returns the sums of the folder's .go files, and when the last of them was written.
func sources(dir string) (sums map[string]string, last time.Time, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, last, fmt.Errorf("passed: %w", err)
	}
	sums = map[string]string{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, last, fmt.Errorf("passed: %w", err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, last, fmt.Errorf("passed: %w", err)
		}
		if info.ModTime().After(last) {
			last = info.ModTime()
		}
		sums[filepath.Base(path)] = Sum(text)
	}
	return sums, last, nil
}

// replace puts a whole file in place at once: the learner's screen may read it at any time.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("passed: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("passed: %w", err)
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("passed: %w", err)
	}
	return nil
}
