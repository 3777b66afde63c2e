package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"distlabs/live/cluster"
	"distlabs/live/control"
	"distlabs/live/page"
)

// A screen shows a cluster and takes its user's commands: as single keys in a terminal, as lines elsewhere.
type screen struct {
	lab     lab
	cluster *cluster.Cluster
	url     string // of the page
	in      *os.File
	out     io.Writer
	raw     bool

	mu      sync.Mutex
	keys    string // pressed, of a command that is not complete
	line    string // that is being written, with its colon
	message string
	shown   string // the last picture
}

func newScreen(l lab, c *cluster.Cluster, url string, in, out *os.File) *screen {
	return &screen{lab: l, cluster: c, url: url, in: in, out: out, raw: term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))}
}

// refresh is how often the table is drawn.
const refresh = 250 * time.Millisecond

// run shows the cluster until the user or ctx ends it.
func (s *screen) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.raw {
		before, err := term.MakeRaw(int(s.in.Fd()))
		if err != nil {
			return fmt.Errorf("live: %w", err)
		}
		defer func() {
			_ = term.Restore(int(s.in.Fd()), before)
			fmt.Fprintln(s.out)
		}()
		go s.readKeys(cancel)
	} else {
		go s.readLines(cancel)
	}
	if !s.raw {
		fmt.Fprintf(s.out, "page: %s\n", s.url)
	}
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		s.show()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// readLines obeys lines. The end of the input is not the end of the run: there may be none from the beginning.
func (s *screen) readLines(quit func()) {
	for lines := bufio.NewScanner(s.in); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "quit" {
			quit()
			return
		}
		s.obey(line)
	}
}

// obey does what a line says, and says what came of it.
func (s *screen) obey(line string) {
	text, err := s.lab.obey(s.cluster, line)
	if err != nil {
		text = err.Error()
	}
	if text != "" {
		s.say(text)
	}
}

// readKeys obeys keys: a command's letter, and then a digit for each server that it names; or a colon, and then a line.
func (s *screen) readKeys(quit func()) {
	const interrupt, end = 3, 4 // what Ctrl-C and Ctrl-D send to a raw terminal
	one := make([]byte, 1)
	for {
		if n, err := s.in.Read(one); n == 0 || err != nil {
			return
		}
		if s.writes(one[0]) {
			continue
		}
		if one[0] == 'q' || one[0] == interrupt || one[0] == end {
			quit()
			return
		}
		s.press(one[0])
	}
}

// writes takes a key of a line that begins with a colon, and reports whether it is one.
func (s *screen) writes(key byte) bool {
	const enter, escape, interrupt, backspace, del = 13, 27, 3, 8, 127
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == "" {
		if key != ':' {
			return false
		}
		s.keys = ""
	}
	switch key {
	case interrupt:
		s.line = ""
		return false
	case escape:
		s.line = ""
	case backspace, del:
		s.line = s.line[:len(s.line)-1]
	case enter:
		go s.obey(s.line[1:])
		s.line = ""
	default:
		if key >= ' ' {
			s.line += string(key)
		}
	}
	s.message = s.line
	return true
}

func (s *screen) press(key byte) {
	s.mu.Lock()
	s.keys += string(key)
	i := slices.IndexFunc(words, func(w word) bool { return w.key == s.keys[0] })
	if i < 0 || len(s.keys) > 1 && (key < '0' || key > '9') {
		s.keys, s.message = "", ""
		s.mu.Unlock()
		return
	}
	w, args := words[i], strings.Split(s.keys[1:], "")
	if len(s.keys) == 1 {
		args = nil
	}
	if len(args) < w.args {
		s.message = w.name + " " + strings.Join(args, " ") + " …"
		s.mu.Unlock()
		return
	}
	s.keys, s.message = "", w.name+" "+strings.Join(args, " ")
	s.mu.Unlock()
	if err := w.apply(s.cluster, args); err != nil {
		s.say(err.Error())
	}
}

func (s *screen) say(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.message = message
	if !s.raw {
		fmt.Fprintln(s.out, message)
	}
}

