package view

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
)

// The list is a listbox of all shown events, of which the browser tells a screen reader the selected
// one, its place and its number; the diagram has a name, and so has every control.
func TestScreenReader(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "#step=40&cause=1")
	b.Do(chromedp.Focus("#list"))
	b.Press(kb.ArrowDown)
	active := browser.Eval[string](b, `document.getElementById("list").getAttribute("aria-activedescendant")`)
	option := browser.Eval[map[string]string](b, `(() => {
		const el = document.getElementById("list").querySelector("#`+active+`");
		return { selected: el.getAttribute("aria-selected"), size: el.getAttribute("aria-setsize"), place: el.getAttribute("aria-posinset"), text: el.textContent };
	})()`)
	require.Equal(t, "true", option["selected"])
	require.Equal(t, fmt.Sprint(browser.Eval[int](b, `run.app.items.length`)), option["size"])
	require.Equal(t, fmt.Sprint(browser.Eval[int](b, `run.app.itemOf.get(run.app.selected) + 1`)), option["place"])
	require.Contains(t, option["text"], "s")

	// Far away, the selected option stays in the page.
	b.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("list").scrollTop = 1e6`))
	b.Settle()
	require.True(t, browser.Eval[bool](b, `document.getElementById(document.getElementById("list").getAttribute("aria-activedescendant")) !== null`))

	// Without the focus on the list, the status line speaks.
	b.Do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	b.Press(kb.ArrowDown)
	require.Regexp(t, `^\d+\.\d+s `, browser.Eval[string](b, `document.getElementById("status").textContent`))

	browser.Command(b, accessibility.Enable, cdp.Empty{})
	tree := browser.Command(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role, name := text(n.Role), text(n.Name)
		roles[role]++
		switch role {
		case "button", "listbox", "image", "searchbox", "toolbar", "complementary", "option":
			require.NotEmpty(t, name, "the name of a %s", role)
		}
	}
	for _, role := range []string{"listbox", "option", "button", "image", "searchbox", "table"} {
		require.Positive(t, roles[role], "%s: %v", role, roles)
	}
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return string(bytes.Trim(v.Value, `"`))
}

// Tab reaches the list, and the skip link leads there at once.
func TestTabOrder(t *testing.T) {
	b := open(t, pageOf(t, small(t)), "")
	b.Press(kb.Tab)
	require.Equal(t, "skip", browser.Eval[string](b, `document.activeElement.id`))
	b.Press(kb.Enter)
	require.Eventually(t, func() bool { return browser.Eval[string](b, `document.activeElement.id`) == "list" }, 20*time.Second, 20*time.Millisecond)
	b.Do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`), chromedp.Focus("#text"))
	for range 60 {
		b.Press(kb.Tab)
		if browser.Eval[string](b, `document.activeElement.id`) == "list" {
			return
		}
	}
	t.Error("Tab does not reach the list of events")
}

// The page follows the reader's scheme, and text stands out from its ground in both: 4.5 to 1 at least (WCAG 2.2, 1.4.3).
func TestLightAndDark(t *testing.T) {
	run := badElection(t, 5)
	const contrast = `(() => {
		const rgb = (css) => { const c = document.createElement("canvas").getContext("2d"); c.fillStyle = css; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
		const light = (css) => { const [r, g, b] = rgb(css).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
		const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
		const { theme } = run.app, out = {};
		for (const name of ["ink", "muted", "bad", "good", "accent"]) out[name] = ratio(theme[name], theme.bg);
		theme.methods.forEach((m, k) => { out["m" + k] = ratio(m, theme.bg); });
		out.chip = ratio(theme.chipInk, theme.chipNew);
		return out;
	})()`
	backgrounds := map[string]bool{}
	for name, before := range map[string][]chromedp.Action[chromedp.Void]{"light": nil, "dark": {browser.Prefers("dark")}} {
		b := open(t, pageOf(t, run), "", before...)
		for what, ratio := range browser.Eval[map[string]float64](b, contrast) {
			require.GreaterOrEqual(t, ratio, 4.5, "%s in the %s scheme", what, name)
		}
		backgrounds[browser.Eval[string](b, `getComputedStyle(document.body).backgroundColor`)] = true
		b.shot("five-" + name)
	}
	require.Len(t, backgrounds, 2)
}

// Two runs stand side by side: what they share on one height, and the first difference is selected and marked.
func TestCompare(t *testing.T) {
	bad := badElection(t, 3)
	good := sample(t, sampleOptions{seed: bad.Header.Seed, nodes: 3, length: 4 * time.Second})
	var page bytes.Buffer
	require.NoError(t, Compare(&page, bad, good, Options{}))
	b := open(t, page.Bytes(), "", browser.Prefers("dark"))
	require.Equal(t, 6, browser.Eval[int](b, `run.app.model.lanes.length`))
	part := browser.Eval[int](b, `run.app.model.difference.steps[0].n`)
	require.Equal(t, part, browser.Eval[int](b, `run.app.selected.n`))
	require.True(t, browser.Eval[bool](b, fmt.Sprintf(`run.app.model.runs[0].steps.slice(0, %d).every((s, k) => run.app.placeOf(s) === run.app.placeOf(run.app.model.runs[1].steps[k]))`, part)))
	require.True(t, browser.Eval[bool](b, `(() => { const [a, b] = run.app.model.runs.map((r) => r.steps[r.steps.length >> 1]); const c = run.coneOf(String(a.n + 1)); return run.app.model.steps.every((s) => s.run === a.run || !c[s.i]); })()`), "a cone stays in its run")
	b.shot("compare-dark")

	// The second run's steps have an address too, and two equal runs have no difference.
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#step=b12"`))
	require.Eventually(t, func() bool { return browser.Eval[bool](b, `run.app.selected.run === 1 && run.app.selected.n === 11`) }, 20*time.Second, 20*time.Millisecond)
	page.Reset()
	require.NoError(t, Compare(&page, small(t), small(t), Options{Title: "twins"}))
	b = open(t, page.Bytes(), "")
	require.True(t, browser.Eval[bool](b, `run.app.model.difference === null`))
	require.Equal(t, "twins", browser.Eval[string](b, `document.title`))
}

