package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/labrpc"
)

// formatFlags are what trace and replay have in common.
type formatFlags struct {
	format  string
	out     string
	picture view.Picture
	nodes   []int
	match   string
}

func (f *formatFlags) add(cmd *cobra.Command) {
	var names []string
	for _, format := range view.Formats {
		names = append(names, string(format))
	}
	cmd.Flags().StringVar(&f.format, "format", string(view.FormatHTML), "what to write: "+strings.Join(names, ", "))
	register(cmd, "format", words(names...))
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "the `file` to write; - is the standard output, where text goes anyway")
	flags.DurationVar(&f.picture.From, "from", 0, "svg, text: begin at this time of the run")
	flags.DurationVar(&f.picture.To, "to", 0, "svg, text: end at this time (default: where the rule was broken, or the end)")
	flags.IntSliceVar(&f.nodes, "nodes", nil, "svg, text: only what touches these nodes")
	flags.StringVar(&f.match, "match", "", "svg: only messages, deliveries and calls that this `regexp` matches, as n1→n2 RequestVote {\"Term\":3}")
	flags.BoolVar(&f.picture.Routine, "routine", false, "svg, text: also show heartbeats and other messages that change nothing")
	flags.IntVar(&f.picture.Width, "width", 0, "svg: width in pixels (default 900)")
}

func traceCommand() *cobra.Command {
	var f formatFlags
	var against string
	cmd := &cobra.Command{
		Use:   "trace file",
		Short: "Draw a recorded run: as a page, a picture, or for another viewer",
		Long: `Draw a recorded run. A failed test leaves its record in the folder .labs beside
it, a file that ends in .jsonl; LABS_RECORD=1 keeps those of passing runs too.

  html      a page for a browser that needs no network: lanes, messages, state,
            cause and effect; with --against, two runs side by side
  text      a timeline; with --against, where two runs diverge
  svg       a still picture of the last events
  shiviz    a log for ShiViz
  perfetto  a trace for ui.perfetto.dev
  json      the record itself (schemas/trace.schema.json)

The file is written beside the record unless --out says otherwise.`,
		Example: `  grade trace labs/04-election/.labs/TestHighestWins4A-3.jsonl
  grade trace RUN.jsonl --format perfetto --out run.json
  grade trace BAD.jsonl --against GOOD.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("trace wants one file: the record of a run, such as labs/04-election/.labs/TestHighestWins4A-3.jsonl"))
			}
			return nil
		},
		RunE: action(func(cmd *cobra.Command, args []string) error {
			format, err := f.parse(against != "")
			if err != nil {
				return err
			}
			run, err := readRun(args[0])
			if err != nil {
				return err
			}
			d := drawing{run: run, base: strings.TrimSuffix(args[0], ".jsonl"), opts: besideRecord(args[0])}
			if against != "" {
				if d.other, err = readRun(against); err != nil {
					return err
				}
				d.base += "-against-" + strings.TrimSuffix(filepath.Base(against), ".jsonl")
			}
			return f.write(cmd, format, d)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&against, "against", "", "the record of another run to compare with")
	return cmd
}

// ofAnother is the end of the name of a record that grade replay made of another's code than the lab's folder holds.
var ofAnother = regexp.MustCompile(`-(solution|submission|mutant)\.jsonl$`)

// besideRecord are the options for a page beside a record: with the source lines, unless they would be another's.
func besideRecord(path string) view.Options {
	if ofAnother.MatchString(path) {
		return view.Options{}
	}
	return view.Beside(filepath.Dir(path))
}

// readRun reads a record. What is wrong with the file is its user's mistake.
func readRun(path string) (*trace.Run, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("there is no record %s: a failed test leaves one in the folder .labs beside it", path))
	}
	if err != nil {
		return nil, usage(err)
	}
	defer file.Close()
	run, err := trace.Read(file)
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", path, err))
	}
	return run, nil
}

// parse checks the flags before anything is read or run.
func (f *formatFlags) parse(compare bool) (view.Format, error) {
	format, err := view.ParseFormat(f.format)
	if err != nil {
		return "", usage(fmt.Errorf("--format: %s", strings.TrimPrefix(err.Error(), "view: ")))
	}
	if compare && !format.Compares() {
		return "", usage(fmt.Errorf("--against: %s shows one run; two are compared in html or text", format))
	}
	for _, n := range f.nodes {
		if n < 1 {
			return "", usage(fmt.Errorf("--nodes: %d is no node: they are numbered from 1", n))
		}
		f.picture.Nodes = append(f.picture.Nodes, labrpc.NodeID(n))
	}
	if f.match != "" {
		if f.picture.Match, err = regexp.Compile(f.match); err != nil {
			return "", usage(fmt.Errorf("--match: %w", err))
		}
	}
	if p := f.picture; p.From < 0 || p.To < 0 || p.To > 0 && p.To < p.From {
		return "", usage(fmt.Errorf("--from %v --to %v is no stretch of time", p.From, p.To))
	}
	return format, nil
}

// A drawing is what is to be written.
type drawing struct {
	run, other *trace.Run // other may be nil
	base       string     // path of the file, without what the format adds
	opts       view.Options
}

// write writes the drawing and says where it is.
func (f *formatFlags) write(cmd *cobra.Command, format view.Format, d drawing) error {
	d.opts.Picture = f.picture
	path := f.out
	if path == "-" || path == "" && format == view.FormatText {
		return view.Write(cmd.OutOrStdout(), format, d.run, d.other, d.opts)
	}
	if path == "" {
		path = d.base + format.Extension()
	}
	if f.out != "" {
		d.opts.Link = nil // it holds from beside the record only
	}
	var text bytes.Buffer
	if err := view.Write(&text, format, d.run, d.other, d.opts); err != nil {
		return err
	}
	if err := writeWhole(path, text.Bytes()); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), filepath.ToSlash(path))
	return nil
}

// writeWhole writes a file, all of it or nothing, and makes its folder.
func writeWhole(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, text, 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
