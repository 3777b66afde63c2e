package class

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/result"
)

// ErrIncomplete is wrapped by the error of a merge that lacks results.
var ErrIncomplete = errors.New("incomplete")

// Merge puts the runs of shards together into one run of the whole class, which
// is there whole or not at all. The runs must be of one class and one key. Where
// two have the same submission their results must agree, except in times. It
// returns how many results there are. A result that was changed since it was graded is an error that names it; with the secret
// of hidden seeds also one that was changed together with its hash.
func Merge(dirs []string, out string, secret *Secret) (int, error) {
	if len(dirs) == 0 {
		return 0, usage("no runs to merge")
	}
	if exists(out) {
		return 0, usage("%s is there already: name another folder", out)
	}
	var runs []*result.RunDir
	for _, dir := range dirs {
		run, err := result.ReadRun(dir)
		if errors.Is(err, result.ErrNoRun) {
			return 0, usage("%s is no run: %s is missing", dir, result.RunFile)
		}
		if err != nil {
			return 0, err
		}
		if err := alike(runs, run); err != nil {
			return 0, err
		}
		runs = append(runs, run)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(out)), 0o777); err != nil {
		return 0, fmt.Errorf("class: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(filepath.Clean(out)), ".merge-")
	if err != nil {
		return 0, fmt.Errorf("class: %w", err)
	}
	defer os.RemoveAll(fresh) // of no effect once it is moved
	if err := os.Chmod(fresh, 0o755); err != nil {
		return 0, fmt.Errorf("class: %w", err)
	}
	if err := authentic(runs, secret); err != nil {
		return 0, err
	}
	if err := fill(fresh, runs); err != nil {
		return 0, err
	}
	if err := os.Remove(filepath.Join(fresh, lockFile)); err != nil {
		return 0, fmt.Errorf("class: %w", err)
	}
	if err := os.Rename(fresh, out); err != nil {
		return 0, fmt.Errorf("class: %w", err)
	}
	return len(runs[0].Info.Submissions), syncDir(filepath.Dir(filepath.Clean(out)))
}

// alike refuses a run that was asked for something else than the others.
func alike(runs []*result.RunDir, run *result.RunDir) error {
	if len(runs) == 0 {
		return nil
	}
	first := runs[0]
	if why := InfoDiff(first.Info, run.Info); len(why) > 0 {
		return usage("%s and %s cannot be merged: %s", first.Dir, run.Dir, strings.Join(why, "; "))
	}
	byID := func(s result.RunSubmission) string { return s.ID }
	a, b := each(first.Info.Submissions, byID), each(run.Info.Submissions, byID)
	if !slices.Equal(a, b) {
		return usage("%s and %s are not of the same class: %s", first.Dir, run.Dir, strings.Join(oneSided(first.Dir, a, run.Dir, b), "; "))
	}
	for _, other := range runs {
		o, s := other.Info.Shard, run.Info.Shard
		if o != nil && s != nil && o.Count != s.Count {
			return usage("%s is shard %v and %s is shard %v: the class was cut differently", other.Dir, o, run.Dir, s)
		}
	}
	return nil
}

// authentic returns an error if a result was not graded by someone who knows the secret; without one nothing is known.
func authentic(runs []*result.RunDir, secret *Secret) error {
	if secret == nil {
		return nil
	}
	for _, run := range runs {
		if run.Info.Secret != secret.fingerprint() {
			return usage("%s was graded with another secret, or with none", run.Dir)
		}
		for _, s := range run.Info.Mine() {
			key, err := run.Key(s.ID)
			if errors.Is(err, result.ErrNotGraded) {
				continue
			}
			if err != nil {
				return err
			}
			if !secret.authentic(s.ID, key) {
				return fmt.Errorf("class: %w: %s of %s (batch --resume grades it again)", result.ErrChanged, run.ResultDir(s.ID), s.ID)
			}
		}
	}
	return nil
}

// fill copies every result into the new run and finds out what is missing.
func fill(fresh string, runs []*result.RunDir) error {
	info := runs[0].Info
	info.Shard = nil
	s, err := openStore(fresh, info, nil, false)
	if err != nil {
		return err
	}
	defer s.close()
	var missing []string
	for _, sub := range info.Submissions {
		found, err := find(runs, sub.ID)
		if err != nil {
			return err
		}
		if found == nil {
			missing = append(missing, sub.ID)
			continue
		}
		files := map[string][]byte{}
		for _, name := range []string{result.ResultsFile, result.KeyFile} {
			if files[name], err = os.ReadFile(filepath.Join(found.ResultDir(sub.ID), name)); err != nil {
				return fmt.Errorf("class: %w", err)
			}
		}
		if err := s.putFiles(sub.ID, files); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return incomplete(runs, missing)
	}
	return nil
}

// find finds the run that has a submission's result; if several have, they must agree.
func find(runs []*result.RunDir, id string) (*result.RunDir, error) {
	var found *result.RunDir
	var first *result.Result
	for _, run := range runs {
		graded, err := run.Result(id)
		if errors.Is(err, result.ErrNotGraded) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found == nil {
			found, first = run, graded
			continue
		}
		same, err := SameGrade(first, graded)
		if err != nil {
			return nil, err
		}
		if !same {
			return nil, usage("%s and %s do not agree on %s: grade diff %s %s shows how", found.Dir, run.Dir, id,
				filepath.Join(found.ResultDir(id), result.ResultsFile), filepath.Join(run.ResultDir(id), result.ResultsFile))
		}
	}
	return found, nil
}

// incomplete names the shards that were not given, or else the submissions.
func incomplete(runs []*result.RunDir, missing []string) error {
	var absent []string
	count := 0
	given := map[int]bool{}
	for _, run := range runs {
		if s := run.Info.Shard; s != nil {
			count, given[s.Index] = s.Count, true
		}
	}
	for i := 1; i <= count; i++ {
		if !given[i] {
			absent = append(absent, strconv.Itoa(i)+"/"+strconv.Itoa(count))
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("class: %w: shard %s is missing, and with it %s", ErrIncomplete, strings.Join(absent, ", "), some(missing))
	}
	return fmt.Errorf("class: %w: not graded: %s (finish the run with --resume)", ErrIncomplete, some(missing))
}

// some is the first few names of a list.
func some(names []string) string {
	if len(names) > 10 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), len(names)-10)
	}
	return strings.Join(names, ", ")
}

