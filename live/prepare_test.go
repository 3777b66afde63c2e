package live

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/live/cluster"
)

// A prepared cluster runs without the command: each server has only its own folder, as a container has.
func TestPreparedServers(t *testing.T) {
	dir, binary := t.TempDir(), program(t)
	var places []cluster.Place
	var endpoints []string
	for i := range 3 {
		home := filepath.Join(dir, cluster.Name(i+1))
		p := cluster.Place{Peers: freeAddress(t), Clients: freeAddress(t), Files: home, Data: filepath.Join(home, "data")}
		places, endpoints = append(places, p), append(endpoints, p.Clients)
	}
	require.NoError(t, cluster.Prepare(dir, binary, places))
	for i := range 3 {
		own := filepath.Join(dir, cluster.Name(i+1))
		keys, err := os.ReadDir(filepath.Join(own, "keys"))
		require.NoError(t, err)
		require.Len(t, keys, 2, "its own key and the authority")
		require.DirExists(t, filepath.Join(own, "data"))
		cmd := exec.Command(binary, filepath.Join(own, "config.json"))
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			in.Close()
			require.NoError(t, cmd.Wait(), "a server ends with its standard input")
		})
	}
	etcdctl := func(args ...string) string {
		out, _ := exec.CommandContext(t.Context(), "etcdctl", append([]string{"--endpoints=" + strings.Join(endpoints, ",")}, args...)...).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	if _, err := exec.LookPath("etcdctl"); err != nil {
		t.Skip("no etcdctl here (Debian's etcd-client)")
	}
	require.Eventually(t, func() bool { return etcdctl("put", "book", "borrowed") == "OK" }, wait, 100*time.Millisecond)
	require.Equal(t, "book\nborrowed", etcdctl("get", "book"))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
