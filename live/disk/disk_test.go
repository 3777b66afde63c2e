package disk

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKeepsItsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "disk.db")
	s, err := Open(path)
	require.NoError(t, err)
	require.Empty(t, s.Records())
	for name, data := range map[string]string{"term": "1", "": "no name", "gone": "x", "empty": ""} {
		require.NoError(t, s.Write(name, []byte(data)))
	}
	require.NoError(t, s.Write("term", []byte("2")))
	require.NoError(t, s.Write("gone", nil))
	require.NoError(t, s.Write("never", nil))
	writes, _ := s.Stats()
	require.EqualValues(t, 7, writes)
	require.NoError(t, s.Close())

	s, err = Open(path)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, map[string][]byte{"term": []byte("2"), "": []byte("no name"), "empty": {}}, s.Records())
}

func TestSaysThatAFileIsNoDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.db")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("this is a letter", 1000)), 0o666))
	_, err := Open(path)
	require.ErrorContains(t, err, path)
}

// writerEnv makes the test's own program a process that writes to the disk of that path until it is killed.
const writerEnv = "DISTLABS_LIVE_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		write(path)
	}
	os.Exit(m.Run())
}

// write writes 1, 2, 3, …, under ten names, and says so after each.
func write(path string) {
	s, err := Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	n := uint64(0)
	for _, data := range s.Records() {
		n = max(n, binary.BigEndian.Uint64(data))
	}
	for n++; ; n++ {
		if err := s.Write(strconv.FormatUint(n%10, 10), binary.BigEndian.AppendUint64(nil, n)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// kill -9 at a random time loses nothing that Write has returned for, and tears no record.
func TestAKillLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.db")
	kills := 20
	if text := os.Getenv("LIVE_KILLS"); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	total := uint64(0)
	for range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		said := uint64(0)
		lines := bufio.NewScanner(out)
		if lines.Scan() { // it runs
			time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			for ok := true; ok; ok = lines.Scan() {
				said, err = strconv.ParseUint(lines.Text(), 10, 64)
				require.NoError(t, err, lines.Text())
			}
		}
		_ = cmd.Wait()
		require.Greater(t, said, total, "the writer did not go on")

		s, err := Open(path)
		require.NoError(t, err)
		last := uint64(0)
		for name, data := range s.Records() {
			n := binary.BigEndian.Uint64(data)
			require.Equal(t, name, strconv.FormatUint(n%10, 10))
			last = max(last, n)
		}
		require.NoError(t, s.Close())
		require.GreaterOrEqual(t, last, said, "a write that had returned is lost")
		require.LessOrEqual(t, last, said+1)
		total = last
	}
	t.Logf("%d kills, %d writes, none lost", kills, total)
}
