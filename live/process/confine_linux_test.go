package process

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"github.com/stretchr/testify/require"
)

// TestMain is the confined process of TestConfined, too: confine is for good.
func TestMain(m *testing.M) {
	dir := os.Getenv("LIVE_CONFINED")
	if dir == "" {
		os.Exit(m.Run())
	}
	mine, yours := filepath.Join(dir, "mine"), filepath.Join(dir, "yours")
	if err := confine(mine); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	try := func(what string, err error) { fmt.Println(what, err == nil) }
	try("write", os.WriteFile(filepath.Join(mine, "a"), nil, 0o600))
	try("rename", os.Rename(filepath.Join(mine, "a"), filepath.Join(mine, "b")))
	_, err := os.ReadFile(filepath.Join(yours, "secret"))
	try("read another", err)
	try("write another", os.WriteFile(filepath.Join(yours, "a"), nil, 0o600))
	_, err = os.ReadDir("/")
	try("list", err)
	try("execute", exec.Command("/bin/true").Run())
	l, err := net.Listen("tcp", "localhost:0")
	try("listen", err)
	conn, err := net.Dial("tcp", l.Addr().String())
	try("dial", err)
	_ = conn
	os.Exit(0)
}

// A confined process has its own folder and the network, and no other file.
func TestConfined(t *testing.T) {
	if version, err := syscall.LandlockGetABIVersion(); err != nil || version < 3 {
		t.Skip("this kernel has no Landlock that can forbid all of it")
	}
	dir := t.TempDir()
	for _, name := range []string{"mine", "yours"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "yours", "secret"), nil, 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LIVE_CONFINED="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, []string{"write true", "rename true", "read another false", "write another false", "list false", "execute false", "listen true", "dial true"},
		strings.Split(strings.TrimSpace(string(out)), "\n"))
}
