//go:build linux

package grade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/result"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/rotation"
)

// What stops an attack once the gate is open.
const (
	byItself = 1   // the channel, the one process, the clean environment, the limits
	bySystem = 2   // the layer of the operating system
	never    = 100 // nothing: only the gate does
)

// attack is one submission in testdata/hostile.
type attack struct {
	name    string
	part    string // what of it is graded; "" is 1A
	refused string // what is said if it is not run
	says    string // what the first failure says, if the gate lets it pass
	note    string // what is ignored of it

	// With the gate open:
	stops int    // the level that stops it
	build string // what is said as it does not even build
	open  string // what the first failure says
	root  bool   // with root's help, the lower level stops it too: an unprivileged user a process, and no user for two
	skip  bool   // below the level that stops it, it would harm this machine
}

const (
	before   = "the process ended by itself, with status 0, before the test began"
	during   = "the process ended by itself, with status 0, in the middle of the test"
	tooBig   = "used more than 256 MiB of memory"
	notBegun = "it had not begun after"
)

// attacks has a row for each that is known to have fooled or harmed a grader.
var attacks = []attack{
	{name: "exit-in-init", refused: `echo.go:3: a submission may not import "os"`, stops: byItself, open: before},
	{name: "forged-lines", refused: `echo.go:5: a submission may not import "os"`, stops: byItself, open: before},
	{name: "own-testmain", note: "main_test.go is a test file, and tests are ours: ignored", says: `Echo("hello 1") = "?"`, stops: byItself},
	{name: "no-tests", refused: `echo.go:3: a submission may not import "os"`, stops: byItself, open: before},
	{name: "exit-in-test", refused: `echo.go:3: a submission may not import "syscall"`, stops: byItself, open: during},
	{name: "linkname", refused: `echo.go:5: the directive "//go:linkname" is not permitted in a submission`, stops: byItself, open: during},
	{name: "assembly", refused: `echo.go:3: func exit has no body`, note: "exit_amd64.s is not among the lab's files: ignored", stops: byItself,
		build: "does not compile: labs/01-echo/echo.go:3:6: missing function body"},
	{name: "cgo", refused: `echo.go:4: a submission may not import "C"`, stops: byItself, open: during},
	{name: "stdout-swap", refused: `echo.go:4: a submission may not import "bufio"`, stops: byItself, open: `Echo("hello 1") = "?"`},
	{name: "go-env", refused: `echo.go:4: a submission may not import "os"`, stops: bySystem, open: `Echo("hello 1") = "?"`},
	{name: "embeds-tests", refused: `echo.go:5: the directive "//go:embed" is not permitted in a submission`, stops: never},
	{name: "reads-disk", refused: `echo.go:4: a submission may not import "os"`, stops: bySystem, open: `Echo("hello 1") = "?"`},
	{name: "forged-pointer", says: "shared is written at", stops: byItself, open: "shared is written at"},
	{name: "takes-key", part: "2A", refused: `echo.go:4: a submission may not import "os"`, stops: byItself, open: "the test passed without having run its seeds"},
	{name: "takes-key-with-care", part: "2A", refused: `echo.go:4: a submission may not import "os"`, stops: never},
	{name: "memory", says: tooBig, stops: byItself, open: tooBig},
	{name: "goroutines", says: tooBig, stops: byItself, open: tooBig},
	{name: "output", says: "printed more than 4 MiB", stops: byItself, open: "printed more than 4 MiB"},
	{name: "endless", says: "echo.go:4", stops: byItself, open: "echo.go:4"},
	{name: "forks", refused: `echo.go:4: a submission may not import "os"`, stops: bySystem, root: true, skip: true, open: tooBig},
	{name: "survivor", refused: `echo.go:4: a submission may not import "os"`, stops: byItself, open: `Echo("hello 1") = "?"`},
	{name: "network", refused: `echo.go:3: a submission may not import "net"`, stops: bySystem, open: `Echo("hello 1") = "?"`},
	{name: "fills-disk", refused: `echo.go:3: a submission may not import "os"`, stops: byItself, open: ""},
	{name: "deep-folders", refused: `echo.go:3: a submission may not import "os"`, stops: byItself, open: `Echo("hello 1") = "?"`},
	{name: "big-panic", says: "AAAA", stops: byItself, open: "AAAA"},
	{name: "slow-init", says: notBegun, stops: byItself, open: notBegun},
	{name: "symlink", refused: "the submission's echo.go is a symbolic link to"},
	{name: "go-mod", note: "go.mod belongs to the course: ignored", says: `Echo("hello 1") = "?"`, stops: byItself},
	{name: "huge-array", says: tooBig, stops: byItself, open: tooBig},
	{name: "huge-type", refused: "does not compile: "},
	{name: "huge-data", refused: "does not compile: "},
}

