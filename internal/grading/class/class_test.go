package class

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/workspace"
)

// fixture returns the grader's own small course.
func fixture(t *testing.T) (*reader, []course.Selected) {
	root, err := filepath.Abs("../course/testdata/course")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	scratch, err := workspace.NewScratch()
	require.NoError(t, err)
	t.Cleanup(func() { scratch.Remove() })
	selected, err := c.Select("01")
	require.NoError(t, err)
	return newReader(c, scratch, selected), selected
}

// Every kind of class gives each submission an id that can name a folder.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain/echo.go", "Ada Lovelace_12_assignsubmission_file_/echo.zip", "hopperg_LATE_7_99_lab.zip",
		"hamilton_8_100_echo.go", "hamilton_8_101_shout-1.go", "Émilie du Châtelet/echo.go", "x.tar.gz", "y.rar", "notes.txt", ".git/config", "__MACOSX/a.zip"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte("package echo"), 0o666))
	}
	c, err := Find([]string{dir})
	require.NoError(t, err)
	var got []string
	for _, s := range c.Submissions {
		got = append(got, s.ID)
		require.Regexp(t, idForm, s.ID)
	}
	require.Equal(t, []string{"Ada_Lovelace_12", "hamilton_8", "hopperg_7", "plain", "x", "y", "Émilie_du_Châtelet"}, got)
	require.Equal(t, "Ada Lovelace", c.Submissions[0].Name)
	require.Equal(t, []string{"notes.txt"}, c.Ignored)

	r, _ := fixture(t)
	held, why, err := r.read(c.Submissions[1])
	require.NoError(t, err)
	require.Empty(t, why)
	require.Len(t, held["01-echo"].Text, 2, "both of a student's loose files")
	require.NoError(t, c.Close())

	several, err := Find([]string{filepath.Join(dir, "plain"), filepath.Join(dir, "x.tar.gz")})
	require.NoError(t, err)
	require.Len(t, several.Submissions, 2)
}

func TestRosterRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no columns", "student,file\n", `want columns named id, name and path`},
		{"an id that leads out", "id,path\n../x,a\n", `r.csv:2: the id "../x" cannot name a folder`},
		{"an id twice", "id,path\na,\nA,\n", `two submissions are called "A" and "a"`},
		{"a quote that never ends", "id,path\n\"a,b\n", "r.csv: "},
		{"nobody", "id,path\n", "no submissions in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.csv")
			require.NoError(t, os.WriteFile(path, []byte(tc.text), 0o666))
			_, err := Find([]string{path})
			require.ErrorIs(t, err, ErrUsage)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// A submission's folder is there whole or not at all, also while it is replaced.
func TestStoreIsAtomic(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir, result.RunInfo{Version: result.RunVersion, Key: "k"}, nil, false)
	require.NoError(t, err)
	defer s.close()
	done := make(chan struct{})
	seen := make(chan error, 1)
	looked := 0
	go func() {
		for {
			select {
			case <-done:
				seen <- nil
				return
			default:
			}
			names, ok := listedInPlace(s.run.ResultDir("a"))
			if ok {
				looked++
			}
			if ok && len(names) != 2 {
				seen <- fmt.Errorf("half a result: %v", names)
				return
			}
			if text, err := os.ReadFile(filepath.Join(s.run.ResultDir("a"), result.ResultsFile)); err == nil && !json.Valid(text) {
				seen <- fmt.Errorf("half a file: %q", text)
				return
			}
		}
	}()
	for i := range 50 {
		graded := &result.Result{Version: result.Version, Go: strings.Repeat("x", 100_000)}
		require.NoError(t, s.put("a", graded, result.Key{Run: "k", Submission: fmt.Sprint(i)}))
		has, changed := s.has("a", result.Key{Run: "k", Submission: fmt.Sprint(i)})
		require.True(t, has && !changed)
	}
	close(done)
	require.NoError(t, <-seen)
	require.Positive(t, looked)
	left, err := filepath.Glob(filepath.Join(dir, ".*-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	_, err = openStore(dir, s.run.Info, nil, true)
	require.ErrorIs(t, err, ErrUsage)
	require.ErrorContains(t, err, "another grader is writing")
}

// listedInPlace is what a folder holds, and whether that folder had its name from before the listing to after it. One
// that is opened and then replaced is listed where it is removed, file by file.
func listedInPlace(path string) ([]string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, false
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, false
	}
	named, err := os.Stat(path)
	return names, err == nil && os.SameFile(opened, named)
}

