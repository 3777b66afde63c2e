package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/learning/learn"
)

// What is carried is tested before it is said that it elects.
func TestCarrySaysWhetherItElects(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"labrpc", "internal", "labs/04-election", "labs/05-replication"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))))
	}
	put := func(from, to string) {
		text, err := os.ReadFile(filepath.Join(root, from))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), text, 0o666))
	}
	put("go.mod", "go.mod")
	put("go.sum", "go.sum")
	for _, name := range []string{"raft.go", "wire.go"} {
		put("solutions/04-election/"+name, "labs/04-election/"+name)
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-trimpath") // what the grader has built is then in the build cache
	carry := func() string {
		for _, name := range []string{"election.go", "wire.go"} {
			put("labs/05-replication/.stub/"+name, "labs/05-replication/"+name)
		}
		var out, errs bytes.Buffer
		require.Equal(t, exitGraded, execute([]string{"carry", "05"}, &out, &errs), "%s", &errs)
		return out.String()
	}
	require.Contains(t, carry(), "It elects: TestElectsALeader4C passes. Next: ")

	path := filepath.Join(dir, "labs/04-election/raft.go")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	broken := bytes.Replace(text, []byte("Granted: true"), []byte("Granted: false"), 1)
	if bytes.Equal(broken, text) {
		broken = bytes.Replace(text, []byte("Granted = true"), []byte("Granted = false"), 1)
	}
	require.NotEqual(t, string(text), string(broken), "the server that never grants a vote")
	require.NoError(t, os.WriteFile(path, broken, 0o666))
	require.Regexp(t, `It does not elect yet: TestElectsALeader4C fails in lab 04 \(no leader .*\)\. Correct it in `+learn.CarriedServer+` too\. Next: `, carry())
}
