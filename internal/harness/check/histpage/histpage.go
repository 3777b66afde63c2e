// Package histpage writes a page that shows a history in a browser: bars in lanes, from call to return, with what is wrong in
// it marked, and arrows between them where one depends on another.
//
// A page is one file that loads nothing. Nearly every string on it was chosen by a student's program: each is written as
// text, and a content security policy names the one script and the one style sheet that may act.
package histpage

import (
	"io"
	"time"
)

// A Page is a history, ready to be drawn.
type Page struct {
	Title string // what was checked
	What  string // one sentence: what is wrong
	Rule  string
	Link  string // file name of the page of the whole run, in the same folder; may be empty
	Lanes []string
	Bars  []Bar
	Edges []Edge
	Lists []List // below the picture
	// Time prints a time; nil means as messages do, 1.204s.
	Time func(time.Duration) string
}

// A Look is how a bar is drawn.
type Look int

// The looks.
const (
	Plain    Look = iota
	Wrong         // it is what the page is about
	Involved      // it takes part in what is wrong
	Faded         // it does not
	Down          // a crash, a pause or a cut
)

// A Bar is an operation, a transaction, or an outage.
type Bar struct {
	Lane     int
	From, To time.Duration
	Open     bool // it did not end; To means nothing
	Text     string
	Detail   []string // in full, a line each
	Look     Look
	Order    int // its place in the order that was found; 0 if it has none
}

// An Edge is an arrow from a bar to another, by their indexes.
type Edge struct {
	From, To int
	Label    string // short: rw
	Text     string // in full
}

// A List is a heading with lines.
type List struct {
	Head  string
	Lines []string
}

// A Run is what the run of a test adds to a page of its history.
type Run struct {
	Title, What, Rule string
	Link              string   // file name of the run's page
	Nodes             int      // clients with these numbers are named as nodes are
	Outages           []Outage // of the run
}

// An Outage is a time in which a node was down or links were cut.
type Outage struct {
	Where    string // n2, or network
	From, To time.Duration
	Text     string
}

// A Writer carries a Run to the function that writes the page.
type Writer struct {
	io.Writer
	Run Run
}

// RunOf returns the run that a writer carries; the zero Run if it carries none.
func RunOf(w io.Writer) Run {
	if w, ok := w.(*Writer); ok {
		return w.Run
	}
	return Run{}
}

// Adorn adds to a page what its run knows: title, rule, the way to the page of the run, and the outages during the history.
func (p *Page) Adorn(run Run) {
	if run.Title != "" {
		p.Title = run.Title
	}
	if run.What != "" {
		p.What = run.What
	}
	p.Rule, p.Link = run.Rule, run.Link
	begin, end := p.span()
	lanes := map[string]int{}
	for k, name := range p.Lanes {
		lanes[name] = k
	}
	for _, o := range run.Outages {
		if o.To <= begin || o.From >= end {
			continue
		}
		lane, known := lanes[o.Where]
		if !known {
			lane = len(p.Lanes)
			lanes[o.Where] = lane
			p.Lanes = append(p.Lanes, o.Where)
		}
		p.Bars = append(p.Bars, Bar{Lane: lane, From: max(o.From, begin), To: min(o.To, end), Text: o.Text, Detail: []string{
			o.Where + ": " + o.Text + ", from " + p.time(o.From) + " to " + p.time(o.To)}, Look: Down})
	}
}

// span is the time from the first call to the last return or call.
func (p *Page) span() (begin, end time.Duration) {
	for i, b := range p.Bars {
		if i == 0 || b.From < begin {
			begin = b.From
		}
		end = max(end, b.From+1)
		if !b.Open {
			end = max(end, b.To)
		}
	}
	return begin, end
}
