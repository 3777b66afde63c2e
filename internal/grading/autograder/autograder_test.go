package autograder

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/rotation"
)

// part is the one that the tests grade: it is cheap.
const part = "1A"

// archive is the one for a part of the real course.
func archive(t *testing.T, o Options, names ...string) *zip.Reader {
	t.Helper()
	root, err := course.Root(".")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select(names...)
	require.NoError(t, err)
	var one, two bytes.Buffer
	require.NoError(t, Write(&one, c, selected, o))
	require.NoError(t, Write(&two, c, selected, o))
	require.Equal(t, one.Bytes(), two.Bytes(), "the same files give the same bytes")
	z, err := zip.NewReader(bytes.NewReader(one.Bytes()), int64(one.Len()))
	require.NoError(t, err)
	return z
}

// testsOf is how many tests a part has.
func testsOf(t *testing.T, part string) int {
	t.Helper()
	root, err := course.Root(".")
	require.NoError(t, err)
	all, err := course.Load(root)
	require.NoError(t, err)
	selected, err := all.Select(part)
	require.NoError(t, err)
	n := 0
	for _, p := range selected {
		n += len(p.Tests())
	}
	return n
}

func TestArchive(t *testing.T) {
	z := archive(t, Options{Go: "go1.26.0"}, part)
	seen := map[string]fs.FileMode{}
	for _, f := range z.File {
		require.NotContains(t, f.Name, "..")
		require.Regexp(t, `^(env\.sh|setup\.sh|run_autograder|course/(go\.(mod|sum)|cmd/grade/.+|internal/.+|labrpc/.+|labs/01-links/.+))$`, f.Name)
		require.NotRegexp(t, `^course/solutions/|^course/labs/.*/mutants/|\.labs|\.patch$|(cmd|internal|labrpc)/.*(_test\.go$|testdata/)`, f.Name)
		seen[f.Name] = f.Mode()
	}
	for _, name := range []string{"setup.sh", "run_autograder"} {
		require.Equal(t, fs.FileMode(0o755), seen[name], name)
	}
	for _, name := range []string{"course/cmd/grade/main.go", "course/labs/01-links/lab.yaml", "course/labs/01-links/stubborn.go",
		"course/internal/grading/autograder/assets/setup.sh", "course/internal/grading/export/assets/page.css"} {
		require.Contains(t, seen, name)
	}
	// A lab comes with those that it builds on.
	z = archive(t, Options{Go: "go1.26.0", Sum: strings.Repeat("0f", 32)}, "05")
	for _, f := range z.File {
		if strings.HasPrefix(f.Name, "course/labs/") {
			require.Regexp(t, `^course/labs/0[45]-`, f.Name)
		}
	}
	require.Contains(t, read(t, z, "setup.sh"), "sum="+strings.Repeat("0f", 32))
	require.Contains(t, read(t, z, "env.sh"), "labs=(05-replication)")
}

// What an instructor has solved in this checkout is not in the archive.
func TestArchiveHasPristineStubs(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("../course/testdata/course")))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "cmd", "grade"), 0o777))
	lab := filepath.Join(root, "labs", "01-echo")
	stub, err := os.ReadFile(filepath.Join(lab, "echo.go"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(lab, ".stub"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(lab, ".stub", "echo.go"), stub, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(lab, "echo.go"), []byte("package echo // solved\n"), 0o666))
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("01")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, Write(&out, c, selected, Options{Go: "go1.26.0"}))
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.Equal(t, string(stub), read(t, z, "course/labs/01-echo/echo.go"))
	require.NotEmpty(t, read(t, z, "course/labs/01-echo/shout.go"), "a lab that keeps no stub of it")
}

func read(t *testing.T, z *zip.Reader, name string) string {
	f, err := z.Open(name)
	require.NoError(t, err)
	defer f.Close()
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(text)
}

