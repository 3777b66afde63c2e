package view

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// Picture says what a still picture shows. The zero value shows the last 60 instants of the run up to where the
// rule broke, without routine messages.
type Picture struct {
	From time.Duration
	To   time.Duration // 0 means the violation, or the end of a run without one
	// Nodes are the lanes that are drawn, in this order; none means all. What concerns others is left out.
	Nodes []labrpc.NodeID
	// Match, unless it is nil, leaves out the messages that it does not match, and what the test saw: it is matched with
	// "n1→n2 RequestVote {"Term":3}" for a message, with "n2 told a value" for a delivery.
	Match *regexp.Regexp
	// Rows is how many instants are shown at most, the last ones; 0 means 60. Those that the failure names are
	// shown beside them.
	Rows int
	// Routine shows heartbeats and all else that says nothing new.
	Routine bool
	Width   int // in pixels; 0 means 900
}

// SVG writes a still picture of a run, for a README or a report. It follows the
// reader's light or dark scheme.
func SVG(w io.Writer, run *trace.Run, opts Picture) error {
	p := newPicture(run, opts)
	p.layout()
	p.drawBands()
	p.drawLanes()
	p.drawRoles()
	p.drawMessages()
	p.drawRows()
	p.drawLegend()
	if _, err := io.WriteString(w, p.document()); err != nil {
		return fmt.Errorf("view: write the picture: %w", err)
	}
	return nil
}

// The measures of a picture, in pixels.
const (
	svgGutter = 84
	svgHead   = 34
	svgLine   = 15
	svgFull   = 19
	svgChar   = 6.7
	svgCross  = 46 // from a lane to the cross of a message that was lost at once
)

type picture struct {
	run    *trace.Run
	opts   Picture
	place  map[labrpc.NodeID]int // of a lane, from the left
	shown  []int
	rows   []*pictureRow
	y      map[int]float64 // of a shown step
	lane   float64         // width of a lane
	tall   float64
	roles  map[string]int // the roles that are drawn, with their colours
	kinds  map[string]int // the kinds of message, with theirs
	banded bool
	b      strings.Builder
}

// A pictureRow is one instant.
type pictureRow struct {
	at    time.Duration
	y     float64
	steps []int
	full  []pictureLabel
	items []pictureLabel
}

type pictureLabel struct {
	node   labrpc.NodeID
	text   string
	body   string // of a message, as JSON
	method string
	right  bool // it stands behind the cross of a message that was lost to the right of it
	class  string
	line   int
}

func newPicture(run *trace.Run, opts Picture) *picture {
	if opts.Width <= 0 {
		opts.Width = 900
	}
	if opts.Rows <= 0 {
		opts.Rows = 60
	}
	if opts.To == 0 {
		if _, broke := failureOf(run); broke != nil {
			opts.To = *broke
		} else if n := len(run.Steps); n > 0 {
			opts.To = run.Steps[n-1].At
		}
	}
	if len(opts.Nodes) == 0 {
		for n := range run.Header.Nodes {
			opts.Nodes = append(opts.Nodes, labrpc.NodeID(n+1))
		}
	}
	p := &picture{run: run, opts: opts, y: map[int]float64{}, place: map[labrpc.NodeID]int{}, roles: map[string]int{}, kinds: map[string]int{}}
	p.setKinds()
	for k, id := range opts.Nodes {
		p.place[id] = k
	}
	p.lane = float64(opts.Width-svgGutter) / float64(max(1, len(opts.Nodes)))
	return p
}

