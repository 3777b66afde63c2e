// Package live tests the whole: real processes of the reference, and etcd's own client. The programs are in server and command.
package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/browser"
	"distlabs/live/cluster"
)

const (
	// wait is for what takes a second on a machine that is not busy.
	wait = 30 * time.Second
	// electionTimeout is the lab's longest.
	electionTimeout = 800 * time.Millisecond
)

func TestMain(m *testing.M) {
	code := gradetest.Main(tests{m})
	built.remove()
	os.Exit(code)
}

type tests struct{ *testing.M }

func (t tests) Run() int { return browser.Run(t.M) }

// A builder builds programs with the reference's files, each once, in one folder.
type builder struct {
	mu     sync.Mutex
	folder string
	done   map[string]error
}

var built builder

func (b *builder) dir(t *testing.T) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.folder == "" {
		var err error
		b.folder, err = os.MkdirTemp("", "live-")
		require.NoError(t, err)
		b.done = map[string]error{}
	}
	return b.folder
}

func (b *builder) remove() {
	if b.folder != "" {
		os.RemoveAll(b.folder)
	}
}

// build builds a program, unless it is there.
func (b *builder) build(t *testing.T, src submission.Source, lab, program, binary string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.done[binary]; !known {
		b.done[binary] = build(t.Context(), src, lab, program, binary)
	}
	require.NoError(t, b.done[binary])
}

// program is the server of lab 05.
func program(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(built.dir(t), "server")
	built.build(t, submission.Source{Kind: course.Solution}, "05", "server", binary)
	return binary
}

// build builds a program with a source's files of a lab.
func build(ctx context.Context, src submission.Source, number, program, binary string) error {
	root, err := course.Root("..")
	if err != nil {
		return err
	}
	c, err := course.Load(root)
	if err != nil {
		return err
	}
	selected, err := c.Select(number)
	if err != nil {
		return err
	}
	b, err := workspace.New(ctx, c, workspace.Options{Jobs: 1})
	if err != nil {
		return err
	}
	defer b.Close()
	w, err := b.Assemble(src, selected)
	if err != nil {
		return err
	}
	lab := w.Lab(selected[0].Lab.ID)
	if err := w.BuildProgram(ctx, lab, "live", program, binary); err != nil {
		return err
	}
	if lab.Refused != "" {
		return fmt.Errorf("refused: %s", lab.Refused)
	}
	return nil
}

// start starts a cluster of the reference.
func start(t *testing.T, opts cluster.Options) *cluster.Cluster {
	t.Helper()
	if opts.Program == "" {
		opts.Program = program(t)
	}
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	if opts.Servers == 0 {
		opts.Servers = 3
	}
	opts.Host = ownHost()
	c, err := cluster.New(opts)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, c.StartAll())
	return c
}

// hosts counts the clusters of these tests. Tests that wait most of the time are parallel.
var hosts atomic.Int32

// ownHost is an address of this machine for one cluster, where every address that begins with 127 is one: when a server of it is down, no other
// cluster can get its port.
func ownHost() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	n := hosts.Add(1)
	return fmt.Sprintf("127.0.%d.%d", 1+n/200, 1+n%200)
}

// etcdctl runs etcd's client and returns what it says.
func etcdctl(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	out, err := tryEtcdctl(t, c, args...)
	require.NoError(t, err, "etcdctl %q: %s", args, out)
	return out
}

