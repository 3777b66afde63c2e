package class

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"distlabs/internal/grading/filelock"
	"distlabs/internal/grading/result"
)

// store is a run directory that is being written. Its lock goes with the
// process, however that ends.
type store struct {
	run    *result.RunDir
	secret *Secret // that authenticates results; nil for none
	lock   *os.File
}

// The names of what a run directory holds only while it is written.
const (
	lockFile  = ".lock"
	newPrefix = ".new-"
	oldPrefix = ".old-"
)

// openStore makes or, with resume, goes on with a run directory.
func openStore(dir string, info result.RunInfo, secret *Secret, resume bool) (*store, error) {
	if err := os.MkdirAll(filepath.Join(dir, "submissions"), 0o777); err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	s := &store{run: &result.RunDir{Dir: dir, Info: info}, secret: secret}
	var err error
	if s.lock, err = filelock.Take(filepath.Join(dir, lockFile)); errors.Is(err, filelock.ErrTaken) {
		return nil, usage("another grader is writing to %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	if err := s.begin(resume); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) begin(resume bool) error {
	before, err := result.ReadRun(s.run.Dir)
	switch {
	case errors.Is(err, result.ErrNoRun): // nothing was begun here
	case err != nil:
		return err
	case !resume:
		return usage("%s holds a run already: go on with it by --resume, or name another folder", s.run.Dir)
	case !sameShard(before.Info.Shard, s.run.Info.Shard):
		return usage("%s is %s of its class, not %s: name that, or another folder", s.run.Dir, shardName(before.Info.Shard), shardName(s.run.Info.Shard))
	default:
		if err := sameRun(s.run.Dir, before.Info, s.run.Info); err != nil {
			return err
		}
	}
	if err := s.sweep(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s.run.Info, "", "  ")
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return replaceFile(s.run.Dir, result.RunFile, append(text, '\n'))
}

// sameRun refuses to go on with a run that was asked for something else: its results would be overwritten, and those of
// submissions that are not named again would be lost without a word. What may differ is what was graded with: the
// grader, Go, the labs' texts. Then results are made again.
func sameRun(dir string, before, now result.RunInfo) error {
	if list := askedDiff(before, now); len(list) > 0 {
		return usage("%s was begun with other demands (there, then now): %s; ask for the same, or name another folder by --out", dir, strings.Join(list, "; "))
	}
	has := map[string]bool{}
	for _, s := range now.Submissions {
		has[s.ID] = true
	}
	var gone []string
	for _, s := range before.Submissions {
		if !has[s.ID] {
			gone = append(gone, s.ID)
		}
	}
	if len(gone) > 0 {
		return usage("%s has submissions that are not in the class any more: %s; give them again, or name another folder by --out", dir, some(gone))
	}
	return nil
}

// sweep removes what an earlier process did not finish.
func (s *store) sweep() error {
	entries, err := os.ReadDir(s.run.Dir)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), newPrefix) || strings.HasPrefix(e.Name(), oldPrefix) {
			if err := os.RemoveAll(filepath.Join(s.run.Dir, e.Name())); err != nil {
				return fmt.Errorf("class: %w", err)
			}
		}
	}
	return nil
}

func (s *store) close() error { return s.lock.Close() }

// has reports whether the run has this very result. One that cannot be read is none; one that is not what was graded is
// changed, and none either.
func (s *store) has(id string, key result.Key) (has, changed bool) {
	have, err := s.run.Key(id)
	if err != nil || !have.Same(key) {
		return false, false
	}
	_, err = s.run.Result(id)
	if errors.Is(err, result.ErrChanged) || err == nil && !s.secret.authentic(id, have) {
		return false, true
	}
	return err == nil, false
}

// put stores a result, whole or not at all: its folder is made elsewhere, is on
// the disk before it is moved, and is moved in one step.
func (s *store) put(id string, graded *result.Result, key result.Key) error {
	var text bytes.Buffer
	if err := graded.WriteJSON(&text); err != nil {
		return err
	}
	key.Results = result.Sum(text.Bytes())
	keyText, err := json.MarshalIndent(s.secret.authenticate(id, key), "", "  ")
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return s.putFiles(id, map[string][]byte{result.ResultsFile: text.Bytes(), result.KeyFile: append(keyText, '\n')})
}

func (s *store) putFiles(id string, files map[string][]byte) error {
	fresh, err := os.MkdirTemp(s.run.Dir, newPrefix)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	defer os.RemoveAll(fresh) // of no effect once it is moved
	if err := os.Chmod(fresh, 0o755); err != nil {
		return fmt.Errorf("class: %w", err)
	}
	for name, text := range files {
		if err := writeSynced(filepath.Join(fresh, name), text); err != nil {
			return err
		}
	}
	if err := syncDir(fresh); err != nil {
		return err
	}
	final := s.run.ResultDir(id)
	err = os.Rename(fresh, final)
	if errors.Is(err, fs.ErrExist) || err != nil && exists(final) {
		// A result of an earlier run is in the way. Between the two moves there is none, which the next
		// --resume makes good.
		old := filepath.Join(s.run.Dir, oldPrefix+filepath.Base(fresh))
		defer os.RemoveAll(old)
		if err := os.Rename(final, old); err != nil {
			return fmt.Errorf("class: %w", err)
		}
		err = os.Rename(fresh, final)
	}
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return syncDir(filepath.Dir(final))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// replaceFile writes a file of a folder, whole or not at all.
func replaceFile(dir, name string, text []byte) error {
	fresh := filepath.Join(dir, newPrefix+name)
	if err := writeSynced(fresh, text); err != nil {
		return err
	}
	if err := os.Rename(fresh, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return syncDir(dir)
}

func writeSynced(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("class: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("class: %w", err)
	}
	return nil
}
