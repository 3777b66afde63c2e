package view

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/check/histpage"
	"distlabs/internal/harness/check/isolation"
	"distlabs/internal/harness/check/linear"
)

// The pages of histories are drawn by package histpage; the browser for their tests is here.

// skew is a history with a write skew among many transactions that are in order.
func skew(t testing.TB) (*isolation.History, isolation.Anomaly) {
	t.Helper()
	h := &isolation.History{}
	add := func(session int, from, to time.Duration, outcome isolation.Outcome, ops ...isolation.Op) {
		h.Txns = append(h.Txns, isolation.Txn{ID: len(h.Txns) + 1, Session: session, Call: from, Return: to, Outcome: outcome, Ops: ops})
	}
	ms := time.Millisecond
	for k := range 30 {
		at := time.Duration(k) * 10 * ms
		add(1+k%3, at, at+4*ms, isolation.Committed, isolation.W("z", int64(k+100)), isolation.R("z", int64(k+100)))
	}
	add(1, 400*ms, 440*ms, isolation.Committed, isolation.R("z", 129), isolation.Missing("x"), isolation.Missing("y"), isolation.W("x", 1))
	add(2, 405*ms, 450*ms, isolation.Committed, isolation.Missing("x"), isolation.Missing("y"), isolation.W("y", 2))
	add(3, 410*ms, 0, isolation.Unknown, isolation.W("</script><img src=x>", 7))
	r, err := isolation.Check(h)
	require.NoError(t, err)
	a, found := r.Violation(isolation.Serializable)
	require.True(t, found)
	require.Len(t, a.Cycle, 2, "%v", a)
	return h, a
}

const barsOf = `[...document.querySelectorAll(".bar")].map((g) => { const b = (g.querySelector("rect") || g.querySelector("path")).getBBox(); return { Box: [b.x, b.y, b.width, b.height], Class: g.getAttribute("class"), Text: g.querySelector("text").textContent }; })`

type barSeen struct {
	Box         []float64
	Class, Text string
}

// apart checks that no two bars lie on each other.
func apart(t *testing.T, bars []barSeen) {
	t.Helper()
	for i, a := range bars {
		for _, b := range bars[:i] {
			require.True(t, a.Box[0]+0.1 >= b.Box[0]+b.Box[2] || b.Box[0]+0.1 >= a.Box[0]+a.Box[2] || a.Box[1] >= b.Box[1]+b.Box[3] || b.Box[1] >= a.Box[1]+a.Box[3],
				"%q and %q", a.Text, b.Text)
		}
	}
}

// inSight reports whether the first element that a selector finds lies in the window of the chart.
const inSight = `((selector) => { const el = document.querySelector(selector).getBoundingClientRect(), box = document.getElementById("chart").getBoundingClientRect(); return el.left < box.right && el.right > box.left && el.top < box.bottom && el.bottom > box.top; })`

// A failed history of transactions is a page: lanes by session, the cycle's arrows with their kinds, the rest faded; in
// light and dark, on a laptop and a phone. It opens at the cycle, and no string of it is markup.
func TestPageOfTransactions(t *testing.T) {
	h, a := skew(t)
	var page bytes.Buffer
	require.NoError(t, isolation.Page(&page, h, a))
	for name, before := range map[string][]chromedp.Action[chromedp.Void]{"light": nil, "dark": {browser.Prefers("dark")}} {
		b := open(t, page.Bytes(), "", append(before, browser.Sized(1366, 700))...)
		bars := browser.Eval[[]barSeen](b, barsOf)
		apart(t, bars)
		involved := 0
		for _, bar := range bars {
			if strings.HasPrefix(bar.Class, "bar involved") {
				involved++
			}
		}
		require.Equal(t, 2, involved)
		require.Equal(t, []string{"rw", "rw"}, browser.Eval[[]string](b, `[...document.querySelectorAll(".edge text")].map((el) => el.textContent)`))
		require.Equal(t, []string{"session 1", "session 2", "session 3"}, browser.Eval[[]string](b, `[...document.querySelectorAll(".name")].map((el) => el.textContent)`))
		require.True(t, browser.Eval[bool](b, inSight+`(".bar.involved")`), "it opens at the cycle")
		require.Contains(t, browser.Eval[string](b, `document.body.innerText`), "write skew")
		require.Equal(t, 0, browser.Eval[int](b, `document.querySelectorAll("img").length`))
		standsOut(t, b, name)
		b.shot("txns-" + name)
		b = open(t, page.Bytes(), "", append(before, browser.Sized(390, 844))...)
		require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth`), 390)
		b.shot("txns-phone-" + name)
		b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".bar.faded").dispatchEvent(new MouseEvent("click"))`))
		require.Contains(t, browser.Eval[string](b, `document.getElementById("detail").textContent`), "session")
	}
}

