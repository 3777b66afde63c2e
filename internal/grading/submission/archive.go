package submission

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The bounds of an archive. They are far above an honest submission's, and low
// enough for all that is in flight to fit in memory.
const (
	maxArchive  = 16 << 20  // bytes of the archive itself
	maxEntries  = 10_000    // entries in it
	maxUnpacked = 256 << 20 // bytes that are unpacked to get at the files
	maxText     = 1 << 20   // bytes of one permitted file
	maxMarks    = 200       // other files of which the name is kept, for the notes
	maxTaken    = 200       // permitted files, in whatever folders
	maxName     = 500       // bytes of the name of a file that is wanted
	maxSaid     = 80        // bytes of a name that a sentence quotes
)

var archiveEndings = []string{".zip", ".tar", ".tar.gz", ".tgz"}

// otherEndings are those of archives that are not read: a submission, with a reason.
var otherEndings = []string{".rar", ".7z", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".gz", ".bz2", ".xz"}

func ending(name string) string {
	name = strings.ToLower(name)
	for _, e := range append(slices.Clone(archiveEndings), otherEndings...) {
		if strings.HasSuffix(name, e) {
			return e
		}
	}
	return ""
}

// IsArchive reports whether a name is that of an archive, also of a kind that is not read.
func IsArchive(name string) bool { return ending(name) != "" }

// WithoutEnding is an archive's name without its ending.
func WithoutEnding(name string) string { return name[:len(name)-len(ending(name))] }

// ArchiveEndings names the archives that are read.
func ArchiveEndings() string { return strings.Join(archiveEndings, ", ") }

// bad is what is wrong with a submission: one sentence. It is no error of ours.
type bad string

func (b bad) Error() string { return string(b) }

func badf(format string, args ...any) error { return bad(fmt.Sprintf(format, args...)) }

// quoted is a stranger's name in a sentence of ours: escaped, and not for pages.
func quoted(name string) string {
	if len(name) > maxSaid {
		half := maxSaid / 2
		name = strings.ToValidUTF8(name[:half], "") + "…" + strings.ToValidUTF8(name[len(name)-half:], "")
	}
	return strconv.Quote(name)
}

// unpacker writes the permitted files of an archive below a folder, and remembers the names of
// the others. It goes by names: wherever
// the archive says that its files lie, none is written elsewhere, and a folder is made only for a file that is wanted.
type unpacker struct {
	to       *os.Root
	permits  []string
	entries  int
	unpacked int64
	marks    []string          // the names of other files
	nested   string            // if not "", this archive in the archive is read in place of it
	inner    []byte            // its text
	seen     map[string]string // Go files by folded path
	taken    int               // permitted files
}

func newUnpacker(to *os.Root, permits []string) *unpacker {
	return &unpacker{to: to, permits: permits, seen: map[string]string{}}
}

func (u *unpacker) read(text []byte, name string) error {
	switch e := ending(name); {
	case e == "":
		return badf("the file is no archive: want %s", strings.Join(archiveEndings, ", "))
	case bytes.HasPrefix(text, []byte("PK")):
		return u.zip(text)
	case bytes.HasPrefix(text, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			return badf("the archive is corrupt: %v", err)
		}
		return u.tar(z)
	case e == ".tar":
		return u.tar(bytes.NewReader(text))
	case len(text) == 0:
		return bad("the archive is empty")
	case slices.Contains(otherEndings, e):
		return badf("a %s archive is not read: want %s", e, strings.Join(archiveEndings, ", "))
	}
	return badf("the archive is corrupt: its contents are not those of a %s file", ending(name))
}

func (u *unpacker) zip(text []byte) error {
	// The reader holds all entries at once, so they are counted before: each has such a header. What is
	// compressed may hold these bytes too, but not so often.
	if bytes.Count(text, []byte("PK\x01\x02")) > 2*maxEntries {
		return tooMany()
	}
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return badf("the archive is corrupt: %v", err)
	}
	for _, f := range z.File {
		err := u.entry(f.Name, f.Mode(), func() (io.ReadCloser, error) { return f.Open() })
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) tar(r io.Reader) error {
	limited := &limitedReader{r: r, left: maxUnpacked}
	t := tar.NewReader(limited)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return u.broken(err)
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeLink:
			err = u.link(h.Name, h.Linkname)
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeGNUSparse:
			err = u.entry(h.Name, h.FileInfo().Mode(), func() (io.ReadCloser, error) { return io.NopCloser(t), nil })
		default:
			err = u.entry(h.Name, fs.ModeIrregular, nil)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) link(name, target string) error {
	if hiddenPath(name) {
		return nil
	}
	return badf("the archive's %s is a link to %s: links are not followed", quoted(name), quoted(target))
}

