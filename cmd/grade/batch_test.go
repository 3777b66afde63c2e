package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/class"
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/result"
	"distlabs/internal/rotation"
)

// A grader that is killed at any instant has lost nothing that was finished, and left nothing
// half-written: what it goes on to write is, except times, what an undisturbed one writes.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	rotation.Turn(t, 1, 3)
	dir := t.TempDir()
	course, handedIn := filepath.Join(dir, "course"), filepath.Join(dir, "handed-in")
	require.NoError(t, gradetest.NewCourse(course))
	newClass(t, handedIn)
	batch := func(out string) *exec.Cmd {
		tmp := filepath.Join(dir, "tmp")
		require.NoError(t, os.MkdirAll(tmp, 0o777))
		cmd := exec.Command("grade", "batch", handedIn, "--labs", "01", "--out", out, "--resume")
		cmd.Dir, cmd.Env = course, append(os.Environ(), "TMPDIR="+tmp)
		return cmd
	}
	text, err := batch(filepath.Join(dir, "warming")).CombinedOutput() // what it builds is then in the caches, as in the runs that are killed
	require.NoError(t, err, "%s", text)
	began := time.Now()
	text, err = batch(filepath.Join(dir, "undisturbed")).CombinedOutput()
	require.NoError(t, err, "%s", text)
	whole := time.Since(began)

	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	out := filepath.Join(dir, "killed")
	finished := map[string]os.FileInfo{}
	early := 0 // kills that found work unfinished
	for kill := 0; kill < 10 || early <= 4; kill++ {
		require.Less(t, kill, 60, "the grader was killed too late to tell anything")
		if len(finished) == 8 { // the machine has become faster: once more, and earlier
			require.NoError(t, os.RemoveAll(out))
			whole, finished = whole/2+time.Millisecond, map[string]os.FileInfo{}
		}
		cmd := batch(out)
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(random.Int64N(int64(whole) / 2)))
		require.NoError(t, cmd.Process.Kill())
		cmd.Wait()
		now := finishedIn(t, out)
		for id, info := range finished {
			require.True(t, os.SameFile(info, now[id]), "%s was finished, and was graded again", id)
		}
		if finished = now; len(now) < 8 {
			early++
		}
	}
	text, err = batch(out).CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Empty(t, cmp.Diff(withoutTimes(t, filepath.Join(dir, "undisturbed")), withoutTimes(t, out)))
	scratch, err := filepath.Glob(filepath.Join(dir, "tmp", "grade-*", ".lock"))
	require.NoError(t, err)
	require.Empty(t, scratch, "of killed graders")
}

// newClass hands in eight submissions: references, stubs, a wrong one, an essay, a corrupt archive.
func newClass(t *testing.T, dir string) {
	course := "../../internal/grading/course/testdata/course"
	for id, from := range map[string]string{"ada": "solutions", "barbara": "labs", "edsger": "solutions", "grace": "labs", "leslie": "solutions", "tony": "solutions"} {
		for _, name := range []string{"echo.go", "shout.go"} {
			text, err := os.ReadFile(filepath.Join(course, from, "01-echo", name))
			require.NoError(t, err)
			hand(t, filepath.Join(dir, id, name), string(text)+"\n// "+id)
		}
	}
	hand(t, filepath.Join(dir, "tony", "echo.go"), "package echo\n\nThis is my essay.\n")
	hand(t, filepath.Join(dir, "leslie", "shout.go"), "package echo\n\nfunc Shout(s string) string { panic(s) }\n")
	hand(t, filepath.Join(dir, "niklaus", "01-echo", "echo.go"), "package echo\n\nfunc Echo(s string) string { return s + s }\n")
	hand(t, filepath.Join(dir, "zuse.tar.gz"), "\x1f\x8bThis is none.")
}

func hand(t *testing.T, path, text string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}

