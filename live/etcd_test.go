package live

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/live/cluster"
)

// A session is an etcdctl that goes on: a watch, a lock.
type session struct {
	cmd   *exec.Cmd
	lines chan string
}

func begin(t *testing.T, c *cluster.Cluster, args ...string) *session {
	t.Helper()
	s := &session{cmd: etcdctlCommand(t, c, args...), lines: make(chan string, 1000)}
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.cmd.Stderr = os.Stderr
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	return s
}

// next returns the next line that etcdctl prints.
func (s *session) next(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-s.lines:
		require.True(t, ok, "etcdctl ended")
		return line
	case <-time.After(wait):
		t.Fatalf("etcdctl printed nothing for %v", wait)
		return ""
	}
}

// interrupt ends it as Ctrl-C does.
func (s *session) interrupt(t *testing.T) { require.NoError(t, s.cmd.Process.Signal(os.Interrupt)) }

// A watch of etcd's client reports every change in order, each once, although servers and their gateways are killed.
func TestWatchGoesOnAfterKills(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{})
	etcdctl(t, c, "put", "w/0", "first")
	w := begin(t, c, "watch", "w/", "--prefix", "--rev=2")
	require.Equal(t, []string{"PUT", "w/0", "first"}, []string{w.next(t), w.next(t), w.next(t)})
	for i := 1; i <= 3; i++ {
		victim := i // each server once
		if i == 1 {
			leader, _, ok := c.WaitLeader(wait, 0)
			require.True(t, ok)
			victim = leader
		}
		etcdctl(t, c, "put", "other", "x")
		c.Kill(victim)
		key := fmt.Sprintf("w/%d", i)
		putAnyway(t, c, key, key)
		require.Equal(t, []string{"PUT", key, key}, []string{w.next(t), w.next(t), w.next(t)})
		require.NoError(t, c.Start(victim))
		putAnyway(t, c, key, "again")
		require.Equal(t, []string{"PUT", key, "again"}, []string{w.next(t), w.next(t), w.next(t)})
	}
	require.Equal(t, "1", etcdctl(t, c, "del", "w/1"))
	require.Equal(t, []string{"DELETE", "w/1"}, []string{w.next(t), w.next(t)})
}

// putAnyway puts a key that is not yet so, although a server has just been killed: an attempt whose outcome is unknown is looked at.
func putAnyway(t *testing.T, c *cluster.Cluster, key, value string) {
	t.Helper()
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if _, err := tryEtcdctl(t, c, "put", key, value); err == nil {
			return
		}
		if out, err := tryEtcdctl(t, c, "get", key); err == nil && out == key+"\n"+value {
			return
		}
	}
	t.Fatalf("no put of %s within %v", key, wait)
}

func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{})
	id := strings.Fields(etcdctl(t, c, "lease", "grant", "3"))[1]
	etcdctl(t, c, "put", "mine", "1", "--lease="+id)
	etcdctl(t, c, "put", "mine", "2", "--ignore-lease")
	require.Contains(t, etcdctl(t, c, "lease", "timetolive", id, "--keys"), "attached keys([mine])")
	require.Contains(t, etcdctl(t, c, "lease", "keep-alive", "--once", id), "keepalived with TTL(3)")
	_, err := tryEtcdctl(t, c, "put", "mine", "3")
	require.Error(t, err, "a key cannot be taken from its lease")
	w := begin(t, c, "watch", "mine")
	require.Equal(t, []string{"DELETE", "mine"}, []string{w.next(t), w.next(t)})
	require.Empty(t, etcdctl(t, c, "get", "mine"))
	require.Contains(t, etcdctl(t, c, "lease", "timetolive", id), "already expired")

	id = strings.Fields(etcdctl(t, c, "lease", "grant", "60"))[1]
	etcdctl(t, c, "put", "mine", "1", "--lease="+id)
	require.Contains(t, etcdctl(t, c, "lease", "revoke", id), "revoked")
	require.Empty(t, etcdctl(t, c, "get", "mine"))
}

// The lease of a gateway that was killed ends too, and the lock goes to the next in the queue.
func TestLockIsHandedOver(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{})
	first := begin(t, c, "lock", "m", "--ttl=3")
	require.Contains(t, first.next(t), "m/")
	second, third := begin(t, c, "lock", "m", "--ttl=3"), (*session)(nil)
	require.Eventually(t, func() bool { return strings.Count(etcdctl(t, c, "get", "m/", "--prefix", "--keys-only"), "m/") == 2 }, wait, time.Millisecond)
	select {
	case line := <-second.lines:
		t.Fatalf("two hold the lock: %s", line)
	default:
	}
	third = begin(t, c, "lock", "m", "--ttl=3")
	first.interrupt(t)
	require.Contains(t, second.next(t), "m/")
	require.NoError(t, second.cmd.Process.Kill()) // no farewell: its lease must end
	require.Contains(t, third.next(t), "m/")
}

func TestElection(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Options{})
	first := begin(t, c, "elect", "e", "one")
	require.Contains(t, first.next(t), "e/")
	require.Equal(t, "one", first.next(t))
	second := begin(t, c, "elect", "e", "two")
	first.interrupt(t)
	require.Contains(t, second.next(t), "e/")
	require.Equal(t, "two", second.next(t))
}