func TestOptions(t *testing.T) {
	require.NoError(t, Options{Go: "go1.26.1 X:synctest"}.Check())
	require.ErrorContains(t, Options{Go: "devel"}.Check(), `"devel" is no released version of Go`)
	require.ErrorContains(t, Options{Go: "go1.26.0", Sum: "$(rm -rf /)"}.Check(), "is no SHA-256")
	require.ErrorContains(t, Options{Go: "go1.26.0", Visibility: "$x"}.Check(), `visibility "$x" is none of`)
}

// The scripts are clean where shellcheck is at hand.
func TestScripts(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("no shellcheck on PATH")
	}
	dir := t.TempDir()
	unpack(t, archive(t, Options{Go: "go1.26.0"}, part, "1B"), dir)
	cmd := exec.Command(path, "--external-sources", "setup.sh", "run_autograder", "env.sh")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// unpack unpacks as unzip does, with the modes that the archive has.
func unpack(t *testing.T, z *zip.Reader, dir string) {
	t.Helper()
	for _, f := range z.File {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(read(t, z, f.Name)), f.Mode()))
	}
}

// A container is what Gradescope makes of the archive, in a folder of the test's.
type container struct {
	t    *testing.T
	root string
	env  []string
	apt  string // what was asked of apt-get
}

// newContainer lays the archive out as Gradescope does and runs setup.sh. The
// packages are those of this machine; apt-get only notes what it is asked for.
func newContainer(t *testing.T) *container {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash: Gradescope's images have one")
	}
	c := layOut(t)
	for _, dir := range []string{"bin", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(c.root, dir), 0o777))
	}
	c.apt = filepath.Join(c.root, "apt")
	require.NoError(t, os.WriteFile(filepath.Join(c.root, "bin", "apt-get"), []byte("#!/bin/sh\necho \"$@\" >>'"+c.apt+"'\n"), 0o755))
	caches, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE").Output()
	require.NoError(t, err)
	lines := strings.Split(string(caches), "\n")
	c.env = append(os.Environ(), "AUTOGRADER_ROOT="+c.root, "GOMODCACHE="+lines[0], "GOCACHE="+lines[1], "TMPDIR="+filepath.Join(c.root, "tmp"),
		"PATH="+filepath.Join(c.root, "bin")+":"+os.Getenv("PATH"), "LABS_SEEDS=")
	setup := exec.Command(bash, filepath.Join(c.root, "source", "setup.sh"))
	setup.Env = c.env
	out, err := setup.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), "go.dev", "this machine's Go will do")
	return c
}

// layOut puts the archive, and what Gradescope puts beside it, in a folder: what is /autograder there.
func layOut(t *testing.T) *container {
	c := &container{t: t, root: t.TempDir()}
	unpack(t, archive(t, Options{Go: "go1.26.0"}, part), filepath.Join(c.root, "source"))
	script, err := os.ReadFile(filepath.Join(c.root, "source", "run_autograder"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.root, "run_autograder"), script, 0o755))
	for _, dir := range []string{"results", "submission"} {
		require.NoError(t, os.Mkdir(filepath.Join(c.root, dir), 0o777))
	}
	return c
}

// submit puts the files of a folder in the place of the submission.
func (c *container) submit(dir string) {
	c.t.Helper()
	for _, name := range []string{"submission", "results"} {
		require.NoError(c.t, os.RemoveAll(filepath.Join(c.root, name)))
	}
	require.NoError(c.t, os.CopyFS(filepath.Join(c.root, "submission"), os.DirFS(dir)))
}

func (c *container) command() *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.root, "run_autograder"))
	cmd.Env, cmd.Dir = c.env, c.root
	return cmd
}

