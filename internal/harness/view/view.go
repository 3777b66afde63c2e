// Package view shows a recorded run to a person: as a page for a browser, and in
// the forms that other tools read.
//
// [HTML] writes one self-contained page: no server, no network, nothing beside it.
// [Compare] writes a page with two runs side by side. [SVG] is a still picture,
// [ShiViz] and [Perfetto] feed those viewers, [Text] is for a terminal; [Write] writes any of them. All are pure functions
// of the run, so the same run gives the same bytes.
//
// # Trust
//
// Nearly every string in a run was chosen by a student's program. The page carries them as data that no HTML parser
// looks into, its script puts them on the screen only as text, and a content security policy
// names the one script and the one style sheet that may act, and allows no connection.
package view

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"distlabs/internal/harness/trace"
)

// Options say what a page carries beside the run. The zero value is sensible.
type Options struct {
	// Title stands above the page; "" means the test's name and the seed.
	Title string
	// Source returns the text of a source file as a run names it, such as
	// "04-election/raft.go", so that the page can show the lines that sent each
	// message. Files that it has no text for are named only.
	Source func(file string) ([]byte, error)
	// Link returns the address of a source line, for an editor or a repository.
	// An address that is neither http, https, file, vscode nor relative is left out.
	Link func(file string, line int) string
	// Picture says what of the run a still picture or a text shows ([Write]).
	Picture Picture
}

// HTML writes the page that draws a run.
func HTML(w io.Writer, run *trace.Run, opts Options) error {
	return writePage(w, payload{Title: opts.title(run), Runs: []runData{opts.encode(run)}})
}

// Data returns what the page of a run reads, as JSON: for a page that draws a run which goes on ([Library]).
func Data(run *trace.Run, opts Options) (json.RawMessage, error) {
	data, err := json.Marshal(payload{Title: opts.title(run), Runs: []runData{opts.encode(run)}})
	if err != nil {
		return nil, fmt.Errorf("view: encode the run: %w", err)
	}
	return data, nil
}

// Compare writes the page that draws two runs side by side: the time at which they part ([trace.Diverge]) stands
// on one height and is marked, and so does all that lies equally long before or after it.
func Compare(w io.Writer, one, other *trace.Run, opts Options) error {
	p := payload{
		Title: fmt.Sprintf("%s against %s", opts.title(one), opts.title(other)),
		Runs:  []runData{opts.encode(one), opts.encode(other)},
	}
	if one.Header.Test == other.Header.Test && one.Header.Test != "" {
		p.Title = fmt.Sprintf("%s against seed %d", opts.title(one), other.Header.Seed)
	}
	if opts.Title != "" {
		p.Title = opts.Title
	}
	if d, differ := trace.Diverge(one, other); differ {
		p.Difference = &difference{Steps: d.Step, At: d.At, Text: d.Text}
	}
	return writePage(w, p)
}

// Text writes the run as lines of text, as [trace.Text] has it.
func Text(w io.Writer, run *trace.Run, opts trace.Options) error {
	if _, err := io.WriteString(w, trace.Text(run, opts)); err != nil {
		return fmt.Errorf("view: write the text: %w", err)
	}
	return nil
}

// WriteFile writes the page of a run to a file: all of it, or none. It makes the folder. The page shows the
// source lines of the package that the file lies in or under.
func WriteFile(path string, run *trace.Run) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".view-*")
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	defer os.Remove(tmp.Name())
	buf := bufio.NewWriter(tmp)
	err = HTML(buf, run, Beside(dir))
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("view: write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	return nil
}

// title is what stands above the page of a run.
func (o Options) title(run *trace.Run) string {
	switch {
	case o.Title != "":
		return o.Title
	case run.Header.Test == "":
		return fmt.Sprintf("a run of seed %d", run.Header.Seed)
	}
	return fmt.Sprintf("%s, seed %d", run.Header.Test, run.Header.Seed)
}