// standsOut checks that the words on a history's page stand out from their grounds.
func standsOut(t *testing.T, b *tab, scheme string) {
	t.Helper()
	for what, ratio := range browser.Eval[map[string]float64](b, `(() => {
		const css = getComputedStyle(document.documentElement), get = (n) => css.getPropertyValue("--" + n).trim();
		const rgb = (c) => { const x = document.createElement("canvas").getContext("2d"); x.fillStyle = c; x.fillRect(0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data].slice(0, 3); };
		const light = (c) => { const [r, g, b] = rgb(c).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
		const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
		const out = {};
		for (const [text, ground] of [["ink", "bg"], ["ink", "panel"], ["ink", "plain"], ["ink", "part"], ["muted", "bg"], ["muted", "panel"], ["muted", "lane"], ["bad", "bg"], ["bad", "panel"], ["bad", "bad-soft"], ["accent", "panel"]]) {
			out[text + " on " + ground] = ratio(get(text), get(ground));
		}
		return out;
	})()`) {
		require.GreaterOrEqual(t, ratio, 4.5, "%s in the %s scheme", what, scheme)
	}
}

// An anomaly without a cycle, and a history without times, are pages too.
func TestPageOfTransactionsWithoutTimes(t *testing.T) {
	h := &isolation.History{Txns: []isolation.Txn{
		{ID: 1, Session: 1, Outcome: isolation.Aborted, Ops: []isolation.Op{isolation.W("x", 1)}},
		{ID: 2, Session: 2, Ops: []isolation.Op{isolation.R("x", 1)}},
	}}
	r, err := isolation.Check(h)
	require.NoError(t, err)
	a, found := r.Violation(isolation.ReadCommitted)
	require.True(t, found)
	var page bytes.Buffer
	require.NoError(t, isolation.Page(&page, h, a))
	b := open(t, page.Bytes(), "")
	require.Contains(t, browser.Eval[string](b, `document.body.innerText`), "aborted read")
	apart(t, browser.Eval[[]barSeen](b, barsOf))
}

type registerOp struct{ Write, Value int }

// The history page: operations of one client that overlap have rows of their own, rows are named as on the run's page, outages are
// drawn, and it opens at the wrong operation, far to the right.
func TestPageOfHistory(t *testing.T) {
	model := linear.Model[int, registerOp, int]{Step: func(state int, in registerOp, out *int) (int, bool) {
		if in.Write != 0 {
			return in.Value, true
		}
		return state, out == nil || *out == state
	}}
	var history []linear.Op[registerOp, int]
	add := func(client, write, value int, from, to time.Duration) {
		history = append(history, linear.Op[registerOp, int]{Client: client, Key: "k", In: registerOp{write, value}, Out: value, Call: from, Return: to})
	}
	ms := time.Millisecond
	for k := range 40 {
		at := time.Duration(k) * 20 * ms
		add(4, 1, k+1, at, at+15*ms)
		add(5, 0, k+1, at+16*ms, at+19*ms)
	}
	add(4, 1, 90, 805*ms, 840*ms)
	add(4, 1, 91, 810*ms, 845*ms) // overlaps
	add(5, 0, 40, 850*ms, 860*ms) // stale
	var v *linear.Violation[registerOp, int]
	require.True(t, errors.As(linear.Check(model, history, linear.Options{}), &v))
	run := histpage.Run{Title: "TestLinearizable5D, seed 4", What: "n5 read an old value at 0.860s", Rule: "reads are linearizable (rule 20)", Link: "TestLinearizable5D-4.html", Nodes: 5,
		Outages: []histpage.Outage{{Where: "n2", From: 800 * ms, To: 830 * ms, Text: "crashed"}, {Where: "network", From: 815 * ms, To: 2 * time.Second, Text: "cut n1 | n2 n3"}}}
	var page bytes.Buffer
	say := func(op linear.Op[registerOp, int]) string {
		return fmt.Sprintf("%s %d <b>", []string{"get =", "put"}[op.In.Write], op.In.Value)
	}
	require.NoError(t, linear.Page(&histpage.Writer{Writer: &page, Run: run}, model, v, say, linear.Options{}))
	for name, before := range map[string][]chromedp.Action[chromedp.Void]{"light": nil, "dark": {browser.Prefers("dark")}} {
		b := open(t, page.Bytes(), "", append(before, browser.Sized(1366, 700))...)
		apart(t, browser.Eval[[]barSeen](b, barsOf))
		require.Equal(t, []string{"n4", "n5", "n2", "network"}, browser.Eval[[]string](b, `[...document.querySelectorAll(".name")].map((el) => el.textContent)`))
		require.True(t, browser.Eval[bool](b, inSight+`(".bar.wrong")`), "it opens at the violation")
		require.Positive(t, browser.Eval[float64](b, `document.getElementById("chart").scrollLeft`))
		require.Equal(t, 2, browser.Eval[int](b, `document.querySelectorAll(".bar.outage").length`))
		require.Contains(t, browser.Eval[string](b, `document.querySelector("header").innerText`), "rule 20")
		require.Equal(t, "TestLinearizable5D-4.html", browser.Eval[string](b, `document.querySelector("header a").getAttribute("href")`))
		standsOut(t, b, name)
		b.shot("history-" + name)
		b = open(t, page.Bytes(), "", append(before, browser.Sized(390, 844))...)
		require.True(t, browser.Eval[bool](b, inSight+`(".bar.wrong")`), "on a phone too")
		require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth`), 390)
		b.shot("history-phone-" + name)
	}
}
