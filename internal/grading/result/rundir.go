package result

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"distlabs/internal/grading/course"
)

// RunVersion is the version of the form of run.json.
const RunVersion = 1

// The names of a run directory:
//
//	RUN/run.json                      what was asked, and of which submissions (RunInfo)
//	RUN/submissions/ID/results.json   one graded submission (Result)
//	RUN/submissions/ID/key.json       what that result depends on (Key)
//
// A submission's folder is there whole or not at all. All else that a run
// directory may hold is a function of these files.
const (
	RunFile     = "run.json"
	ResultsFile = "results.json"
	KeyFile     = "key.json"
	resultsDir  = "submissions"
)

// RunInfo is run.json: what a run of a class was asked to do.
type RunInfo struct {
	Version int `json:"version"`
	// Key is a hash of all below that a grade depends on: grader to isolation.
	Key    string   `json:"key"`
	Grader string   `json:"grader"`
	Go     string   `json:"go"`
	Course string   `json:"course"` // hash of the pristine labs, tests and harness
	Parts  []string `json:"parts"`  // the ids of the selected parts: 4A
	// Base is where the labs came from that a graded one builds on; "" for the submission itself.
	Base  course.Origin `json:"base,omitempty"`
	Seeds int           `json:"seeds"` // so many seeds a test; 0: what each test asks for
	// Hidden is how many secret seeds each submission got on top, and Secret a fingerprint of their secret.
	Hidden    int           `json:"hiddenSeeds,omitempty"`
	Secret    string        `json:"secretFingerprint,omitempty"`
	Timeout   time.Duration `json:"timeoutNanoseconds"` // real time a test
	Isolation int           `json:"isolation"`
	// Shard is which part of the class this run is; nil if it is all of it.
	Shard *Shard `json:"shard,omitempty"`
	// Submissions is the whole class, in the order of ids, also in the run of a shard.
	Submissions []RunSubmission `json:"submissions"`
}

// RunSubmission is one of a class.
type RunSubmission struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // the student's, if known
	Path string `json:"path"`           // as it was given
}

// Shard is part Index, from 1, of Count.
type Shard struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// Key is key.json: what one result depends on. If neither hash has
// changed, grading again would only repeat the result.
type Key struct {
	Run        string `json:"run"`        // RunInfo.Key
	Submission string `json:"submission"` // of everything that was read of the submission
	// Results is the SHA-256 of results.json, hexadecimal: it shows a file that was damaged or edited.
	Results string `json:"results"`
	// MAC authenticates this key, and with it the results, to those who have the secret of hidden seeds; "" without one.
	MAC string `json:"mac,omitempty"`
}

// Same reports whether two results depend on the same.
func (k Key) Same(other Key) bool { return k.Run == other.Run && k.Submission == other.Submission }

// Sum returns what Key.Results is for a text of results.json.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// RunDir is a run directory. Nothing but run.json is kept in memory.
type RunDir struct {
	Dir  string
	Info RunInfo
}

var (
	// ErrNoRun says that a folder is no run directory.
	ErrNoRun = errors.New("result: no run directory")
	// ErrNotGraded says that a submission of a run has no result (yet).
	ErrNotGraded = errors.New("result: not graded")
	// ErrChanged says that a result is not the one that was graded.
	ErrChanged = errors.New("result: changed since it was graded")
)

// ReadRun opens a run directory for reading.
func ReadRun(dir string) (*RunDir, error) {
	path := filepath.Join(dir, RunFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", ErrNoRun, path)
	}
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	r := &RunDir{Dir: dir}
	if err := json.Unmarshal(text, &r.Info); err != nil {
		return nil, fmt.Errorf("result: %s: %w", path, err)
	}
	if r.Info.Version != RunVersion {
		return nil, fmt.Errorf("result: %s has version %d, this grader reads %d", path, r.Info.Version, RunVersion)
	}
	return r, nil
}

// Mine lists the submissions that this run is to grade: those of its shard.
func (r *RunInfo) Mine() []RunSubmission {
	if r.Shard == nil {
		return r.Submissions
	}
	var mine []RunSubmission
	for i := r.Shard.Index - 1; i < len(r.Submissions); i += r.Shard.Count {
		mine = append(mine, r.Submissions[i])
	}
	return mine
}

// Results reads the results of the run in the order of run.json, one at a time. Where a submission has none, or one
// that was graded under another key, Result is nil and the error wraps ErrNotGraded; any other error is about the file.
func (r *RunDir) Results() iter.Seq2[RunSubmission, RunResult] {
	return func(yield func(RunSubmission, RunResult) bool) {
		for _, s := range r.Info.Mine() {
			result, err := r.Result(s.ID)
			if !yield(s, RunResult{Result: result, Err: err}) {
				return
			}
		}
	}
}

// RunResult is a submission's result, or why there is none.
type RunResult struct {
	Result *Result
	Err    error
}

// Result reads the result of one submission; see Results for the error.
func (r *RunDir) Result(id string) (*Result, error) {
	key, err := r.Key(id)
	if err != nil {
		return nil, err
	}
	if key.Run != r.Info.Key {
		return nil, fmt.Errorf("%w: %s has a result of an earlier run only (finish this one with --resume)", ErrNotGraded, id)
	}
	path := filepath.Join(r.ResultDir(id), ResultsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	if Sum(text) != key.Results {
		return nil, r.changed(id)
	}
	return decode(path, text)
}

// changed is an error that wraps ErrChanged and names the submission and its file.
func (r *RunDir) changed(id string) error {
	return fmt.Errorf("%w: %s of %s (batch --resume grades it again)", ErrChanged, filepath.Join(r.ResultDir(id), ResultsFile), id)
}

// ResultDir is the folder of one submission's result.
func (r *RunDir) ResultDir(id string) string { return filepath.Join(r.Dir, resultsDir, id) }

// Key reads what a submission's result depends on; the error wraps ErrNotGraded if it has none.
func (r *RunDir) Key(id string) (Key, error) {
	var key Key
	path := filepath.Join(r.ResultDir(id), KeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return key, fmt.Errorf("%w: %s has no result in %s", ErrNotGraded, id, r.Dir)
	}
	if err != nil {
		return key, fmt.Errorf("result: %w", err)
	}
	if err := json.Unmarshal(text, &key); err != nil {
		return key, fmt.Errorf("result: %s: %w", path, err)
	}
	return key, nil
}