func tryEtcdctl(t *testing.T, c *cluster.Cluster, args ...string) (string, error) {
	cmd := etcdctlCommand(t, c, args...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func etcdctlCommand(t *testing.T, c *cluster.Cluster, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("etcdctl")
	if err != nil {
		t.Skip("no etcdctl here (Debian's etcd-client)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
	t.Cleanup(cancel)
	all := append([]string{"--endpoints=" + strings.Join(c.Endpoints(), ","), "--command-timeout=20s", "--dial-timeout=5s"}, args...)
	cmd := exec.CommandContext(ctx, path, all...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	return cmd
}

func TestPutAndGet(t *testing.T) {
	c := start(t, cluster.Options{})
	require.Equal(t, "OK", etcdctl(t, c, "put", "book", "borrowed"))
	require.Equal(t, "book\nborrowed", etcdctl(t, c, "get", "book"))
}

// A script of what etcd's client can be asked.
func TestEtcdctl(t *testing.T) {
	c := start(t, cluster.Options{})
	for _, step := range []struct {
		args string // separated by spaces
		in   string
		want string
	}{
		{args: "put a 1", want: "OK"},
		{args: "get a", want: "a\n1"},
		{args: "get a --print-value-only", want: "1"},
		{args: "get b", want: ""},
		{args: "put a 2 --prev-kv", want: "OK\na\n1"},
		{args: "put b 3", want: "OK"},
		{args: "put c/x 4", want: "OK"},
		{args: "put c/y 5", want: "OK"},
		{args: "get c/ --prefix", want: "c/x\n4\nc/y\n5"},
		{args: "get c/ --prefix --keys-only", want: "c/x\n\nc/y"},
		{args: "get c/ --prefix --order=DESCEND --sort-by=KEY", want: "c/y\n5\nc/x\n4"},
		{args: "get c/ --prefix --limit=1", want: "c/x\n4"},
		{args: "get a c", want: "a\n2\nb\n3"},
		{args: "get b --from-key", want: "b\n3\nc/x\n4\nc/y\n5"},
		{args: "get c/ --prefix --consistency=s --limit=1", want: "c/x\n4"},
		{args: "get a --rev=2", want: "a\n1"},
		{args: "get a --rev=99", want: "required revision is a future revision"},
		{args: "del b", want: "1"},
		{args: "del b", want: "0"},
		{args: "del a --prev-kv", want: "1\na\n2"},
		{args: "get a", want: ""},
		{args: "get a --rev=3", want: "a\n2"},
		{args: "del c/ --prefix", want: "code = Unimplemented"},
		{args: "txn", in: "version(\"t\") = \"0\"\n\nput t 1\n\nget t\n\n", want: "SUCCESS\n\nOK"},
		{args: "txn", in: "version(\"t\") = \"0\"\n\nput t 2\n\nget t\n\n", want: "FAILURE\n\nt\n1"},
		{args: "txn", in: "value(\"t\") = \"1\"\n\nput t 3\nget t\n\nget t\n\n", want: "SUCCESS\n\nOK\n\nt\n3"},
		{args: "txn", in: "mod(\"t\") > \"2\"\ncreate(\"t\") < \"99\"\n\nget t\nput t 4\n\n\n", want: "SUCCESS\n\nt\n3\n\nOK"},
		{args: "txn", in: "value(\"t\") = \"9\"\nvalue(\"c/x\") = \"4\"\n\nget t\n\nget c/ --prefix\n\n", want: "FAILURE\n\nc/x\n4\nc/y\n5"},
		{args: "txn", in: "\nput t 5\nput u 5\n\n\n", want: "code = Unimplemented"},
		{args: "txn", in: "value(\"c/x\") = \"4\"\n\nput t 5\n\n\n", want: "code = Unimplemented"},
		{args: "txn", in: "\ndel t\n\n\n", want: "SUCCESS\n\n1"},
		{args: "txn", in: "version(\"t\") = \"0\"\n\nget t\n\ndel t\n\n", want: "SUCCESS"},
		{args: "lease timetolive 1234", want: "lease 0000000000001234 already expired"},
		{args: "lease grant 60", want: "granted with TTL(60s)"},
		{args: "lease list", want: "found 1 leases"},
		{args: "compact 3", want: "code = Unimplemented"},
		{args: "user list", want: "code = Unimplemented"},
		{args: "endpoint health", want: "is healthy"},
		{args: "endpoint status", want: "true"},
		{args: "member list", want: "started, n1"},
	} {
		cmd := etcdctlCommand(t, c, strings.Split(step.args, " ")...)
		cmd.Stdin = strings.NewReader(step.in)
		text, err := cmd.CombinedOutput()
		got := strings.TrimSpace(string(text))
		if strings.Contains(step.want, "=") || strings.Contains(step.want, " ") || strings.HasPrefix(step.args, "end") {
			require.Contains(t, got, step.want, "etcdctl %s %q", step.args, step.in)
			continue
		}
		require.NoError(t, err, "etcdctl %s %q: %s", step.args, step.in, got)
		require.Equal(t, step.want, got, "etcdctl %s %q", step.args, step.in)
	}
}
