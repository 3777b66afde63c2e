// Package live tests the whole: real processes of the reference, and etcd's own client. The programs are in server and command.
package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/live/cluster"
)

const (
	// wait is for what takes a second on a machine that is not busy.
	wait = 30 * time.Second
	// electionTimeout is the lab's longest.
	electionTimeout = 800 * time.Millisecond
)

func TestMain(m *testing.M) {
	gate.Serve()
	sandbox.Serve()
	code := m.Run()
	if reference.dir != "" {
		os.RemoveAll(reference.dir)
	}
	os.Exit(code)
}

// reference is the server program with the reference's files, built once.
var reference struct {
	once sync.Once
	dir  string
	err  error
}

func program(t *testing.T) string {
	t.Helper()
	reference.once.Do(func() {
		if reference.dir, reference.err = os.MkdirTemp("", "live-"); reference.err == nil {
			reference.err = build(t.Context(), submission.Source{Kind: course.Solution}, filepath.Join(reference.dir, "server"))
		}
	})
	require.NoError(t, reference.err)
	return filepath.Join(reference.dir, "server")
}

// build builds the server program with a source's files of lab 05.
func build(ctx context.Context, src submission.Source, binary string) error {
	root, err := course.Root("..")
	if err != nil {
		return err
	}
	c, err := course.Load(root)
	if err != nil {
		return err
	}
	selected, err := c.Select("05")
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
	if err := w.BuildProgram(ctx, lab, "live", "server", binary); err != nil {
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
	c, err := cluster.New(opts)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, c.StartAll())
	return c
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
