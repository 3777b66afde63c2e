package passed

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, dir, name, text string) time.Time {
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	return time.Now().Add(time.Hour)
}

func TestTestsAddUpOnTheSameFiles(t *testing.T) {
	dir := t.TempDir()
	require.Nil(t, Load(dir))
	built := write(t, dir, "a.go", "package a\n")
	require.NoError(t, Add(dir, built, []string{"TestTwo", "TestOne"}))
	require.NoError(t, Add(dir, built, []string{"TestThree", "TestOne"}))
	first := Run{Files: map[string]string{"a.go": Sum([]byte("package a\n"))}, Tests: []string{"TestOne", "TestThree", "TestTwo"}}
	require.Equal(t, []Run{first}, Load(dir))

	built = write(t, dir, "a.go", "package a // other\n")
	require.NoError(t, Add(dir, built, nil))
	require.Equal(t, []Run{first}, Load(dir), "nothing passed: nothing to remember")
	require.NoError(t, Add(dir, built, []string{"TestOne"}))
	runs := Load(dir)
	require.Len(t, runs, 2)
	require.Equal(t, []string{"TestOne"}, runs[0].Tests, "the latest first")
	require.Equal(t, first, runs[1])
	for i := range 2 * kept {
		require.NoError(t, Add(dir, write(t, dir, "a.go", string(rune('a'+i))), []string{"TestOne"}))
	}
	require.Len(t, Load(dir), kept)
}

// What the tests passed on is not known if a source was written after the binary: while it ran, say.
func TestAFileThatWasWrittenSince(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.go", "package a\n")
	require.NoError(t, Add(dir, time.Now().Add(-time.Hour), []string{"TestOne"}))
	require.Nil(t, Load(dir))
}

func TestADamagedFileIsNone(t *testing.T) {
	dir := t.TempDir()
	built := write(t, dir, "a.go", "package a\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".labs"), 0o777))
	write(t, dir, ".labs/passed.json", "{")
	require.Nil(t, Load(dir))
	require.NoError(t, Add(dir, built, []string{"TestOne"}))
	require.Len(t, Load(dir), 1)
}
