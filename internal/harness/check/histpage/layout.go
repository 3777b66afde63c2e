package histpage

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// The measures of the picture, in pixels.
const (
	axis    = 26 // height of the axis
	barTall = 22
	barStep = 27 // from a row of bars to the next
	laneGap = 12
	edgeGap = 52 // where arrows need room
	char    = 6.7
	leastX  = 16  // between two times
	mostBar = 250 // width that a bar's text may ask for
)

// A layout says where everything is.
type layout struct {
	page  *Page
	x     map[time.Duration]float64
	times []time.Duration
	begin time.Duration
	end   time.Duration // where open bars end
	wide  float64
	tall  float64
	laneY []float64
	laneH []float64
	row   []int
	gap   float64 // between the bars of two lanes
}

func newLayout(p *Page) *layout {
	l := &layout{page: p, x: map[time.Duration]float64{}, row: make([]int, len(p.Bars))}
	l.gap = laneGap
	if len(p.Edges) > 0 {
		l.gap = edgeGap
	}
	l.begin, l.end = p.span()
	l.end++
	l.placeTimes()
	l.placeRows()
	return l
}

// ends is where a bar ends on the axis.
func (l *layout) ends(b *Bar) time.Duration {
	if b.Open {
		return l.end
	}
	return max(b.To, b.From)
}

// placeTimes gives each time its place, from left to right: as far apart as the texts of the bars need.
func (l *layout) placeTimes() {
	seen := map[time.Duration]bool{l.end: true}
	ending := map[time.Duration][]*Bar{}
	for i := range l.page.Bars {
		b := &l.page.Bars[i]
		seen[b.From], seen[l.ends(b)] = true, true
		ending[l.ends(b)] = append(ending[l.ends(b)], b)
	}
	for t := range seen {
		l.times = append(l.times, t)
	}
	slices.Sort(l.times)
	x := 12.0
	for k, t := range l.times {
		if k > 0 {
			x += leastX
		}
		for _, b := range ending[t] {
			if from, placed := l.x[b.From]; placed {
				x = max(x, from+l.wants(b))
			}
		}
		l.x[t] = x
	}
	l.wide = x + 24
}

// said is what stands in a bar.
func (b *Bar) said() string {
	said := b.Text
	if b.Look == Wrong {
		said = "✗ " + said
	}
	if b.Order > 0 {
		said = fmt.Sprintf("%d. %s", b.Order, said)
	}
	return said
}

// wants is the width that a bar's text asks for.
func (l *layout) wants(b *Bar) float64 {
	most := float64(mostBar)
	if b.Look == Wrong || b.Look == Involved {
		most *= 2
	}
	return min(most, char*float64(utf8.RuneCountInString(b.said()))+16)
}

// placeRows gives bars of one lane that overlap rows of their own.
func (l *layout) placeRows() {
	order := make([]int, len(l.page.Bars))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(l.page.Bars[a].From, l.page.Bars[b].From)
	})
	free := make([][]float64, len(l.page.Lanes)) // by lane and row: where the last bar ends
	for _, i := range order {
		b := &l.page.Bars[i]
		from, to := l.x[b.From], l.right(b)
		row := slices.IndexFunc(free[b.Lane], func(until float64) bool { return until <= from })
		if row < 0 {
			row = len(free[b.Lane])
			free[b.Lane] = append(free[b.Lane], 0)
		}
		free[b.Lane][row] = to
		l.row[i] = row
	}
	y := float64(axis)
	for _, rows := range free {
		h := float64(max(1, len(rows))*barStep) + l.gap
		l.laneY, l.laneH = append(l.laneY, y), append(l.laneH, h)
		y += h
	}
	l.tall = y + 6
}

// right is the right end of a bar: one without a length can be seen too.
func (l *layout) right(b *Bar) float64 {
	return max(l.x[l.ends(b)], l.x[b.From]+leastX)
}

// top is the upper side of a bar.
func (l *layout) top(i int) float64 {
	return l.laneY[l.page.Bars[i].Lane] + l.gap/2 + float64(l.row[i]*barStep)
}
