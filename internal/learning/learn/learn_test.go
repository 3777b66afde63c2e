package learn

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/passed"
)

// newCourse is the grader's small course in a folder of its own.
func newCourse(t *testing.T) *course.Course {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../grading/course/testdata/course")))
	c, err := course.Load(dir)
	require.NoError(t, err)
	return c
}

func part(t *testing.T, c *course.Course, id string) (course.Lab, course.Part) {
	s, err := c.Select(id)
	require.NoError(t, err)
	return s[0].Lab, s[0].Parts[0]
}

func TestHintsComeOneAtATime(t *testing.T) {
	c := newCourse(t)
	_, p := part(t, c, "1A")
	p.Hints = []string{"gentle", "plain"}
	for i, want := range p.Hints {
		h, err := NextHint(c, p)
		require.NoError(t, err)
		require.Equal(t, Hint{Text: want, Number: i + 1, Of: 2}, h)
		require.Equal(t, 1-i, h.Left())
	}
	_, err := NextHint(c, p)
	require.True(t, IsNoMoreHints(err))
	require.ErrorContains(t, err, "that was the last of 1A's 2 hints")

	_, other := part(t, c, "1B")
	_, err = NextHint(c, other)
	require.ErrorContains(t, err, "1B has no hints")
	given, err := Hints(c, p, false)
	require.NoError(t, err)
	require.Len(t, given, 2)

	// A hint that the course takes away later is no hole.
	p.Hints = p.Hints[:1]
	given, err = Hints(c, p, false)
	require.NoError(t, err)
	require.Len(t, given, 1)
}

// result is a graded course in which the parts named have all points.
func resultOf(c *course.Course, passed ...string) *result.Result {
	r := &result.Result{}
	for _, l := range c.Labs {
		lab := result.Lab{ID: l.ID}
		for _, p := range l.Parts {
			part := result.Part{ID: p.ID, Max: p.Points}
			for _, id := range passed {
				if id == p.ID {
					part.Points = p.Points
				}
			}
			lab.Parts = append(lab.Parts, part)
		}
		r.Labs = append(r.Labs, lab)
	}
	return r
}

func TestAPassIsOfTheFilesAtTheBeginning(t *testing.T) {
	c := newCourse(t)
	lab, p := part(t, c, "1B")
	all, err := c.Select()
	require.NoError(t, err)
	digest, err := Digest(c, lab, p)
	require.NoError(t, err)
	attempt, err := Begin(c, all)
	require.NoError(t, err)
	path := File{lab.ID, "shout.go"}.in(c)
	require.NoError(t, os.WriteFile(path, []byte("package echo // edited while it ran\n"), 0o666))
	finished, err := attempt.End(resultOf(c, "1B"))
	require.NoError(t, err)
	require.Empty(t, finished)
	progress, err := Load(c.Root)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"1B": digest}, progress.Passed)
	now, err := Digest(c, lab, p)
	require.NoError(t, err)
	require.NotEqual(t, digest, now)
	next, nextPart, more := progress.Next(c)
	require.Equal(t, "01-echo 1A true", next.ID+" "+nextPart.ID+" "+map[bool]string{true: "true"}[more])
}

// What passed under go test counts, if all tests of the part passed on the same files; it takes nothing from what grade saw.
func TestAPassUnderGoTestCounts(t *testing.T) {
	c := newCourse(t)
	lab, p := part(t, c, "1A")
	dir := filepath.Join(c.Root, filepath.FromSlash(lab.Dir()))
	later := time.Now().Add(time.Hour)
	require.NoError(t, passed.Add(dir, later, []string{"TestEchoes1A"}))
	progress, err := Collect(c)
	require.NoError(t, err)
	require.Empty(t, progress.Passed, "one of its tests is missing")
	require.NoError(t, passed.Add(dir, later, []string{"TestNothingMore1A"}))
	digest, err := Digest(c, lab, p)
	require.NoError(t, err)
	progress, err = Collect(c)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"1A": digest}, progress.Passed)

	// Other files: the part has still passed. One test on them is not the part.
	require.NoError(t, os.WriteFile(File{lab.ID, "echo.go"}.in(c), []byte("package echo // edited\n"), 0o666))
	require.NoError(t, passed.Add(dir, later, []string{"TestEchoes1A"}))
	progress, err = Collect(c)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"1A": digest}, progress.Passed)

	_, err = Update(c.Root, func(p *Progress) { p.Passed["1A"] = "newer" })
	require.NoError(t, err)
	progress, err = Collect(c)
	require.NoError(t, err)
	require.Equal(t, "newer", progress.Passed["1A"])
}