// finishedIn lists the submissions of a run that are there, each of which must be whole.
func finishedIn(t *testing.T, run string) map[string]os.FileInfo {
	finished := map[string]os.FileInfo{}
	dirs, err := os.ReadDir(filepath.Join(run, "submissions"))
	if os.IsNotExist(err) {
		return finished
	}
	require.NoError(t, err)
	for _, d := range dirs {
		r := result.RunDir{Dir: run}
		path := filepath.Join(r.ResultDir(d.Name()), result.ResultsFile)
		_, err := result.Read(path)
		require.NoError(t, err)
		_, err = r.Key(d.Name())
		require.NoError(t, err)
		finished[d.Name()], err = os.Stat(path)
		require.NoError(t, err)
	}
	return finished
}

// resultsHash is the line of a key that says what the results beside it are.
var resultsHash = regexp.MustCompile(`"(results|mac)": *"[0-9a-f]*"`)

// withoutTimes is every file of a run with the times taken out of the results.
func withoutTimes(t *testing.T, run string) map[string]string {
	files := map[string]string{}
	sums, err := tree(run)
	require.NoError(t, err)
	for name := range sums {
		text, err := os.ReadFile(filepath.Join(run, name))
		require.NoError(t, err)
		if filepath.Base(name) == result.ResultsFile {
			r, err := result.Read(filepath.Join(run, name))
			require.NoError(t, err)
			r.Seconds = 0
			r.Tests(func(_ *result.Lab, _ *result.Part, test *result.Test) { test.Real = 0 })
			var b bytes.Buffer
			require.NoError(t, r.WriteJSON(&b))
			text = b.Bytes()
		}
		if filepath.Base(name) == result.KeyFile { // the hash of the results, times included
			text = resultsHash.ReplaceAll(text, nil)
		}
		files[name] = string(text)
	}
	require.Len(t, files, 2*8+2) // results and keys, run.json, the lock
	return files
}