// layout chooses the steps and gives every instant its place.
func (p *picture) layout() {
	routine := findRoutine(p.run)
	for i := range p.run.Steps {
		s := &p.run.Steps[i]
		if s.At < p.opts.From || s.At > p.opts.To || closing(s) || routine[i] && !p.opts.Routine || !p.concerns(s) {
			continue
		}
		if n := len(p.rows); n == 0 || p.rows[n-1].at != s.At {
			p.rows = append(p.rows, &pictureRow{at: s.At})
		}
		row := p.rows[len(p.rows)-1]
		row.steps = append(row.steps, i)
	}
	p.lastRows()
	y := float64(svgHead + 6)
	for k, row := range p.rows {
		if k > 0 {
			y += float64(min(18, (row.at-p.rows[k-1].at)/(2*time.Millisecond)))
		}
		p.label(row)
		row.y = y + svgFull*float64(len(row.full)) + 11
		lines := 1
		for _, item := range row.items {
			lines = max(lines, item.line+1)
		}
		y = row.y + float64(max(13, svgLine*lines-2))
		for _, i := range row.steps {
			p.y[i] = row.y
			p.shown = append(p.shown, i)
		}
	}
	p.tall = y + 10
}

// lastRows leaves the last instants, and those before them that the failure names.
func (p *picture) lastRows() {
	named := namesOf(p.run).Keep
	first := max(0, len(p.rows)-p.opts.Rows)
	kept := slices.DeleteFunc(slices.Clone(p.rows[:first]), func(row *pictureRow) bool {
		return !slices.ContainsFunc(row.steps, func(i int) bool { return i < len(named) && named[i] })
	})
	p.rows = append(kept, p.rows[first:]...)
}

// concerns reports whether the step belongs to the lanes that are drawn, and has what is looked for.
func (p *picture) concerns(s *trace.Step) bool {
	for _, id := range []labrpc.NodeID{s.Node, s.From, s.To} {
		if _, drawn := p.place[id]; id != 0 && !drawn {
			return false
		}
	}
	switch {
	case p.opts.Match == nil:
		return true
	case s.ByTest():
		return p.opts.Match.MatchString(fmt.Sprintf("%v %s %s", s.Node, s.Kind, s.Value))
	case s.Msg == 0:
		return true
	}
	return p.opts.Match.MatchString(fmt.Sprintf("%v→%v %s %s", s.From, s.To, s.Method, s.Body))
}

// x is the line of a node's lane.
func (p *picture) x(id labrpc.NodeID) float64 { return svgGutter + p.lane*float64(p.place[id]) + 10 }

// at is the place of an instant, shown or not.
func (p *picture) at(t time.Duration) float64 {
	k, found := slices.BinarySearchFunc(p.rows, t, func(r *pictureRow, t time.Duration) int { return cmp.Compare(r.at, t) })
	switch {
	case found:
		return p.rows[k].y
	case k == 0:
		return svgHead
	case k == len(p.rows):
		return p.tall
	}
	a, b := p.rows[k-1], p.rows[k]
	return a.y + (b.y-a.y)*float64(t-a.at)/float64(b.at-a.at)
}

// drawLanes draws what each node was: up, down or paused.
func (p *picture) drawLanes() {
	for _, id := range p.opts.Nodes {
		class, from := "down", float64(svgHead)
		draw := func(to float64) {
			p.add(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, p.x(id), from, p.x(id), to)
		}
		for i := range p.run.Steps {
			s := &p.run.Steps[i]
			next := map[labrpc.EventKind]string{labrpc.EventStarted: "up", labrpc.EventResumed: "up",
				labrpc.EventCrashed: "down", labrpc.EventStopped: "down", labrpc.EventPaused: "paused"}[s.Kind]
			if s.Node != id || next == "" || closing(s) {
				continue
			}
			if y := p.at(s.At); y > from {
				draw(y)
				from = y
			}
			class = next
		}
		draw(p.tall)
		p.add(`<text class="head" x="%.1f" y="20">%v</text>`, p.x(id), id)
	}
}