// show draws the table: again and again over itself in a terminal, elsewhere when it tells something new.
func (s *screen) show() {
	states := s.cluster.States()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw {
		picture := table(states) + "\n" + s.footer()
		fmt.Fprint(s.out, "\x1b[H\x1b[2J"+strings.ReplaceAll(picture, "\n", "\r\n"))
		return
	}
	if news := summary(states); news != s.shown {
		s.shown = news
		fmt.Fprint(s.out, table(states)+"\n")
	}
}

func (s *screen) footer() string {
	var help []string
	for _, w := range words {
		help = append(help, fmt.Sprintf("%c%s %s", w.key, strings.Repeat("#", w.args), w.name))
	}
	use := "etcdctl --endpoints=" + strings.Join(s.cluster.Endpoints(), ",")
	if !s.lab.store {
		use = s.lab.hint()
	}
	return fmt.Sprintf("page: %s\n%s\n\n%s  : a line  q quit\n\n%s\n", s.url, use, strings.Join(help, "  "), s.message)
}

// table has a row for each server.
func table(states []cluster.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-7s %-8s", "server", "process")
	for _, c := range columns(states) {
		fmt.Fprintf(&b, " %*s", width(c), c.Name)
	}
	fmt.Fprintf(&b, " %6s\n", "pid")
	for _, s := range states {
		fmt.Fprintf(&b, "%-7s %-8s", cluster.Name(s.Server), process(s))
		if s.Known {
			for _, c := range s.Cells {
				fmt.Fprintf(&b, " %*s", width(c), c.Value)
			}
			fmt.Fprintf(&b, " %6d", s.PID)
		}
		fmt.Fprintf(&b, "  %s\n", remarks(s))
	}
	return b.String()
}

// columns are the cells of a server that has reported some.
func columns(states []cluster.State) []control.Cell {
	for _, s := range states {
		if s.Known {
			return s.Cells
		}
	}
	return nil
}

func width(c control.Cell) int { return max(9, len(c.Name)) }

// rows are the table as the page has it: each server has all columns.
func rows(states []cluster.State) []page.Server {
	var list []page.Server
	for _, s := range states {
		row := page.Server{
			Name: cluster.Name(s.Server), Process: process(s), Remarks: remarks(s),
			Cells: []control.Cell{}, Cut: append([]int{}, s.Cut...), Slow: append([]int{}, s.Slow...), // JSON has no nil list
		}
		for i, c := range columns(states) {
			if c.Value = "–"; s.Known && i < len(s.Cells) {
				c = s.Cells[i]
			}
			row.Cells = append(row.Cells, c)
		}
		list = append(list, row)
	}
	return list
}

func process(s cluster.State) string {
	switch {
	case !s.Up:
		return "down"
	case s.Paused:
		return "paused"
	}
	return "up"
}

func remarks(s cluster.State) string {
	var list []string
	both, to, from := []int{}, []int{}, []int{}
	for _, other := range s.Cut {
		if slices.Contains(s.CutFrom, other) {
			both = append(both, other)
		} else {
			to = append(to, other)
		}
	}
	for _, other := range s.CutFrom {
		if !slices.Contains(s.Cut, other) {
			from = append(from, other)
		}
	}
	for _, r := range []struct {
		what   string
		others []int
	}{{"cut off from", both}, {"does not reach", to}, {"does not hear", from}, {"slow to", s.Slow}} {
		if len(r.others) > 0 {
			list = append(list, fmt.Sprintf("%s %v", r.what, r.others))
		}
	}
	if len(s.Status.Problems) > 0 {
		list = append(list, s.Status.Problems[0])
	}
	if !s.Up && s.Message != "" {
		list = append(list, s.Message)
	}
	return strings.Join(list, "; ")
}

// summary is what makes a table worth printing again.
func summary(states []cluster.State) string {
	var b strings.Builder
	for _, s := range states {
		fmt.Fprintln(&b, s.Server, process(s), s.Known, s.Status.Term, s.Status.Role, remarks(s))
	}
	return b.String()
}