// hostile is the world in which the attacks are tried.
type hostile struct {
	Base    string            // the folder of all this
	Outside string            // a folder of somebody else's, in which the machine lets everybody read and write
	Token   string            // in the command line of every process that an attack starts
	Binary  map[string]string // the attacks' test binaries, built with the gate open
	Heard   string            // a file with what arrived by the network
}

// No attack gains a point, leaves a file outside its scratch folder or a process behind, or
// changes how another submission is graded: with the gate shut none, with the gate open those that the
// table says, as this user or, where this is root, on each second day as an ordinary one. Each day has half of the attacks (package rotation).
func TestHostileSubmissions(t *testing.T) {
	if text := os.Getenv(hostileEnv); text != "" {
		var h hostile
		require.NoError(t, json.Unmarshal([]byte(text), &h))
		h.tryOpen(t)
		return
	}
	h := newHostile(t)
	g := h.grader(t, workspace.Options{})
	honest := h.gradeHonest(t, g)
	t.Run("gate shut", func(t *testing.T) { h.tryShut(t, g) })
	t.Run("slow to compile", func(t *testing.T) { h.trySlow(t) })
	t.Run("gate open, list read", func(t *testing.T) { h.tryListed(t) })
	h.buildOpen(t)
	asRoot := os.Geteuid() == 0
	if !asRoot || rotation.Today(0, 2) {
		t.Run("gate open", func(t *testing.T) { h.tryOpen(t) })
	}
	if asRoot && rotation.Today(1, 2) {
		t.Run("gate open, ordinary user", func(t *testing.T) { h.asUser(t) })
	}
	require.Empty(t, h.traces(t), "what came late")
	if diff := cmp.Diff(honest, h.gradeHonest(t, g), cmpopts.IgnoreFields(result.Test{}, "Real")); diff != "" {
		t.Errorf("an honest submission is graded otherwise after the attacks:\n%s", diff)
	}
}

const hostileEnv = "GRADE_TEST_HOSTILE"

// newHostile lays out the course, the attacks and the world around them, in a folder that every user can enter.
func newHostile(t *testing.T) *hostile {
	base, err := os.MkdirTemp("", "hostile-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	h := &hostile{Base: base, Outside: filepath.Join(base, "outside"), Token: filepath.Base(base),
		Heard: filepath.Join(base, "heard"), Binary: map[string]string{}}
	require.NoError(t, os.Mkdir(h.Outside, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(h.Outside, "solution"), []byte("PATH=\n"), 0o644))
	require.NoError(t, gradetest.NewCourse(filepath.Join(base, "course")))
	for _, a := range attacks {
		require.NoError(t, os.MkdirAll(h.submission(a), 0o755))
		if a.name == "symlink" {
			require.NoError(t, os.Symlink(filepath.Join(h.Outside, "solution"), filepath.Join(h.submission(a), "echo.go")))
			continue
		}
		h.copy(t, filepath.Join("testdata/hostile", a.name), h.submission(a))
	}
	require.NoError(t, os.Chmod(base, 0o755))
	require.NoError(t, os.Chmod(h.Outside, 0o777))
	require.NoError(t, os.WriteFile(h.Heard, nil, 0o666))
	require.NoError(t, os.Chmod(h.Heard, 0o666))
	return h
}