func TestShardFrom(t *testing.T) {
	slurm := func(id, low, count, step string) map[string]string {
		return map[string]string{"SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_MIN": low, "SLURM_ARRAY_TASK_COUNT": count, "SLURM_ARRAY_TASK_STEP": step}
	}
	for _, tc := range []struct {
		name  string
		env   map[string]string
		count int
		want  string
		err   string
	}{
		{name: "no engine", want: "<nil>"},
		{name: "Kubernetes", env: map[string]string{"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "4"}, want: "1/4"},
		{name: "Kubernetes, counted by us", env: map[string]string{"JOB_COMPLETION_INDEX": "3"}, count: 4, want: "4/4"},
		{name: "Kubernetes, not counted", env: map[string]string{"JOB_COMPLETION_INDEX": "3"}, err: "set JOB_COMPLETIONS, or give --shards"},
		{name: "Kubernetes, too high", env: map[string]string{"JOB_COMPLETION_INDEX": "4", "JOB_COMPLETIONS": "4"}, err: "none of 4 tasks"},
		{name: "Slurm from 0", env: slurm("7", "0", "8", "1"), want: "8/8"},
		{name: "Slurm from 1", env: slurm("1", "1", "8", "1"), want: "1/8"},
		{name: "Slurm in steps", env: slurm("5", "1", "4", "2"), want: "3/4"},
		{name: "Slurm off the steps", env: slurm("4", "1", "4", "2"), err: "none of 4 tasks numbered from 1 in steps of 2"},
		{name: "Slurm, one task again", env: slurm("3", "3", "1", "1"), count: 8, want: "4/8"},
		{name: "a count for no engine", count: 8, err: "elsewhere give --shard i/8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ShardFrom(func(name string) string { return tc.env[name] }, tc.count)
			if tc.err != "" {
				require.ErrorIs(t, err, ErrUsage)
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, fmt.Sprint(got))
		})
	}
}

// Every submission is in one shard, and shards are about equal.
func TestShardsCoverTheClass(t *testing.T) {
	var info result.RunInfo
	for i := range 11 {
		info.Submissions = append(info.Submissions, result.RunSubmission{ID: fmt.Sprint(i)})
	}
	seen := map[string]int{}
	for i := range 4 {
		info.Shard = &result.Shard{Index: i + 1, Count: 4}
		mine := info.Mine()
		require.InDelta(t, 11.0/4, len(mine), 1)
		for _, s := range mine {
			seen[s.ID]++
		}
	}
	require.Len(t, seen, 11)
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// A result that was changed is told and not believed: by --resume, by merge, and by all that read a run.
func TestChangedResults(t *testing.T) {
	secret := &Secret{key: []byte("0123456789abcdef0123456789abcdef"), Seeds: 1}
	for _, tc := range []struct {
		name   string
		secret *Secret
		change func(text, key []byte) (newText, newKey []byte)
		plain  bool // found without the secret
	}{
		{name: "the result", change: func(text, key []byte) ([]byte, []byte) {
			return bytes.Replace(text, []byte(`"fail"`), []byte(`"pass"`), 1), key
		}, plain: true},
		{name: "the result, with a secret", secret: secret, change: func(text, key []byte) ([]byte, []byte) {
			return bytes.Replace(text, []byte(`"fail"`), []byte(`"pass"`), 1), key
		}, plain: true},
		{name: "the result and its hash", secret: secret, change: func(text, key []byte) ([]byte, []byte) {
			was := result.Sum(text)
			text = bytes.Replace(text, []byte(`"fail"`), []byte(`"pass"`), 1)
			return text, bytes.Replace(key, []byte(was), []byte(result.Sum(text)), 1)
		}},
		{name: "the result, its hash, and no authenticator", secret: secret, change: func(text, key []byte) ([]byte, []byte) {
			text = bytes.Replace(text, []byte(`"fail"`), []byte(`"pass"`), 1)
			return text, fmt.Appendf(nil, `{"run": "k", "submission": "s", "results": %q}`, result.Sum(text))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			info := result.RunInfo{Version: result.RunVersion, Key: "k", Secret: tc.secret.fingerprint(), Submissions: []result.RunSubmission{{ID: "a"}}}
			s, err := openStore(dir, info, tc.secret, false)
			require.NoError(t, err)
			defer s.close()
			graded := &result.Result{Version: result.Version, Labs: []result.Lab{{ID: "01-echo", Parts: []result.Part{{ID: "1A", Tests: []result.Test{{Name: "T1A", Max: 5, Status: "fail"}}}}}}}
			require.NoError(t, s.put("a", graded, result.Key{Run: "k", Submission: "s"}))
			has, changed := s.has("a", result.Key{Run: "k", Submission: "s"})
			require.True(t, has)
			require.False(t, changed)
			_, err = Merge([]string{dir}, filepath.Join(t.TempDir(), "merged"), tc.secret)
			require.NoError(t, err)

			at := s.run.ResultDir("a")
			text, err := os.ReadFile(filepath.Join(at, result.ResultsFile))
			require.NoError(t, err)
			key, err := os.ReadFile(filepath.Join(at, result.KeyFile))
			require.NoError(t, err)
			text, key = tc.change(text, key)
			require.NoError(t, os.WriteFile(filepath.Join(at, result.ResultsFile), text, 0o666))
			require.NoError(t, os.WriteFile(filepath.Join(at, result.KeyFile), key, 0o666))
			has, changed = s.has("a", result.Key{Run: "k", Submission: "s"})
			require.False(t, has)
			require.True(t, changed)
			_, err = Merge([]string{dir}, filepath.Join(t.TempDir(), "merged"), tc.secret)
			require.ErrorIs(t, err, result.ErrChanged)
			require.ErrorContains(t, err, " of a (batch --resume grades it again)")
			_, err = s.run.Result("a")
			if tc.plain {
				require.ErrorIs(t, err, result.ErrChanged)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// --resume goes on with what was asked for, for the class that there was or a larger one.
func TestResumeRefusesAnotherRun(t *testing.T) {
	base := result.RunInfo{Version: result.RunVersion, Key: "k", Parts: []string{"1A", "1B"}, Seeds: 3, Hidden: 2, Secret: "s", Timeout: 60,
		Submissions: []result.RunSubmission{{ID: "ada"}, {ID: "bob"}}}
	for _, tc := range []struct {
		name   string
		change func(i *result.RunInfo)
		want   string // "": it goes on
	}{
		{"the same", func(i *result.RunInfo) {}, ""},
		{"another grader and other texts", func(i *result.RunInfo) { i.Key, i.Grader, i.Go, i.Course = "l", "2", "go2", "c" }, ""},
		{"one more submission", func(i *result.RunInfo) { i.Submissions = append(i.Submissions, result.RunSubmission{ID: "cleo"}) }, ""},
		{"one fewer", func(i *result.RunInfo) { i.Submissions = i.Submissions[:1] }, "not in the class any more: bob; give them again"},
		{"other labs", func(i *result.RunInfo) { i.Parts = []string{"1B"} }, "parts 1A 1B against 1B"},
		{"another base", func(i *result.RunInfo) { i.Base = course.Solution }, "base none against solution"},
		{"other seeds", func(i *result.RunInfo) { i.Seeds = 0 }, "seeds a test 3 against 0"},
		{"other hidden seeds", func(i *result.RunInfo) { i.Hidden = 0 }, "hidden seeds 2 against 0"},
		{"another secret", func(i *result.RunInfo) { i.Secret = "" }, "secret s against none"},
		{"another time", func(i *result.RunInfo) { i.Timeout = 1 }, "time a test 60ns against 1ns"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := openStore(dir, base, nil, false)
			require.NoError(t, err)
			require.NoError(t, s.put("bob", &result.Result{Version: result.Version}, result.Key{Run: "k", Submission: "s"}))
			require.NoError(t, s.close())
			before, err := os.ReadFile(filepath.Join(dir, result.RunFile))
			require.NoError(t, err)
			now := base
			now.Submissions = slices.Clone(base.Submissions)
			tc.change(&now)
			s, err = openStore(dir, now, nil, true)
			if tc.want == "" {
				require.NoError(t, err)
				require.NoError(t, s.close())
				return
			}
			require.ErrorIs(t, err, ErrUsage)
			require.ErrorContains(t, err, tc.want)
			after, err := os.ReadFile(filepath.Join(dir, result.RunFile))
			require.NoError(t, err)
			require.Equal(t, string(before), string(after))
			require.FileExists(t, filepath.Join((&result.RunDir{Dir: dir}).ResultDir("bob"), result.ResultsFile))
		})
	}
}
