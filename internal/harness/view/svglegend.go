package view

import (
	"fmt"
	"html"
	"maps"
	"slices"
	"unicode/utf8"
)

// kinds is how many kinds of message have a colour of their own; the page uses the same ones.
const kinds = 8

// setKinds gives each kind of message in the run its colour, as the page does: by their names.
func (p *picture) setKinds() {
	names := map[string]bool{}
	for i := range p.run.Steps {
		if s := &p.run.Steps[i]; s.Msg != 0 {
			names[s.Method] = true
		}
	}
	for k, name := range slices.Sorted(maps.Keys(names)) {
		p.kinds[name] = k % kinds
	}
}

// A legendItem explains one sign of a picture.
type legendItem struct {
	sign  string // SVG with a place for x and y
	says  string
	width float64
}

// legendItems explains the signs that the picture has.
func (p *picture) legendItems() (out []legendItem) {
	add := func(sign, says string) {
		out = append(out, legendItem{sign, says, 34 + svgChar*float64(utf8.RuneCountInString(says))})
	}
	replies, lost := false, false
	shown := map[string]bool{}
	for _, i := range p.shown {
		s := &p.run.Steps[i]
		if s.Msg != 0 {
			shown[s.Method] = true
			replies = replies || s.Message == "reply"
			lost = lost || s.Kind == "lost"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		add(fmt.Sprintf(`<path class="msg m%d" marker-end="url(#head)" d="M%%.1f %%.1fh22"/>`, p.kinds[name]), oneLine(name))
	}
	if replies {
		add(`<path class="msg reply" d="M%.1f %.1fh22"/>`, "a reply")
	}
	if lost {
		add(`<path class="msg bad" marker-end="url(#lost)" d="M%.1f %.1fh16"/>`, "lost")
	}
	for _, role := range slices.Sorted(maps.Keys(p.roles)) {
		add(fmt.Sprintf(`<path class="r%d" d="M%%.1f %%.1fh22"/>`, p.roles[role]), oneLine(role))
	}
	if p.banded {
		add(`<rect class="band" x="%.1f" y="%.1f" width="20" height="9" transform="translate(0 -5)"/>`, "partitioned")
	}
	return out
}

// drawLegend explains the signs below the picture.
func (p *picture) drawLegend() {
	x, y := 12.0, p.tall+14
	items := p.legendItems()
	if len(items) == 0 {
		return
	}
	for _, item := range items {
		if x+item.width > float64(p.opts.Width) && x > 12 {
			x, y = 12, y+18
		}
		p.add(item.sign, x, y-4)
		p.add(`<text class="legend" x="%.1f" y="%.1f">%s</text>`, x+28, y, html.EscapeString(item.says))
		x += item.width + 12
	}
	p.tall = y + 8
}