// today are the attacks whose turn it is: each half of them has two days together, one of root's and one of an ordinary user's.
func today() (list []attack) {
	day, all := rotation.Day()
	for i, a := range attacks {
		if all || i%2 == day/2%2 {
			list = append(list, a)
		}
	}
	return list
}

func (h *hostile) submission(a attack) string { return filepath.Join(h.Base, "submissions", a.name) }

// copy copies a submission and fills in what it attacks.
func (h *hostile) copy(t *testing.T, from, to string) {
	fill := strings.NewReplacer("@OUTSIDE@", h.Outside, "@TOKEN@", h.Token, "@UDP@", h.listen(t, "udp"), "@TCP@", h.listen(t, "tcp"),
		"@UNIX@", h.listen(t, "unix"), "@GRADER@", strconv.Itoa(os.Getpid()))
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	require.NoError(t, filepath.WalkDir(to, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(fill.Replace(string(text))), 0o644)
	}))
}

// listen opens a socket that writes down what arrives, and returns its address.
func (h *hostile) listen(t *testing.T, network string) string {
	hear := func(p []byte) {
		f, err := os.OpenFile(h.Heard, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			fmt.Fprintf(f, "%s: %s\n", network, p)
			f.Close()
		}
	}
	if network == "udp" {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		go func() {
			for p := make([]byte, 100); ; {
				n, _, err := conn.ReadFrom(p)
				if err != nil {
					return
				}
				hear(p[:n])
			}
		}()
		return conn.LocalAddr().String()
	}
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp(h.Base, "socket-")
		require.NoError(t, err)
		require.NoError(t, os.Chmod(dir, 0o755))
		address = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	if network == "unix" {
		require.NoError(t, os.Chmod(address, 0o777))
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p := make([]byte, 100)
			n, _ := conn.Read(p)
			hear(p[:n])
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// grader is a grader of the hostile world, in which a test has little memory.
func (h *hostile) grader(t *testing.T, o workspace.Options) *Grader {
	c, err := course.Load(filepath.Join(h.Base, "course"))
	require.NoError(t, err)
	b, err := workspace.New(t.Context(), c, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	t.Logf("user %d, %v", os.Geteuid(), b.Box())
	return On(b, Options{Memory: 256 << 20})
}

func (h *hostile) gradeHonest(t *testing.T, g *Grader) *result.Result {
	whole, err := g.builder.Course().Select()
	require.NoError(t, err)
	r, err := g.Grade(t.Context(), submission.Source{Kind: course.Solution}, whole, quick)
	require.NoError(t, err)
	require.True(t, r.Passed())
	return r
}

var quick = Run{Seeds: 1, Timeout: 20 * time.Second}

// run is how an attack is run: one that only the clock stops needs not be given much of it.
func (a attack) run() Run {
	run := quick
	if a.name == "endless" || a.name == "slow-init" {
		run.Timeout = 2 * time.Second
	}
	return run
}

func (a attack) selected(t *testing.T, c *course.Course) []course.Selected {
	part := a.part
	if part == "" {
		part = "1A"
	}
	s, err := c.Select(part)
	require.NoError(t, err)
	return s
}

// tryShut grades the attacks as they come.
func (h *hostile) tryShut(t *testing.T, g *Grader) {
	for _, a := range today() {
		t.Run(a.name, func(t *testing.T) {
			r, err := g.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: h.submission(a)}, a.selected(t, g.builder.Course()), a.run())
			require.NoError(t, err)
			require.Zero(t, r.Points, "%+v", r.Labs)
			require.Contains(t, r.Labs[0].Refused, a.refused)
			require.Equal(t, a.refused == "", r.Labs[0].Refused == "", r.Labs[0].Refused)
			if a.note != "" {
				require.Contains(t, r.Labs[0].Notes, a.note)
			}
			if a.says != "" {
				requireSays(t, r, a.says)
			}
			require.Empty(t, h.traces(t), "what it left")
		})
	}
}

// listed is whether the go command's list shows what an attack needs: a package, or files that are not Go.
func (a attack) listed() bool {
	return strings.Contains(a.refused, "may not import") || strings.Contains(a.refused, "directive")
}

// tryListed has the gate let everything pass: what an attack imports, the go command's list still shows before anything is built. So of the
// sources that the gate refuses for an import or a directive, none comes as far as the compiler.
func (h *hostile) tryListed(t *testing.T) {
	g, tried := h.grader(t, workspace.Options{Open: true}), 0
	for _, a := range attacks {
		if !a.listed() {
			continue
		}
		tried++
		t.Run(a.name, func(t *testing.T) {
			r, err := g.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: h.submission(a)}, a.selected(t, g.builder.Course()), a.run())
			require.NoError(t, err)
			require.Zero(t, r.Points, "%+v", r.Labs)
			require.Contains(t, r.Labs[0].Refused, "the go command would ")
		})
	}
	require.Greater(t, tried, 15)
}

