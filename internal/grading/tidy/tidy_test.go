//go:build linux

package tidy

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// deep makes n folders, each in the one before, without a path that is too long for the system.
func deep(t *testing.T, dir string, n int) {
	fd, err := syscall.Open(dir, syscall.O_DIRECTORY|syscall.O_RDONLY, 0)
	require.NoError(t, err)
	for range n {
		require.NoError(t, syscall.Mkdirat(fd, "a", 0o777))
		next, err := syscall.Openat(fd, "a", syscall.O_DIRECTORY|syscall.O_RDONLY, 0)
		require.NoError(t, err)
		require.NoError(t, syscall.Close(fd))
		fd = next
	}
	require.NoError(t, syscall.Close(fd))
}

func TestRemoveAll(t *testing.T) {
	for name, fill := range map[string]func(t *testing.T, dir string){
		"empty": func(t *testing.T, dir string) {},
		"deep":  func(t *testing.T, dir string) { deep(t, dir, 3000) },
		"deep, often": func(t *testing.T, dir string) {
			for i := range 5 {
				sub := filepath.Join(dir, fmt.Sprint(i))
				require.NoError(t, os.Mkdir(sub, 0o777))
				deep(t, sub, 300)
			}
		},
		"wide": func(t *testing.T, dir string) {
			for i := range 500 {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, fmt.Sprintf("d%d/e", i)), 0o777))
			}
		},
		"names of its own": func(t *testing.T, dir string) {
			for i := range 20 {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, fmt.Sprintf(".moved-%d/b/c/d", i)), 0o777))
			}
		},
		"no rights": func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o777))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a/b/f"), nil, 0))
			for _, sub := range []string{"a/b/c", "a/b", "a", ""} {
				require.NoError(t, os.Chmod(filepath.Join(dir, sub), 0))
			}
		},
		"names of its own, deep": func(t *testing.T, dir string) {
			for range maxLevels {
				dir = filepath.Join(dir, "a")
			}
			for i := range 20 {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, fmt.Sprintf(".moved-%d/b/c/d", i)), 0o777))
			}
		},
		"links": func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "l")))
			require.NoError(t, os.Symlink(dir, filepath.Join(dir, "m")))
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "f"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			require.NoError(t, os.Mkdir(dir, 0o777))
			fill(t, dir)
			require.NoError(t, RemoveAll(dir))
			require.NoDirExists(t, dir)
			require.NoError(t, RemoveAll(dir))
		})
	}
	require.DirExists(t, "/etc")
}

// Several processes may remove one folder: each is content when it is gone.
func TestSeveralRemoveOneFolder(t *testing.T) {
	for range 50 {
		dir := filepath.Join(t.TempDir(), "grade")
		for i := range 20 {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, fmt.Sprint(i), "a", "b"), 0o755))
		}
		errs := make(chan error)
		for range 4 {
			go func() { errs <- RemoveAll(dir) }()
		}
		for range 4 {
			require.NoError(t, <-errs)
		}
		require.NoDirExists(t, dir)
	}
}
