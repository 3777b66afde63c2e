package view

import (
	"errors"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"distlabs/internal/harness/trace"
)

// A snip is the neighbourhood of a source line.
type snip struct {
	File  string   `json:"file"`
	Line  int      `json:"line"`
	First int      `json:"first"` // number of the first of Lines
	Lines []string `json:"lines"`
	Link  string   `json:"link"`
}

const (
	snipAround = 3   // lines before and after
	maxColumn  = 200 // bytes of a line that are shown
)

// snips returns the source lines that the run names, by Event.Source.
func (o Options) snips(run *trace.Run) map[string]*snip {
	found := map[string]*snip{}
	texts := map[string][]string{}
	for i := range run.Steps {
		source := run.Steps[i].Source
		if source == "" || found[source] != nil {
			continue
		}
		file, number, ok := cutLine(source)
		if !ok {
			continue
		}
		s := &snip{File: file, Line: number}
		found[source] = s
		if o.Link != nil {
			s.Link = safeLink(o.Link(file, number))
		}
		if o.Source == nil {
			continue
		}
		lines, read := texts[file]
		if !read {
			if text, err := o.Source(file); err == nil {
				lines = strings.Split(string(text), "\n")
			}
			texts[file] = lines
		}
		s.take(lines)
	}
	return found
}

// take cuts the neighbourhood out of the lines of the file.
func (s *snip) take(lines []string) {
	if s.Line < 1 || s.Line > len(lines) {
		return
	}
	s.First = max(1, s.Line-snipAround)
	for _, line := range lines[s.First-1 : min(len(lines), s.Line+snipAround)] {
		if len(line) > maxColumn {
			line = line[:maxColumn]
		}
		s.Lines = append(s.Lines, strings.ToValidUTF8(line, "�"))
	}
}

// cutLine splits "04-election/raft.go:81".
func cutLine(source string) (file string, line int, ok bool) {
	colon := strings.LastIndexByte(source, ':')
	if colon < 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(source[colon+1:])
	return source[:colon], line, err == nil && line > 0
}

// safeLink drops an address that would run something.
func safeLink(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	switch u.Scheme {
	case "", "http", "https", "file", "vscode":
		return link
	}
	return ""
}

// Beside returns the options of a page that lies in dir: it shows the lines of the package whose folder dir is, or whose
// .labs folder it is, and in the latter case leads to its files, for which no server is needed.
func Beside(dir string) Options {
	opts := Options{Source: SourceBeside(dir)}
	if abs, err := filepath.Abs(dir); err == nil && filepath.Base(abs) == ".labs" {
		opts.Link = linkBeside
	}
	return opts
}

// linkBeside is the address of a file of the package, from its .labs folder.
func linkBeside(file string, line int) string {
	return "../" + url.PathEscape(path.Base(file)) + "#L" + strconv.Itoa(line)
}

// SourceBeside is the [Options.Source] that reads the Go files of the package whose folder dir is, or whose .labs folder it
// is. The run says which file, but not where: only a plain file of that very folder is read.
func SourceBeside(dir string) func(string) ([]byte, error) {
	abs, err := filepath.Abs(dir)
	if filepath.Base(abs) == ".labs" {
		abs = filepath.Dir(abs)
	}
	return func(file string) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		if path.Base(path.Dir(file)) != filepath.Base(abs) || path.Ext(file) != ".go" {
			return nil, errors.New("another package's file")
		}
		full := filepath.Join(abs, path.Base(file))
		info, err := os.Lstat(full)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, errors.New("not a plain file")
		}
		return os.ReadFile(full)
	}
}