func TestFinishIsSaidOnce(t *testing.T) {
	c := newCourse(t)
	all, err := c.Select()
	require.NoError(t, err)
	for _, tc := range []struct {
		passed []string
		want   []string // labs
		says   string
	}{
		{passed: []string{"1A"}},
		{passed: []string{"1B"}, want: []string{"01-echo"}, says: "The next part is 2A, One at a time, in labs/02-count."},
		{passed: []string{"1A", "1B"}},
		{passed: []string{"1A", "2A"}, want: []string{"02-count"}, says: "That was the last one. All 2 labs, all 5 tests"},
	} {
		attempt, err := Begin(c, all)
		require.NoError(t, err)
		finished, err := attempt.End(resultOf(c, tc.passed...))
		require.NoError(t, err)
		var got []string
		for _, lab := range finished {
			got = append(got, lab.ID)
			progress, err := Load(c.Root)
			require.NoError(t, err)
			require.Contains(t, Finish(c, progress, lab), tc.says)
		}
		require.Equal(t, tc.want, got, "%v", tc.passed)
	}
}

func TestProgressThatIsDamaged(t *testing.T) {
	c := newCourse(t)
	require.NoError(t, os.MkdirAll(filepath.Join(c.Root, ".labs"), 0o777))
	require.NoError(t, os.WriteFile(file(c.Root), []byte("{"), 0o666))
	_, err := Load(c.Root)
	require.ErrorContains(t, err, "is damaged (remove it to begin again)")
	require.NoError(t, os.WriteFile(file(c.Root), []byte(`{"version":7}`), 0o666))
	_, err = Update(c.Root, func(p *Progress) { p.At = "1A" })
	require.ErrorContains(t, err, "has version 7, want 1")
}

func TestFilesOf(t *testing.T) {
	c := newCourse(t)
	// 1B has a file of 1A too.
	c.Labs[0].Parts[1].Files = []string{"echo.go", "shout.go"}
	// And another lab has a file of that name.
	c.Labs[1].Parts[0].Files = []string{"count.go", "echo.go"}
	in01 := filepath.Join(c.Root, "labs", "01-echo")
	for _, tc := range []struct {
		name, dir string
		want      []File
		err       string
	}{
		{name: "1A", want: []File{{"01-echo", "echo.go"}}},
		{name: "1b", want: []File{{"01-echo", "shout.go"}}},
		{name: "shout.go", want: []File{{"01-echo", "shout.go"}}},
		{name: "echo.go", err: `learn: several labs have a file "echo.go": name it with its folder, such as labs/01-echo/echo.go`},
		{name: "echo.go", dir: in01, want: []File{{"01-echo", "echo.go"}}},
		{name: "labs/02-count/echo.go", want: []File{{"02-count", "echo.go"}}},
		{name: "../02-count/count.go", dir: in01, want: []File{{"02-count", "count.go"}}},
		{name: "echo_test.go", err: `learn: no lab has a file "echo_test.go" of yours`},
		{name: "01", err: "learn: 01 is a whole lab: name a part (1A) or a file"},
	} {
		t.Run(tc.name+" in "+filepath.Base(tc.dir), func(t *testing.T) {
			dir := tc.dir
			if dir == "" {
				dir = c.Root
			}
			got, err := FilesOf(c, tc.name, dir)
			if tc.err != "" {
				require.EqualError(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	c.Labs[0].Parts[1].Files = []string{"echo.go"}
	_, err := FilesOf(c, "1B", c.Root)
	require.EqualError(t, err, "learn: all files of 1B belong to 1A before it (echo.go): name the file")
}

func TestResetKeepsABackup(t *testing.T) {
	c := newCourse(t)
	f := File{"01-echo", "shout.go"}
	stub, err := Stub(c, f)
	require.NoError(t, err)
	for _, mine := range []string{"package echo // first\n", "package echo // second\n"} {
		require.NoError(t, os.WriteFile(f.in(c), []byte(mine), 0o666))
		changed, backup, err := Reset(c, []File{{"01-echo", "echo.go"}, f})
		require.NoError(t, err)
		require.Equal(t, []File{f}, changed)
		now, err := os.ReadFile(f.in(c))
		require.NoError(t, err)
		require.Equal(t, string(stub), string(now))
		kept, err := os.ReadFile(filepath.Join(c.Root, backup, "01-echo", "shout.go"))
		require.NoError(t, err)
		require.Equal(t, mine, string(kept))
	}
	changed, backup, err := Reset(c, []File{f})
	require.NoError(t, err)
	require.Empty(t, changed)
	require.Empty(t, backup)

	// A file that was removed comes back.
	require.NoError(t, os.Remove(f.in(c)))
	changed, _, err = Reset(c, []File{f})
	require.NoError(t, err)
	require.Equal(t, []File{f}, changed)
}
