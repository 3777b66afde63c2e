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
	writes, syncs, _ := s.Stats()
	require.EqualValues(t, 7, writes)
	require.Zero(t, syncs)
	require.NoError(t, s.Sync())
	require.NoError(t, s.Sync())
	_, syncs, _ = s.Stats()
	require.EqualValues(t, 1, syncs, "one for all, and none for nothing")
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

// The log goes into the database when it is large, and a crash between that and the log's new beginning does no harm.
func TestTheLogBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.db")
	s, err := Open(path)
	require.NoError(t, err)
	want := map[string][]byte{}
	for i := range 200 {
		name := strconv.Itoa(i % 7)
		want[name] = []byte(strings.Repeat(strconv.Itoa(i), 40_000))
		require.NoError(t, s.Write(name, want[name]))
		if i%10 == 3 {
			require.NoError(t, s.Write(name, nil))
			delete(want, name)
		}
	}
	require.Less(t, s.size, int64(maxLog))
	before, err := os.ReadFile(path + ".log")
	require.NoError(t, err)
	require.NoError(t, s.checkpoint())
	require.NoError(t, s.Close())
	for _, log := range [][]byte{nil, before} {
		require.NoError(t, os.WriteFile(path+".log", log, 0o600))
		s, err = Open(path)
		require.NoError(t, err)
		require.Equal(t, want, s.Records())
		require.NoError(t, s.Close())
	}
}

// Whatever a crash has left of the last record: the records before it are there, and writing goes on.
func TestATornRecordIsCutOff(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "disk.db")
	last := encodeRecord("c", []byte("3"))
	for cut := range len(last) {
		for _, damage := range []byte{0, 1} {
			require.NoError(t, os.RemoveAll(path+".log"))
			torn := append(append(encodeRecord("a", []byte("1")), encodeRecord("b", nil)...), last[:cut]...)
			if torn[len(torn)-1] ^= damage; damage == 1 && cut == 0 {
				continue // that would damage the record before
			}
			require.NoError(t, os.WriteFile(path+".log", torn, 0o600))
			s, err := Open(path)
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"a": []byte("1")}, s.Records())
			require.NoError(t, s.Write("d", []byte("4")))
			require.NoError(t, s.Close())
			s, err = Open(path)
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"a": []byte("1"), "d": []byte("4")}, s.Records())
			require.NoError(t, s.Close())
		}
	}
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