// trySlow has the compiler work longer than it may.
func (h *hostile) trySlow(t *testing.T) {
	text := []byte("package echo\n\nfunc Echo(s string) string {\n")
	for i := range 8000 {
		text = fmt.Appendf(text, "\tif s == \"%d\" && len(s) > 1 || s > \"%dx\" {\n\t\ts += \"%d\"\n\t}\n", i, i, i)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "echo.go"), append(text, "\treturn s\n}\n"...), 0o666))
	g := h.grader(t, workspace.Options{Limits: sandbox.Limits{Memory: 3 << 30, Data: 6 << 30, CPU: 3 * time.Second, File: 256 << 20, Files: 4096}})
	r, err := g.Grade(t.Context(), submission.Source{Kind: course.Submission, Path: dir}, attack{}.selected(t, g.builder.Course()), quick)
	require.NoError(t, err)
	require.Equal(t, "does not compile: the build was stopped: it used more than 3s of processor time", r.Labs[0].Refused)
}

func requireSays(t *testing.T, r *result.Result, want string) {
	first := r.Labs[0].Parts[0].Tests[0]
	require.NotEmpty(t, first.Failures)
	text := fmt.Sprint(first.Failures[0].What, first.Failures[0].Where, first.Failures[0].Notes)
	require.Contains(t, text, want)
}

// buildOpen builds every attack that builds, past the gate.
func (h *hostile) buildOpen(t *testing.T) {
	g := h.grader(t, workspace.Options{Open: true, Unread: true})
	require.NoError(t, os.Mkdir(filepath.Join(h.Base, "bin"), 0o755))
	for _, a := range today() {
		if a.stops == 0 {
			continue
		}
		selected := a.selected(t, g.builder.Course())
		w, err := g.builder.Assemble(submission.Source{Kind: course.Submission, Path: h.submission(a)}, selected)
		require.NoError(t, err)
		lab := w.Lab(selected[0].Lab.ID)
		require.NoError(t, w.Build(t.Context(), lab), a.name)
		require.Equal(t, a.build == "", lab.Refused == "", "%s: %s", a.name, lab.Refused)
		require.Contains(t, lab.Refused, a.build)
		if lab.Refused == "" {
			h.Binary[a.name] = filepath.Join(h.Base, "bin", a.name+".test")
			require.NoError(t, os.Rename(lab.Binary, h.Binary[a.name]))
		}
		w.Remove()
	}
}