// Hidden seeds find what the listed ones do not, are the same again for the same submission, and can
// be replayed; the secret stays where it was.
func TestHiddenSeeds(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(filepath.Join(dir, "course")))
	t.Chdir(filepath.Join(dir, "course"))
	hand(t, "../class/ada/echo.go", "package echo\n\nfunc Echo(s string) string { return s[:min(len(s), 8)] }\n") // "hello 10"
	hand(t, "../class/bob/echo.go", "package echo\n\n// Another.\nfunc Echo(s string) string { return s[:min(len(s), 8)] }\n")
	secret := "0123456789 a secret 0123456789"
	hand(t, "../secret", secret)
	grades := func(out string, flags ...string) map[string][]uint64 {
		var stdout, stderr bytes.Buffer
		args := append([]string{"batch", "../class", "--labs", "1A", "--out", out}, flags...)
		require.Equal(t, exitGraded, execute(args, &stdout, &stderr), "%s%s", &stdout, &stderr)
		run, err := result.ReadRun(out)
		require.NoError(t, err)
		failed := map[string][]uint64{}
		for s, r := range run.Results() {
			require.NoError(t, r.Err)
			test := r.Result.Labs[0].Parts[0].Tests[0]
			failed[s.ID] = test.Failed
			if len(test.Failed) > 0 {
				require.Contains(t, test.Failures[0].Replay, fmt.Sprintf("LABS_SEED=%d ", test.Failed[0]))
			}
		}
		for name := range must(tree(out)) {
			text, err := os.ReadFile(filepath.Join(out, name))
			require.NoError(t, err)
			require.NotContains(t, string(text), secret)
		}
		return failed
	}
	require.Equal(t, map[string][]uint64{"ada": nil, "bob": nil}, grades("../plain", "--hidden-seeds", "0"))
	first := grades("../first", "--seed-secret", "../secret")
	require.Len(t, first["ada"], 1)
	require.NotEqual(t, first["ada"], first["bob"], "the seeds must depend on the submission")
	require.Equal(t, first, grades("../again", "--seed-secret", "../secret"))
	hand(t, "../secret", "another secret 0123456789")
	require.NotEqual(t, first, grades("../second", "--seed-secret", "../secret"))

	var stdout, stderr bytes.Buffer
	seed := strconv.FormatUint(first["ada"][0], 10)
	require.Equal(t, exitGraded, execute([]string{"run", "1A", "--submission", "../class/ada", "--seed", seed}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "LABS_SEED="+seed)

	hand(t, "../first/secret", secret)
	stderr.Reset()
	require.Equal(t, exitUsage, execute([]string{"batch", "../class", "--out", "../first", "--seed-secret", "../first/secret"}, &stdout, &stderr))
	require.Contains(t, stderr.String(), "lies in the run directory")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The status line tells how far a class is; where there is no terminal it does so now and then.
func TestClassStatus(t *testing.T) {
	var live, dull bytes.Buffer
	p := class.Progress{Done: 3, Total: 100, Ungraded: 1, Left: 90 * time.Second, ID: "ada"}
	(&classStatus{w: &live, live: true}).step(p)
	require.Equal(t, "\r\x1b[K3 of 100 submissions done, 1 not gradable · about 1m30s left · ada", live.String())
	s := &classStatus{w: &dull, every: time.Hour}
	s.last = time.Now()
	s.step(p)
	require.Empty(t, dull.String())
	s.last = time.Now().Add(-2 * time.Hour)
	s.step(p)
	require.Equal(t, "3 of 100 submissions done, 1 not gradable · about 1m30s left\n", dull.String())
}

// Before the first submission is done, the tests that are over say how long the class will take.
func TestClassStatusBeforeTheFirstResult(t *testing.T) {
	var dull bytes.Buffer
	s := &classStatus{w: &dull, every: time.Minute, began: time.Now().Add(-10 * time.Second), tests: 10}
	s.last = time.Now()
	s.step(class.Progress{Total: 5, ID: "ada", Begun: true})
	for range 4 {
		s.test(grade.Progress{Stage: grade.StageTested})
	}
	require.Empty(t, dull.String())
	s.last = time.Now().Add(-time.Hour)
	s.test(grade.Progress{Stage: grade.StageTested})
	require.Equal(t, "0 of 5 submissions done, 5 of 50 tests · about 1m30s left\n", dull.String())
}

// What is kept in memory does not grow with the number of submissions that are done.
func TestMemoryOfALargeClass(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, gradetest.NewCourse(filepath.Join(dir, "course")))
	c, err := course.Load(filepath.Join(dir, "course"))
	require.NoError(t, err)
	selected, err := c.Select("1B")
	require.NoError(t, err)
	roster := bytes.NewBufferString("id,path\n")
	const many = 300
	for i := range many {
		fmt.Fprintf(roster, "s%d,\n", i)
	}
	hand(t, filepath.Join(dir, "roster.csv"), roster.String())
	found, err := class.Find([]string{filepath.Join(dir, "roster.csv")})
	require.NoError(t, err)
	g, err := grade.New(t.Context(), c, grade.Options{})
	require.NoError(t, err)
	defer g.Close()
	heap := map[int]uint64{}
	_, err = class.Grade(t.Context(), g, found, class.Options{Out: filepath.Join(dir, "run"), Selected: selected,
		Run: grade.Run{Timeout: time.Minute}, Progress: func(p class.Progress) {
			if !p.Begun && p.Done%100 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				heap[p.Done] = m.HeapAlloc
			}
		}})
	require.NoError(t, err)
	run, err := result.ReadRun(filepath.Join(dir, "run"))
	require.NoError(t, err)
	graded := 0
	for _, r := range run.Results() {
		require.NoError(t, r.Err)
		require.Equal(t, "nothing was handed in", r.Result.Ungraded)
		graded++
	}
	require.Equal(t, many, graded)
	require.Less(t, heap[many], heap[100]+100*(many-100), "bytes on the heap after so many submissions: %v", heap)
}
