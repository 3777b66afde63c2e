package submission

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
)

// fixture returns a reader of the grader's own small course, and the folder in which it makes its own.
func fixture(t *testing.T) (*Reader, string) {
	root, err := filepath.Abs("../course/testdata/course")
	require.NoError(t, err)
	c, err := course.Load(root)
	require.NoError(t, err)
	selected, err := c.Select("01")
	require.NoError(t, err)
	scratch := t.TempDir()
	return NewReader(c, selected, func(prefix string) (string, error) { return os.MkdirTemp(scratch, prefix) }), scratch
}

type entry struct {
	name, text string
	link       string // a symbolic link to this
	hard       bool   // link is a hard link
	mode       os.FileMode
}

func zipped(t *testing.T, entries ...entry) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(0o644 | e.mode)
		text := e.text
		if e.link != "" {
			h.SetMode(os.ModeSymlink | 0o777)
			text = e.link
		}
		w, err := z.CreateHeader(h)
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func tarred(t *testing.T, compress bool, entries ...entry) []byte {
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Typeflag: tar.TypeReg}
		switch {
		case e.hard:
			h.Typeflag, h.Linkname = tar.TypeLink, e.link
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.mode&os.ModeNamedPipe != 0:
			h.Typeflag = tar.TypeFifo
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	if !compress {
		return plain.Bytes()
	}
	z := gzip.NewWriter(&packed)
	_, err := z.Write(plain.Bytes())
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return packed.Bytes()
}

// bomb is a small archive of one huge file before the lab's own.
func bomb(t *testing.T) []byte {
	const block, times = 16 << 20, maxUnpacked/(16<<20) + 1
	pack := func(text []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(text)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		return b.Bytes()
	}
	var head bytes.Buffer
	require.NoError(t, tar.NewWriter(&head).WriteHeader(&tar.Header{Name: "movie.mp4", Mode: 0o644, Size: block * times, Typeflag: tar.TypeReg}))
	// Members of a gzip file follow one another: the zeros need to be packed only once.
	return slices.Concat(pack(head.Bytes()), bytes.Repeat(pack(make([]byte, block)), times), pack(tarred(t, false, echo)))
}

var echo, shout = entry{name: "echo.go", text: "package echo"}, entry{name: "shout.go", text: "package echo // shout"}

func at(dir string, e entry) entry { e.name = dir + e.name; return e }