// SameGrade reports whether two results are the same, except for the times that
// they took and the place that the submission was read from.
func SameGrade(a, b *result.Result) (bool, error) {
	x, err := timeless(a)
	if err != nil {
		return false, err
	}
	y, err := timeless(b)
	return bytes.Equal(x, y), err
}

// timeless is a result as JSON, without what differs from run to run.
func timeless(r *result.Result) ([]byte, error) {
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		return nil, err
	}
	var c result.Result // a copy to change
	if err := json.Unmarshal(text.Bytes(), &c); err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	c.Seconds, c.Source.Path, c.Barriers = 0, "", nil
	c.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) { t.Real = 0 })
	text.Reset()
	err := c.WriteJSON(&text)
	return text.Bytes(), err
}

// InfoDiff lists in what two runs differ on which grades depend.
func InfoDiff(a, b result.RunInfo) []string {
	if a.Key == b.Key {
		return nil
	}
	list := askedDiff(a, b)
	list = differing(list, "grader", a.Grader, b.Grader)
	list = differing(list, "Go", a.Go, b.Go)
	list = differing(list, "isolation", a.Isolation, b.Isolation)
	list = differing(list, "labs, tests and harness", a.Course[:min(12, len(a.Course))], b.Course[:min(12, len(b.Course))])
	if len(list) == 0 {
		list = append(list, "their keys differ")
	}
	return list
}

// askedDiff lists in what two runs differ that was asked for when they were begun.
func askedDiff(a, b result.RunInfo) []string {
	list := differing(nil, "parts", strings.Join(a.Parts, " "), strings.Join(b.Parts, " "))
	list = differing(list, "base", a.Base, b.Base)
	list = differing(list, "seeds a test", a.Seeds, b.Seeds)
	list = differing(list, "hidden seeds", a.Hidden, b.Hidden)
	list = differing(list, "secret", a.Secret, b.Secret)
	return differing(list, "time a test", a.Timeout, b.Timeout)
}

func differing(list []string, what string, x, y any) []string {
	if x, y := fmt.Sprint(x), fmt.Sprint(y); x != y {
		list = append(list, fmt.Sprintf("%s %s against %s", what, quote(x), quote(y)))
	}
	return list
}

func quote(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func each[T, U any](list []T, f func(T) U) []U {
	out := make([]U, len(list))
	for i := range list {
		out[i] = f(list[i])
	}
	return out
}

// oneSided tells what only one of two sorted lists of ids has.
func oneSided(nameA string, a []string, nameB string, b []string) []string {
	only := func(name string, x, y []string) []string {
		var list []string
		for _, id := range x {
			if _, both := slices.BinarySearch(y, id); !both {
				list = append(list, id)
			}
		}
		if len(list) == 0 {
			return nil
		}
		return []string{"only " + name + " has " + some(list)}
	}
	return append(only(nameA, a, b), only(nameB, b, a)...)
}