// results are what Gradescope reads. An unknown field is not in its
// specification, or this test does not know of it.
type results struct {
	Score            float64         `json:"score"`
	ExecutionTime    int             `json:"execution_time"`
	Output           string          `json:"output"`
	OutputFormat     string          `json:"output_format"`
	TestOutputFormat string          `json:"test_output_format"`
	TestNameFormat   string          `json:"test_name_format"`
	Visibility       string          `json:"visibility"`
	StdoutVisibility string          `json:"stdout_visibility"`
	ExtraData        json.RawMessage `json:"extra_data"`
	Tests            []struct {
		Score        float64         `json:"score"`
		MaxScore     float64         `json:"max_score"`
		Status       string          `json:"status"`
		Name         string          `json:"name"`
		NameFormat   string          `json:"name_format"`
		Number       string          `json:"number"`
		Output       string          `json:"output"`
		OutputFormat string          `json:"output_format"`
		Tags         []string        `json:"tags"`
		Visibility   string          `json:"visibility"`
		ExtraData    json.RawMessage `json:"extra_data"`
	} `json:"tests"`
}

func (c *container) results() (r results, err error) {
	text, err := os.ReadFile(filepath.Join(c.root, "results", "results.json"))
	if err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return r, d.Decode(&r)
}

// The archive, laid out as Gradescope does, gives the reference full marks and
// the stub none, reports what it knew when it is killed, and leaves no zero
// where it is itself at fault.
func TestContainer(t *testing.T) {
	rotation.Turn(t, 0, 2)
	c := newContainer(t)
	tests := testsOf(t, part)
	asked, err := os.ReadFile(c.apt)
	require.NoError(t, err)
	require.Contains(t, string(asked), "install -y --no-install-recommends ca-certificates curl gcc libc6-dev")

	t.Run("the reference", func(t *testing.T) {
		c.submit("../../../solutions/01-links")
		out, err := c.command().CombinedOutput()
		require.NoError(t, err, "%s", out)
		r, err := c.results()
		require.NoError(t, err)
		require.InDelta(t, 20, r.Score, 0)
		require.Len(t, r.Tests, tests)
		for _, test := range r.Tests {
			require.Equal(t, "passed", test.Status, test.Name)
		}
	})
	t.Run("the stub, in the repository's layout", func(t *testing.T) {
		c.submit(c.root + "/source/course")
		out, err := c.command().CombinedOutput()
		require.NoError(t, err, "%s", out)
		r, err := c.results()
		require.NoError(t, err)
		require.Zero(t, r.Score)
		require.Len(t, r.Tests, tests)
		require.NotEmpty(t, r.Tests[0].Output)
	})
	t.Run("killed", func(t *testing.T) {
		c.submit("../../../solutions/01-links")
		cmd := c.command()
		kill := ownGroup(cmd)
		require.NoError(t, cmd.Start())
		ended := func() int {
			r, err := c.results()
			if err != nil {
				return 0
			}
			n := 0
			for _, test := range r.Tests {
				if !strings.Contains(test.Output, "the grader was stopped before this test was over") {
					n++
				}
			}
			return n
		}
		require.Eventually(t, func() bool { return ended() > 0 }, time.Minute, 2*time.Millisecond)
		require.NoError(t, kill())
		require.Error(t, cmd.Wait())
		r, err := c.results()
		require.NoError(t, err, "a whole file")
		require.Len(t, r.Tests, tests)
		require.Less(t, ended(), tests, "it was killed too late")
		sum := 0.0
		for _, test := range r.Tests {
			sum += test.Score
		}
		require.InDelta(t, sum, r.Score, 0)
		require.Positive(t, r.Score)
	})
	t.Run("at fault itself", func(t *testing.T) {
		c.submit("../../../solutions/01-links")
		lab := filepath.Join(c.root, "source", "course", "labs", "01-links", "lab.yaml")
		require.NoError(t, os.WriteFile(lab, []byte("id: x\n"), 0o666))
		cmd := c.command()
		require.Error(t, cmd.Run())
		require.Equal(t, 3, cmd.ProcessState.ExitCode())
		_, err := c.results()
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}