// tryOpen runs the attacks past the gate, at every level that this machine has, as this user.
func (h *hostile) tryOpen(t *testing.T) {
	best := h.grader(t, workspace.Options{Open: true, Unread: true})
	weak := best.builder.Box().LimitsOnly()
	for _, g := range []*Grader{h.grader(t, workspace.Options{Open: true, Unread: true, Box: &weak}), best} {
		box := g.builder.Box()
		for _, a := range attacks {
			if h.Binary[a.name] == "" {
				continue
			}
			holds := box.Level >= a.stops || a.root && box.OtherUsers()
			if !holds && a.skip {
				continue
			}
			t.Run(fmt.Sprintf("%s at level %d", a.name, box.Level), func(t *testing.T) {
				h.tryOne(t, g, a, holds)
			})
		}
	}
}

func (h *hostile) tryOne(t *testing.T, g *Grader, a attack, holds bool) {
	r, err := h.gradePrebuilt(t.Context(), g, a, a.selected(t, g.builder.Course()))
	require.NoError(t, err)
	if !holds {
		// Else the table would say less of the layers within than they do. A user of its own may stop an attack too.
		require.Eventually(t, func() bool { return g.builder.Box().OtherUsers() || r.Points > 0 || len(h.traces(t)) > 0 }, 5*time.Second, 10*time.Millisecond,
			"the attack fails at this level already")
		h.traces(t)
	} else {
		left := h.traces(t)
		require.Zero(t, r.Points, "%+v", r.Labs)
		require.Empty(t, left, "what it left")
		requireSays(t, r, a.open)
	}
}

// gradePrebuilt is Grade with a test binary that is there already.
func (h *hostile) gradePrebuilt(ctx context.Context, g *Grader, a attack, selected []course.Selected) (*result.Result, error) {
	source := submission.Source{Kind: course.Submission, Path: h.submission(a)}
	w, err := g.builder.Assemble(source, selected)
	if err != nil {
		return nil, err
	}
	defer w.Remove()
	w.Lab(selected[0].Lab.ID).Binary = h.Binary[a.name]
	r := g.Blank(source, selected)
	err = g.GradeLab(ctx, w, &r.Labs[0], a.run())
	r.Score()
	return r, err
}

// traces finds what an attack left outside its scratch folder, and takes it away: files, processes, and words that arrived.
func (h *hostile) traces(t *testing.T) []string {
	var found []string
	entries, err := os.ReadDir(h.Outside)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != "solution" {
			found = append(found, "file "+e.Name())
			os.RemoveAll(filepath.Join(h.Outside, e.Name()))
		}
	}
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		if !strings.HasPrefix(string(text), h.Token) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(list)))
		found = append(found, "process "+strconv.Itoa(pid))
		syscall.Kill(pid, syscall.SIGKILL)
	}
	heard, err := os.ReadFile(h.Heard)
	require.NoError(t, err)
	if len(heard) > 0 {
		found = append(found, string(heard))
		require.NoError(t, os.Truncate(h.Heard, 0))
	}
	return found
}

// asUser tries the attacks past the gate in a process of an ordinary user.
func (h *hostile) asUser(t *testing.T) {
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	exe := filepath.Join(h.Base, "grade.test")
	require.NoError(t, os.WriteFile(exe, self, 0o755))
	text, err := json.Marshal(h)
	require.NoError(t, err)
	home := filepath.Join(h.Base, "home")
	require.NoError(t, os.Mkdir(home, 0o777))
	require.NoError(t, os.Chmod(home, 0o777))
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestHostileSubmissions$", "-test.v")
	cmd.Dir = filepath.Join(h.Base, "course")
	cmd.Env = []string{hostileEnv + "=" + string(text), "PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home, "GORACE=atexit_sleep_ms=0",
		gradetest.LauncherEnv + "=" + os.Getenv(gradetest.LauncherEnv)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		t.Fatalf("%s", out)
	}
	require.NoError(t, err)
	t.Logf("%s", out)
	require.Contains(t, string(out), "--- PASS: TestHostileSubmissions")
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	for _, e := range left {
		require.NotContains(t, e.Name(), "grade-", "a scratch folder was left")
	}
}

// nobody is an ordinary user that every Linux has.
const nobody = 65534
