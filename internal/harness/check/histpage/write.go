package histpage

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"distlabs/internal/harness/trace"
)

var (
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	var b strings.Builder
	d := &drawing{b: &b, p: p, l: newLayout(p)}
	d.head()
	d.picture()
	d.lists()
	b.WriteString("<script>" + script + "</script>\n</body>\n</html>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("histpage: write the page: %w", err)
	}
	return nil
}

func (p *Page) time(d time.Duration) string {
	if p.Time != nil {
		return p.Time(d)
	}
	return trace.Seconds(d)
}

type drawing struct {
	b *strings.Builder
	p *Page
	l *layout
}

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d.b, format+"\n", args...) }

// text escapes a text, and shows what could hide, reverse or break it.
func text(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

func (d *drawing) head() {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; script-src " + hashOf(script) + "; style-src " + hashOf(style)
	d.add(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="%s">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>%s</title>
<style>%s</style>
</head>
<body>
<header>
<h1>%s</h1>
<h2>✗ %s</h2>`, policy, text(d.p.Title), style, text(d.p.Title), text(d.p.What))
	if d.p.Rule != "" {
		d.add(`<p class="rule"><span>rule</span> %s</p>`, text(d.p.Rule))
	}
	if d.p.Link != "" {
		d.add(`<p><a href="%s">The run, event by event</a></p>`, html.EscapeString(url.PathEscape(d.p.Link)))
	}
	d.legend()
	d.add(`</header>`)
}

func (d *drawing) legend() {
	has := map[Look]bool{}
	for _, b := range d.p.Bars {
		has[b.Look] = true
	}
	d.b.WriteString(`<p class="legend">Time runs to the right; a bar is from call to return, one with an open end got no answer.`)
	for _, k := range []struct {
		look Look
		says string
	}{{Wrong, "✗ wrong"}, {Involved, "● takes part"}, {Faded, "not involved"}, {Down, "▨ crash, pause or cut"}} {
		if has[k.look] {
			fmt.Fprintf(d.b, ` <span class="key %s">%s</span>`, classes[k.look], k.says)
		}
	}
	d.add(`</p>`)
}

var classes = map[Look]string{Plain: "plain", Wrong: "wrong", Involved: "involved", Faded: "faded", Down: "outage"}

// picture draws the lanes, and their names in a column that stays.
func (d *drawing) picture() {
	l := d.l
	names := 20.0
	for _, name := range d.p.Lanes {
		names = max(names, char*float64(utf8.RuneCountInString(name))+16)
	}
	names = min(names, 120)
	d.add(`<main id="chart" tabindex="0" role="region" aria-label="The history"><div id="names"><svg width="%.0f" height="%.0f" role="img" aria-label="Lanes">`, names, l.tall)
	for k, name := range d.p.Lanes {
		d.add(`<text class="name" x="8" y="%.1f">%s</text>`, l.laneY[k]+l.gap/2+15, text(cut(name, names-12)))
	}
	d.add(`</svg></div>`)
	d.add(`<svg id="plot" width="%.0f" height="%.0f" role="group" aria-label="Bars">`, l.wide, l.tall)
	d.add(`<defs><marker id="tip" orient="auto" markerWidth="9" markerHeight="9" refX="8" refY="4.5" markerUnits="userSpaceOnUse"><path class="tip" d="M0 0L9 4.5L0 9z"/></marker>` +
		`<pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"><path class="hatch" d="M-2 2L2 -2M0 8L8 0M6 10L10 6"/></pattern></defs>`)
	for k := range d.p.Lanes {
		d.add(`<rect class="lane%d" x="0" y="%.1f" width="%.1f" height="%.1f"/>`, k%2, l.laneY[k], l.wide, l.laneH[k])
	}
	d.ticks()
	for i := range d.p.Bars {
		d.bar(i)
	}
	for k := range d.p.Edges {
		d.edge(k)
	}
	d.add(`</svg></main><section id="detail" aria-live="polite"><p class="quiet">Choose a bar to see all of it.</p></section>`)
}

// ticks writes times at the axis, where there is room.
func (d *drawing) ticks() {
	free, last := 0.0, ""
	for _, t := range d.l.times {
		said := d.p.time(t)
		if x := d.l.x[t]; x >= free && said != last && t < d.l.end {
			d.add(`<line class="tick" x1="%.1f" y1="%d" x2="%.1f" y2="%.1f"/><text class="time" x="%.1f" y="14">%s</text>`, x, axis-6, x, d.l.tall, x, text(said))
			free, last = x+char*float64(utf8.RuneCountInString(said))+10, said
		}
	}
}

func (d *drawing) bar(i int) {
	b := &d.p.Bars[i]
	x, y, right := d.l.x[b.From], d.l.top(i), d.l.right(b)
	class := classes[b.Look]
	if b.Open {
		class += " open"
	}
	detail := strings.Join(append([]string{b.Text}, b.Detail...), "\n")
	var lines []string
	for _, line := range strings.Split(detail, "\n") {
		lines = append(lines, text(line))
	}
	d.add(`<g class="bar %s" id="bar%d" tabindex="0" role="button" aria-label="%s" data-detail="%s"><title>%s</title>`, class, i, text(detail), strings.Join(lines, "&#10;"), strings.Join(lines, "&#10;"))
	if b.Open {
		d.add(`<path d="M%.1f %.1fH%.1fV%.1fH%.1f"/>`, right, y, x, y+barTall, right)
	} else {
		d.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="4"/>`, x, y, right-x, barTall)
	}
	d.add(`<text x="%.1f" y="%.1f">%s</text></g>`, x+6, y+15, text(cut(b.said(), right-x-10)))
}

// edge draws an arrow that swings to its left, so that one there and one back are apart.
func (d *drawing) edge(k int) {
	e := d.p.Edges[k]
	x0, y0 := d.middle(e.From)
	x1, y1 := d.middle(e.To)
	dx, dy := x1-x0, y1-y0
	length := math.Hypot(dx, dy)
	if length == 0 {
		return
	}
	swing := min(60, 22+length/6)
	cx, cy := (x0+x1)/2+dy/length*swing, (y0+y1)/2-dx/length*swing
	x0, x1 = x0+dy/length*16, x1+dy/length*16
	cy = max(10, min(d.l.tall-6, cy))
	// It ends at the side of the bar, not in its text.
	y0, y1 = d.side(e.From, cy), d.side(e.To, cy)
	mx, my := (x0+2*cx+x1)/4, (y0+2*cy+y1)/4
	d.add(`<g class="edge"><title>%s</title><path class="%s" marker-end="url(#tip)" d="M%.1f %.1fQ%.1f %.1f %.1f %.1f"/><text x="%.1f" y="%.1f">%s</text></g>`,
		text(e.Text), edgeClass(e.Label), x0, y0, cx, cy, x1, y1, mx, my+4, text(e.Label))
}

func edgeClass(label string) string {
	switch {
	case strings.HasPrefix(label, "rw"):
		return "rw"
	case label == "wr":
		return "wr"
	case label == "ww":
		return "ww"
	}
	return "order"
}

func (d *drawing) middle(i int) (x, y float64) {
	b := &d.p.Bars[i]
	return (d.l.x[b.From] + d.l.right(b)) / 2, d.l.top(i) + barTall/2
}

func (d *drawing) side(i int, towards float64) float64 {
	if top := d.l.top(i); towards < top+barTall/2 {
		return top
	} else {
		return top + barTall
	}
}

func (d *drawing) lists() {
	for _, list := range d.p.Lists {
		d.add(`<section class="list"><h3>%s</h3><ol>`, text(list.Head))
		for _, line := range list.Lines {
			d.add(`<li>%s</li>`, text(line))
		}
		d.add(`</ol></section>`)
	}
}

// cut shortens a text to what fits into a width.
func cut(s string, width float64) string {
	most := int(width / char)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	if most < 2 {
		return ""
	}
	return string([]rune(s)[:most-1]) + "…"
}

// hashOf is how a content security policy names an inline script or style.
func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