// Of an archive, however packed, the permitted files are taken and nothing else.
func TestArchivesThatAreRead(t *testing.T) {
	r, _ := fixture(t)
	for _, tc := range []struct {
		name, file string
		text       []byte
		note       string
	}{
		{name: "files at the root", file: "a.zip", text: zipped(t, echo, shout)},
		{name: "a folder around them", file: "a.zip", text: zipped(t, at("ada-lab1/", echo), at("ada-lab1/", shout))},
		{name: "two folders around them", file: "a.zip", text: zipped(t, at("x/y/", echo), at("x/y/", shout))},
		{name: "the lab's folder", file: "a.zip", text: zipped(t, at("labs/01-echo/", echo), at("labs/01-echo/", shout))},
		{name: "the repository in a folder", file: "a.zip", text: zipped(t, at("repo/labs/01-echo/", echo), at("repo/labs/01-echo/", shout), entry{name: "repo/go.mod", text: "module evil"})},
		{name: "a Mac's shadows", file: "a.zip", text: zipped(t, echo, at("__MACOSX/._", echo), shout, entry{name: ".DS_Store"})},
		{name: "Windows separators", file: "a.zip", text: zipped(t, at(`ada\`, echo), at(`ada\`, shout))},
		{name: "dots in front", file: "a.tar", text: tarred(t, false, at("./", echo), at("./", shout))},
		{name: "tar", file: "a.tar", text: tarred(t, false, echo, shout)},
		{name: "tar.gz", file: "a.tar.gz", text: tarred(t, true, echo, shout)},
		{name: "tgz", file: "a.TGZ", text: tarred(t, true, echo, shout)},
		{name: "another file", file: "a.zip", text: zipped(t, echo, shout, entry{name: "helper.go", text: "package echo"}), note: "helper.go is not among the lab's files: ignored"},
		{name: "a test of theirs", file: "a.zip", text: zipped(t, echo, shout, entry{name: "echo_test.go", text: "package echo"}), note: "echo_test.go is a test file, and tests are ours: ignored"},
		{name: "links where nobody looks", file: "a.tar", text: tarred(t, false, echo, shout, entry{name: ".git/x", link: "/etc/passwd"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			require.NoError(t, os.WriteFile(path, tc.text, 0o666))
			held, why, err := r.Read(Piece{Path: path})
			require.NoError(t, err)
			require.Empty(t, why)
			files := held["01-echo"]
			require.Empty(t, files.Refused)
			require.Equal(t, map[string][]byte{"echo.go": []byte(echo.text), "shout.go": []byte(shout.text)}, files.Text)
			if tc.note == "" {
				require.Empty(t, files.Notes)
			} else {
				require.Equal(t, []string{tc.note}, files.Notes)
			}
		})
	}
}

// manyHeaders is a zip of which the directory lists one entry 200 000 times.
func manyHeaders(t *testing.T) []byte {
	text := zipped(t, echo)
	directory, end := bytes.Index(text, []byte("PK\x01\x02")), bytes.Index(text, []byte("PK\x05\x06"))
	return slices.Concat(text[:directory], bytes.Repeat(text[directory:end], 200_000), text[end:])
}

// sparse is a tar that says of a short file that it has a terabyte.
func sparse(t *testing.T) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	data := []byte("1\n0\n0\n")
	data = append(data, make([]byte, 512-len(data))...)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "GNUSparseFile.0/echo.go", Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"X.y": strings.Repeat("s", 99)}}))
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	// The writer refuses records of its own affairs, so they are put in place of one of the same length.
	record := "118 X.y=" + strings.Repeat("s", 99)
	var fields []byte
	for _, f := range [][2]string{{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "echo.go"}, {"GNU.sparse.realsize", "1099511627776"}} {
		for n := len(f[0]) + len(f[1]) + 5; ; n++ {
			if line := fmt.Sprintf("%d %s=%s\n", n, f[0], f[1]); len(line) == n {
				fields = append(fields, line...)
				break
			}
		}
	}
	at := bytes.Index(b.Bytes(), []byte(" X.y="))
	require.Positive(t, at, record)
	start := bytes.LastIndexByte(b.Bytes()[:at], 0) + 1
	text := bytes.Clone(b.Bytes())
	clear(text[start : start+512])
	copy(text[start:], fields)
	// The header of the records says how long they are.
	head := text[start-512 : start]
	copy(head[124:136], fmt.Sprintf("%011o\x00", len(fields)))
	copy(head[148:156], "        ")
	sum := 0
	for _, c := range head {
		sum += int(c)
	}
	copy(head[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return text
}

// Names that nobody wants make no folder, whatever they are: an archive of a few kilobytes had made 20 000.
func TestArchiveMakesNoFolderForUnwantedNames(t *testing.T) {
	r, _ := fixture(t)
	entries := []entry{echo, shout}
	for i := range 50 {
		entries = append(entries, entry{name: fmt.Sprintf("%d/", i) + strings.Repeat("a/", 400) + "x.go"}, entry{name: fmt.Sprintf("d%d/y.go", i)}, entry{name: fmt.Sprintf("e%d/z.txt", i)})
	}
	dir := t.TempDir()
	to, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer to.Close()
	require.NoError(t, newUnpacker(to, r.permits).read(tarred(t, true, entries...), "a.tar.gz"))
	made, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, made, 2)
}

// What an archive can do wrong is a reason, and touches nothing.
func TestArchivesThatAreRefused(t *testing.T) {
	r, scratch := fixture(t)
	many := make([]entry, maxEntries+1)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	var manyFolders []entry
	for i := range maxTaken + 1 {
		manyFolders = append(manyFolders, at(fmt.Sprintf("%d/", i), echo))
	}
	for _, tc := range []struct {
		name, file string
		text       []byte
		want       string
	}{
		{"a way out", "a.zip", zipped(t, echo, at("../../", shout)), `the archive's entry "../../shout.go" leads out of its folder`},
		{"a way out in the middle", "a.zip", zipped(t, at("a/../../", echo)), `leads out of its folder`},
		{"a way out by Windows", "a.zip", zipped(t, at(`..\..\`, echo)), `leads out of its folder`},
		{"an absolute name", "a.tar", tarred(t, false, at("/etc/", echo)), `the archive's entry "/etc/echo.go" leads out of its folder`},
		{"a drive", "a.zip", zipped(t, at(`C:\`, echo)), `leads out of its folder`},
		{"a symbolic link", "a.zip", zipped(t, entry{name: "echo.go", link: "/etc/passwd"}), `the archive's "echo.go" is a symbolic link: links are not followed`},
		{"a linked folder", "a.tar", tarred(t, false, entry{name: "x", link: "/"}, at("x/", echo)), `the archive's "x" is a symbolic link`},
		{"a hard link", "a.tar.gz", tarred(t, true, entry{name: "echo.go", link: "/etc/passwd", hard: true}), `is a link to "/etc/passwd": links are not followed`},
		{"a pipe", "a.tar", tarred(t, false, entry{name: "echo.go", mode: os.ModeNamedPipe}), `the archive's "echo.go" is not a regular file`},
		{"a file twice", "a.zip", zipped(t, echo, echo), `the archive has "echo.go" twice`},
		{"two cases", "a.zip", zipped(t, echo, entry{name: "Echo.go", text: "package evil"}), `the archive has "echo.go" and "Echo.go", which differ in case only`},
		{"a large file", "a.zip", zipped(t, entry{name: "echo.go", text: strings.Repeat("x", maxText+1)}), `the archive's "echo.go" is larger than 1048576 bytes`},
		{"a bomb", "a.tar.gz", bomb(t), `the archive unpacks to more than 256 MiB`},
		{"too many", "a.zip", zipped(t, many...), `the archive has more than 10000 entries`},
		{"a large archive", "a.zip", make([]byte, maxArchive+1), `the archive is larger than 16 MiB`},
		{"half an archive", "a.zip", zipped(t, echo)[:40], `the archive is corrupt: `},
		{"half a tar", "a.tar.gz", tarred(t, true, entry{name: "echo.go", text: strings.Repeat("package echo\n", 99)})[:60], `the archive is corrupt: `},
		{"an empty file", "a.zip", nil, `the archive is empty`},
		{"another format", "a.rar", []byte("Rar!"), `a .rar archive is not read: want .zip, .tar, .tar.gz, .tgz`},
		{"another format in disguise", "a.zip", []byte("Rar!"), `the archive is corrupt: its contents are not those of a .zip file`},
		{"deep folders", "a.tar.gz", tarred(t, true, at(strings.Repeat("a/", 20_000), echo)), `lies too deep: want at most 16 folders and 500 bytes of name`},
		{"a long name", "a.tar", tarred(t, false, at(strings.Repeat("a", 600)+"/", echo)), `lies too deep: want at most 16 folders and 500 bytes of name`},
		{"a part of a name that no file system has", "a.zip", zipped(t, at(strings.Repeat("a", 300)+"/", echo)), `cannot be unpacked: file name too long`},
		{"the same file in many folders", "a.zip", zipped(t, manyFolders...), `the archive has more than 200 files with names that are graded`},
		{"a directory of many entries", "a.zip", manyHeaders(t), `the archive has more than 10000 entries`},
		{"a file that is a folder too", "a.zip", zipped(t, at("echo.go/", echo), echo), `the archive's "echo.go" cannot be unpacked: `},
		{"one file in two folders", "a.zip", zipped(t, at("a/", echo), at("b/", echo)), `the submission's files ("a/echo.go", "b/echo.go") are in several folders: hand in one folder, with each file once`},
		{"two labs in two folders", "a.zip", zipped(t, at("a/", echo), at("b/", shout), entry{name: "c/x.md"}), `the submission's files ("a/echo.go", "b/shout.go") are in several folders`},
		{"a sparse file", "a.tar", sparse(t), `the archive's "echo.go" is larger than 1048576 bytes`},
		{"nothing of the lab", "a.zip", zipped(t, entry{name: "essay.md"}), `the submission has none of the files that are graded (echo.go, shout.go)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			require.NoError(t, os.WriteFile(path, tc.text, 0o666))
			_, why, err := r.Read(Piece{Path: path})
			require.NoError(t, err)
			require.Contains(t, why, tc.want)
			require.Less(t, len(why), 400)
			require.True(t, !strings.ContainsFunc(why, func(r rune) bool { return !strconv.IsPrint(r) }))
		})
	}
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}