// Where one run has ended, the other's next step is where they part.
func TestCompareWithShorter(t *testing.T) {
	whole := small(t)
	half := *whole
	half.Steps = whole.Steps[:9]
	var page bytes.Buffer
	require.NoError(t, Compare(&page, &half, whole, Options{}))
	b := open(t, page.Bytes(), "")
	require.Equal(t, "b10", browser.Eval[string](b, `run.app.nameOf(run.app.selected)`))
	for _, key := range []string{"v", "t", "0", kb.ArrowLeft, "o"} {
		b.Press(key)
	}
}

// Runs of two seeds share no time: where their stories part stands on one height, and each keeps its own times.
func TestCompareSeeds(t *testing.T) {
	bad := badElection(t, 3)
	good := sample(t, sampleOptions{seed: bad.Header.Seed + 1, nodes: 3, length: 4 * time.Second})
	want, differ := trace.Diverge(bad, good)
	require.True(t, differ)
	require.NotEqual(t, want.At[0], want.At[1])
	var page bytes.Buffer
	require.NoError(t, Compare(&page, bad, good, Options{}))
	b := open(t, page.Bytes(), "")
	require.True(t, browser.Eval[bool](b, `(() => { const [x, y] = run.app.model.difference.steps; return run.app.placeOf(x) === run.app.placeOf(y); })()`))
	require.Equal(t, want.At[1], time.Duration(browser.Eval[int64](b, `run.app.model.difference.steps[1].clock`)))
	require.Equal(t, trace.Seconds(want.At[0]), browser.Eval[string](b, `document.querySelector('#list [aria-selected="true"] .at').textContent`))
	b.shot("compare-seeds")
	b.Press("t")
	require.True(t, browser.Eval[bool](b, `(() => { const [x, y] = run.app.model.difference.steps; return run.app.placeOf(x) === run.app.placeOf(y); })()`))
}

// Printed, the page is light, shows the diagram and lists its events; afterwards it is as before.
func TestPrint(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "", browser.Prefers("dark"))
	before := browser.Eval[string](b, `run.app.theme.bg`)
	pdf := browser.Get(b, chromedp.PrintToPDF(chromedp.PDFPaper(chromedp.PaperA4)))
	require.True(t, bytes.HasPrefix(pdf, []byte("%PDF-")))
	b.Save("print.pdf", pdf)
	require.Equal(t, before, browser.Eval[string](b, `run.app.theme.bg`))
	require.Equal(t, 0, browser.Eval[int](b, `document.querySelectorAll("#sheet tr").length`))
	rows := browser.Eval[int](b, `(() => { dispatchEvent(new Event("beforeprint")); const n = document.querySelectorAll("#sheet tr").length; return run.app.theme.bg === "#ffffff" ? n : -1; })()`)
	require.Greater(t, rows, 5, "rows of the printed list, in light colours")
}