func (u *unpacker) broken(err error) error {
	if b, ok := errors.AsType[bad](err); ok {
		return b
	}
	return badf("the archive is corrupt: %v", err)
}

// entry takes one entry of an archive.
func (u *unpacker) entry(name string, mode fs.FileMode, open func() (io.ReadCloser, error)) error {
	if u.entries++; u.entries > maxEntries {
		return tooMany()
	}
	// Windows programs write their own separators, whatever the format says.
	name = strings.ReplaceAll(name, `\`, "/")
	if path.IsAbs(name) || len(name) > 1 && name[1] == ':' || leadsOut(name) {
		return badf("the archive's entry %s leads out of its folder", quoted(name))
	}
	name = path.Clean(name)
	base := path.Base(name)
	wanted := slices.Contains(u.permits, base)
	tooDeep := len(name) > maxName || strings.Count(name, "/") > maxParts
	switch {
	case mode.IsDir() || tooDeep && !wanted || hiddenPath(name):
		return nil
	case mode&fs.ModeSymlink != 0:
		return badf("the archive's %s is a symbolic link: links are not followed", quoted(name))
	case !mode.IsRegular():
		return badf("the archive's %s is not a regular file", quoted(name))
	case tooDeep:
		return badf("the archive's %s lies too deep: want at most %d folders and %d bytes of name", quoted(name), maxParts, maxName)
	case wanted:
		return u.take(name, open)
	case u.nested != "" && name == u.nested && u.inner == nil:
		return u.takeInner(open)
	case strings.EqualFold(path.Ext(base), ".go"):
		if err := u.clash(name); err != nil {
			return err
		}
	}
	if len(u.marks) < maxMarks {
		u.marks = append(u.marks, name)
	}
	return nil
}

// takeInner reads an archive that is in the archive.
func (u *unpacker) takeInner(open func() (io.ReadCloser, error)) error {
	f, err := open()
	if err != nil {
		return u.broken(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxArchive+1))
	if err != nil {
		return u.broken(err)
	}
	if len(text) > maxArchive {
		return badf("the archive in the archive, %s, is larger than %d MiB", quoted(u.nested), maxArchive>>20)
	}
	u.inner = text
	return nil
}

func tooMany() error { return badf("the archive has more than %d entries", maxEntries) }

// leadsOut reports whether a part of the path is "..".
func leadsOut(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// clash refuses two names of which one could stand for the other: readers of
// archives differ in which they would take.
func (u *unpacker) clash(name string) error {
	folded := strings.ToLower(name)
	other, twice := u.seen[folded]
	switch {
	case twice && other == name:
		return badf("the archive has %s twice", quoted(name))
	case twice:
		return badf("the archive has %s and %s, which differ in case only", quoted(other), quoted(name))
	}
	u.seen[folded] = name
	return nil
}

// take writes a permitted file.
func (u *unpacker) take(name string, open func() (io.ReadCloser, error)) error {
	if u.taken++; u.taken > maxTaken {
		return badf("the archive has more than %d files with names that are graded", maxTaken)
	}
	if err := u.clash(name); err != nil {
		return err
	}
	f, err := open()
	if err != nil {
		return u.broken(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return u.broken(err)
	}
	if len(text) > maxText {
		return badf("the archive's %s is larger than %d bytes", quoted(name), maxText)
	}
	if u.unpacked += int64(len(text)); u.unpacked > maxUnpacked {
		return badf("the archive holds more than %d MiB", maxUnpacked>>20)
	}
	name = filepath.FromSlash(name)
	if err = u.to.MkdirAll(filepath.Dir(name), 0o777); err == nil {
		err = u.to.WriteFile(name, text, 0o666)
	}
	if err != nil {
		return badf("the archive's %s cannot be unpacked: %s", quoted(name), reason(err))
	}
	return nil
}

// reason is an error of the file system without the path, which a sentence has already.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// hiddenPath reports whether a part of the path is a file system's own affair.
func hiddenPath(name string) bool {
	return slices.ContainsFunc(strings.Split(strings.ReplaceAll(name, `\`, "/"), "/"), func(part string) bool {
		return part != "." && part != ".." && Hidden(part)
	})
}

// limitedReader fails, where io.LimitReader would end as if all were well.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, badf("the archive unpacks to more than %d MiB", maxUnpacked>>20)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// Hidden reports whether a name is a file system's own affair.
func Hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "__MACOSX" }