// drawMessages draws an arrow for each copy that arrived, and a cross where one was lost.
func (p *picture) drawMessages() {
	for _, i := range p.shown {
		s := &p.run.Steps[i]
		if s.Kind == labrpc.EventSent && s.Partner >= 0 && p.run.Steps[s.Partner].At > p.opts.To {
			p.drawLeaving(i)
			continue
		}
		if s.Kind != labrpc.EventDelivered && s.Kind != labrpc.EventLost || s.Partner < 0 {
			continue
		}
		y0, sent := p.y[s.Partner]
		if !sent {
			y0 = svgHead
		}
		x0, x1, y1 := p.x(s.From), p.x(s.To), p.y[i]
		class := fmt.Sprintf("msg m%d", p.kinds[s.Method])
		if s.Message == labrpc.Reply {
			class += " reply"
		}
		if s.Kind == labrpc.EventDelivered {
			if s.Copy > 0 {
				class += " bad"
			}
			p.add(`<path class="%s" marker-end="url(#head)" d="M%.1f %.1fL%.1f %.1f"/>`, class, x0, y0, x1, y1)
			continue
		}
		if s.At == p.run.Steps[s.Partner].At {
			x1, y1 = x0+(x1-x0)*min(0.4, svgCross/math.Abs(x1-x0+0.1)), y1+10
		} else {
			x1 = x0 + (x1-x0)*0.85
		}
		p.add(`<path class="%s bad" marker-end="url(#lost)" d="M%.1f %.1fL%.1f %.1f"/>`, class, x0, y0, x1, y1)
	}
}

// drawLeaving draws the beginning of a message that arrives after the picture's end.
func (p *picture) drawLeaving(i int) {
	s := &p.run.Steps[i]
	x0, x1, y0 := p.x(s.From), p.x(s.To), p.y[i]
	y1 := min(y0+26, p.tall)
	p.add(`<path class="msg m%d leaving" d="M%.1f %.1fL%.1f %.1f"/>`, p.kinds[s.Method], x0, y0, x0+math.Copysign(min(math.Abs(x1-x0)*0.4, 90), x1-x0), y1)
}

// drawRows draws times, dots, labels, and the broken rule.
func (p *picture) drawRows() {
	last := ""
	for _, row := range p.rows {
		if said := trace.Seconds(row.at); said != last { // the rows below a time are of the same millisecond
			p.add(`<text class="time" x="%d" y="%.1f">%s</text>`, svgGutter-12, row.y+4, said)
			last = said
		}
		for k, f := range row.full {
			y := row.y - 11 - svgFull*float64(len(row.full)-k-1) - 2
			p.add(`<line class="rule %s" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, f.class, svgGutter-6, y, p.opts.Width, y)
			p.text(f, float64(p.opts.Width-6), y-3, "full ")
		}
		for _, i := range row.steps {
			if s := &p.run.Steps[i]; s.Node != 0 {
				p.add(`<circle class="dot" cx="%.1f" cy="%.1f" r="2.8"/>`, p.x(s.Node), row.y)
			}
		}
		for _, item := range row.items {
			p.text(item, p.x(item.node)+item.indent(), row.y+4+svgLine*float64(item.line), "")
		}
	}
	f, broke := failureOf(p.run)
	if broke == nil || *broke > p.opts.To {
		return
	}
	what := "the rule broke here"
	if f != nil {
		what = f.What
		if f.Rule != "" {
			what += " (" + f.Rule + ")"
		}
	}
	p.tall += 24
	p.add(`<line class="broke" x1="0" y1="%.1f" x2="%d" y2="%.1f"/>`, p.tall-24, p.opts.Width, p.tall-24)
	p.text(pictureLabel{text: cutTo("✗ "+oneLine(what), 0.85*float64(p.opts.Width)), class: "bad strong"}, 8, p.tall-8, "")
}

// indent is how far right of its lane a label stands.
func (l pictureLabel) indent() float64 {
	if l.right {
		return 8 + svgCross
	}
	return 8
}

// text writes a label on a ground of its own, so that no line runs through it.
func (p *picture) text(l pictureLabel, x, y float64, more string) {
	width := svgChar * float64(utf8.RuneCountInString(l.text))
	left := x - 1
	if more == "full " {
		left = x - width - 1
	}
	p.add(`<rect class="ground" x="%.1f" y="%.1f" width="%.1f" height="11.5"/>`, left, y-9.5, width+2)
	p.add(`<text class="%s%s" x="%.1f" y="%.1f">%s</text>`, more, l.class, x, y, html.EscapeString(l.text))
}

func (p *picture) add(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// cutTo shortens a text to what fits into a width.
func cutTo(text string, width float64) string {
	most := max(4, int(width/svgChar))
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
