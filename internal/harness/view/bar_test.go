package view

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/rotation"
)

// size makes the window that large.
func (b *tab) size(width, height int64) {
	b.T.Helper()
	browser.Command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
	b.Settle()
}

// At every width the page holds only the part of the list that can be seen, and 20 000 events open in a second of processor time. Each day
// has two of the widths (package rotation).
func TestListIsVirtualAtEveryWidth(t *testing.T) {
	html := pageOf(t, large(20_000))
	b := open(t, html, "")
	b.CountCPU()
	for i, width := range []int64{390, 899, 1366, 901, 600, 2560} {
		if !rotation.Today(i, 3) {
			continue
		}
		b.size(width, 844)
		best := time.Hour
		for tries := 0; tries < 3 && best >= time.Second; tries++ { // one that was disturbed proves nothing
			best = min(best, b.reopen())
		}
		elements := browser.Eval[int](b, `document.querySelectorAll("*").length`)
		t.Logf("%d wide: %v of processor time, %d elements", width, best.Round(time.Millisecond), elements)
		require.Less(t, elements, 700, "elements at %d", width)
		require.Less(t, best, time.Second, "to open and draw at %d", width)
		require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth`), int(width), "nothing is wider than the window of %d", width)
	}
}

// On a laptop the header leaves three quarters to the run, however long the evidence is.
func TestHeaderIsSmall(t *testing.T) {
	run := badElection(t, 5)
	f, _ := failureOf(run)
	for k := range 30 {
		f.Seen = append(f.Seen, fmt.Sprintf("n1 did thing %d at 0.200s, which is told in a long line of evidence", k))
	}
	fail(t, run, *f)
	b := open(t, pageOf(t, run), "")
	b.size(1366, 700)
	require.LessOrEqual(t, browser.Eval[float64](b, `document.querySelector("header").getBoundingClientRect().height / innerHeight`), 0.2501)
	require.True(t, browser.Eval[bool](b, `(() => { const bar = document.getElementById("bar").getBoundingClientRect(); return bar.height > 0 && bar.bottom <= document.querySelector("header").getBoundingClientRect().bottom + 1; })()`), "the whole bar is in it")
	require.GreaterOrEqual(t, browser.Eval[float64](b, `document.querySelector("#failure h2").getBoundingClientRect().bottom`), 0.0)
	b.shot("laptop")
	b.size(390, 844)
	b.shot("phone")
}

// Many messages of one link and instant are one line, which opens.
func TestBurstsCollapse(t *testing.T) {
	s := newLogWriter(trace.Header{Test: "TestBurst", Nodes: 2})
	s.start(2)
	s.wait(10 * time.Millisecond)
	for k := range 64 {
		s.send(1, 2, "packet", vote{Term: k})
	}
	b := open(t, pageOf(t, s.rec.Run()), "")
	require.Equal(t, 3, browser.Eval[int](b, `run.app.items.length`))
	require.Equal(t, "66 of 66 events shown", browser.Eval[string](b, `document.getElementById("count").textContent`))
	require.Equal(t, []string{"64 × packet → n2"}, browser.Eval[[]string](b, `run.app.layout.rows[1].labels.items.map((i) => i.say())`))
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#step=40"`))
	require.Eventually(t, func() bool { return browser.Eval[bool](b, `run.app.selected !== null && run.app.selected.n === 39`) }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 1, browser.Eval[int](b, `document.querySelectorAll('#list [aria-selected="true"]').length`))
	b.shot("burst")
	b.Press("o")
	require.Equal(t, 66, browser.Eval[int](b, `run.app.items.length`))
}

// A filter that leaves nothing says so, and ends with a click.
func TestFilterThatMatchesNothing(t *testing.T) {
	b := open(t, pageOf(t, small(t)), "#text=nosuchword")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("none").innerText`), "No event matches the filters.")
	b.Do(chromedp.Click("#none button"))
	require.True(t, browser.Eval[bool](b, `document.getElementById("none").hidden`))
	require.Positive(t, browser.Eval[int](b, `run.app.items.length`))
}

// All toggles say in the same way whether they are on.
func TestTogglesLookAlike(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "#nodes=1&hide=disk")
	looks := browser.Eval[map[string][]string](b, `(() => {
		const out = { true: new Set(), false: new Set() };
		for (const el of document.querySelectorAll(".toggle")) {
			const css = getComputedStyle(el);
			out[el.getAttribute("aria-pressed")].add([css.backgroundColor, css.borderColor, css.boxShadow, css.opacity, getComputedStyle(el, "::before").content].join(" "));
		}
		return { true: [...out.true], false: [...out.false] };
	})()`)
	require.Len(t, looks["true"], 1)
	require.Len(t, looks["false"], 1)
	require.NotEqual(t, looks["true"], looks["false"])
}

// The replay command is copied by a button, and the page leads to the history of its failure.
func TestCopyAndHistory(t *testing.T) {
	run := small(t)
	fail(t, run, report.Failure{What: "wrong", Replay: "LABS_SEED=7 go test -run 'X$' ./x", History: "labs/04-election/.labs/TestX-7-history.html"})
	b := open(t, pageOf(t, run), "")
	b.Do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { window.copied = text; } } })`),
		chromedp.Click("button.copy"))
	require.Eventually(t, func() bool {
		return browser.Eval[string](b, `document.querySelector("button.copy").textContent`) == "copied"
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "LABS_SEED=7 go test -run 'X$' ./x", browser.Eval[string](b, `window.copied`))
	require.Equal(t, "TestX-7-history.html", browser.Eval[string](b, `document.querySelector("#failure a").getAttribute("href")`))
}
