package live

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/live/cluster"
)

// kills is how often the tests kill; LIVE_KILLS in the environment sets it.
func kills(t *testing.T, usual int) int {
	if text := os.Getenv("LIVE_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return usual
}

// What was acknowledged is there after all processes were killed at once.
func TestAllKilledAtOnce(t *testing.T) {
	opts := cluster.Options{Dir: t.TempDir(), SnapshotEvery: 5}
	for i := range kills(t, 1) {
		c := start(t, opts)
		for k := range 4 {
			etcdctl(t, c, "put", "k"+strconv.Itoa(k), strconv.Itoa(i*10+k))
		}
		c.Close()
		c = start(t, opts)
		for k := range 4 {
			require.Equal(t, strconv.Itoa(i*10+k), etcdctl(t, c, "get", "--print-value-only", "k"+strconv.Itoa(k)))
		}
		require.Contains(t, etcdctl(t, c, "get", "k", "--prefix", "--write-out=fields"), "\"Count\" : 4")
		c.Close()
	}
}

func TestRefusesDataOfAnotherSize(t *testing.T) {
	dir := t.TempDir()
	c := start(t, cluster.Options{Dir: dir})
	c.Close()
	_, err := cluster.New(cluster.Options{Dir: dir, Program: program(t), Servers: 5})
	require.ErrorContains(t, err, "are those of 3 servers: give --nodes 3, or --fresh")
	start(t, cluster.Options{Dir: dir, Servers: 1, Fresh: true})
}
