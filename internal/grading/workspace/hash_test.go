package workspace

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The hash of a tree is of the names and texts of the files that are wanted, and of nothing else.
func TestHashTree(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
	hashed := func() string {
		var sum strings.Builder
		require.NoError(t, HashTree(&sum, dir, func(name string, e fs.DirEntry) bool { return name != "a/not" && !strings.HasSuffix(name, ".md") }))
		return sum.String()
	}
	put("a/b.go", "x")
	put("a/c.go", "yz")
	require.Equal(t, "6:a/b.go\n1:x\n6:a/c.go\n2:yz\n", hashed())
	put("a/not/d.go", "in a folder that is not wanted")
	put("a/README.md", "not wanted")
	require.Equal(t, "6:a/b.go\n1:x\n6:a/c.go\n2:yz\n", hashed())
	put("a/c.go", "yZ")
	require.Equal(t, "6:a/b.go\n1:x\n6:a/c.go\n2:yZ\n", hashed())
	require.NoError(t, HashTree(nil, filepath.Join(dir, "nowhere"), nil))
}
