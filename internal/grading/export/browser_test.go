package export

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	chrome "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/report"
)

func TestMain(m *testing.M) { os.Exit(browser.Run(m)) }

// openTab opens an empty tab for the pages of a class. They ask for nothing but each other.
func openTab(t *testing.T) *browser.Tab {
	return browser.Open(t, func(url string) bool { return strings.HasPrefix(url, "file://") && strings.HasSuffix(url, ".html") })
}

// show goes to a page of a site, and waits until all of it is there.
func show(b *browser.Tab, page string) {
	b.T.Helper()
	b.Do(chromedp.Navigate("file://"+page), chromedp.WaitReady("footer"))
}

// contrasts is the lowest ratio of the colours of a text and of what is behind
// it (WCAG 2.2, "relative luminance"), and which text has it.
const contrasts = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return c.startsWith("color(srgb") ? [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
	const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	let worst = { ratio: 99, text: "" };
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walker.nextNode());) {
		const el = n.parentElement;
		if (!n.data.trim() || el.closest(".hidden, svg, style")) continue;
		let back = el;
		while (back && parse(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
		const a = light(parse(getComputedStyle(el).color)), b = back ? light(parse(getComputedStyle(back).backgroundColor)) : 1;
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < worst.ratio) worst = { ratio, text: n.data.trim().slice(0, 40) + " in " + el.className };
	}
	return worst;
})()`

// The pages of a class stay on this machine, run nothing, can be read in light
// and dark, do not scroll sideways, and have a name for every region and table.
func TestPagesInABrowser(t *testing.T) {
	b := openTab(t)
	dir := t.TempDir()
	_, err := Site(dir, "Labs, autumn", bigClass())
	require.NoError(t, err)
	for _, name := range []string{"index", "students/alice", "students/carol", "students/dave", "students/mallory"} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				b.Do(browser.Prefers(scheme))
				show(b, filepath.Join(dir, name+".html"))
				require.Equal(t, "CSS1Compat", browser.Eval[string](b, `document.compatMode`))
				require.True(t, browser.Eval[bool](b, `getComputedStyle(document.querySelector("header")).paddingTop === "36px"`), "the policy lets the style through")
				require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth - innerWidth`), 0, "it scrolls sideways")
				worst := browser.Eval[map[string]any](b, contrasts)
				require.GreaterOrEqual(t, worst["ratio"], 4.5, "too little contrast: %v", worst["text"])
				require.Equal(t, 1, browser.Eval[int](b, `document.querySelectorAll("h1").length`))
				require.Zero(t, browser.Eval[int](b, `document.querySelectorAll("script[src], img, iframe, link, details[open]").length`))
				require.Equal(t, 0, browser.Eval[int](b, `[...document.querySelectorAll("th")].filter(th => !th.scope).length`))
				b.Shot(strings.ReplaceAll(t.Name(), "/", "-"))
			})
		}
	}
	sorts(b, filepath.Join(dir, "index.html"))
	// A phone: the class's table scrolls within its frame, the page does not.
	browser.Command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 800, DeviceScaleFactor: 2, Mobile: true})
	for _, name := range []string{"index", "students/alice", "students/mallory"} {
		show(b, filepath.Join(dir, name+".html"))
		require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`), 0, "%s scrolls sideways", name)
		b.Shot("phone-" + filepath.Base(name))
	}
}

// sorts checks that a click on a head sorts the rows: totals from high to low, then from low to high, those without one last.
func sorts(b *browser.Tab, index string) {
	t := b.T
	show(b, index)
	totals := func() []string {
		browser.Eval[bool](b, `(document.querySelector('th[data-sort="1"] button').click(), true)`)
		return browser.Eval[[]string](b, `[...document.querySelector("table").tBodies[0].rows].map(r => r.cells[1].textContent)`)
	}
	number := func(s string) (n int) {
		if _, err := fmt.Sscan(s, &n); err != nil {
			return -1
		}
		return n
	}
	down := totals()
	require.True(t, slices.IsSortedFunc(down, func(a, b string) int { return number(b) - number(a) }), "%v", down)
	require.Equal(t, "descending", browser.Eval[string](b, `document.querySelector('th[data-sort="1"]').getAttribute("aria-sort")`))
	up := slices.DeleteFunc(totals(), func(s string) bool { return number(s) < 0 })
	require.True(t, slices.IsSortedFunc(up, func(a, b string) int { return number(a) - number(b) }), "%v", up)
	require.Less(t, number(up[0]), number(down[0]), "the sample has different totals")
	browser.Eval[bool](b, `(document.querySelector('th[data-kind="name"] button').click(), true)`)
	names := browser.Eval[[]string](b, `[...document.querySelector("table").tBodies[0].rows].map(r => r.cells[0].textContent.trim())`)
	require.Less(t, names[0], names[len(names)-1])
}

// On paper a page is black on white, whole, and no wider than the sheet.
func TestPagesInPrint(t *testing.T) {
	b := openTab(t)
	dir := t.TempDir()
	_, err := Site(dir, "Labs, autumn", bigClass())
	require.NoError(t, err)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	for name, width := range map[string]int{"index": 1030, "students/alice": 720} { // A4 with its margins, in CSS pixels
		browser.Command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: dark})
		b.Do(browser.Sized(int64(width), 1000))
		show(b, filepath.Join(dir, name+".html"))
		require.Equal(t, "rgb(255, 255, 255)", browser.Eval[string](b, `getComputedStyle(document.body).backgroundColor`))
		require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth - innerWidth`), 0, "%s is wider than the sheet: %s", name,
			browser.Eval[string](b, `[...document.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + "." + e.className + " to " + e.getBoundingClientRect().right).join(", ")`))
		require.Zero(t, browser.Eval[int](b, `[...document.querySelectorAll("pre, .scroll")].filter(e => e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflowY !== "visible").length`), "something is cut off")
		require.Zero(t, browser.Eval[int](b, `[...document.querySelectorAll("details pre")].filter(e => e.offsetHeight === 0).length`), "a failure is folded on paper")
		pdf := browser.Command(b, chrome.PrintToPDF, chrome.PrintToPDFParams{PreferCSSPageSize: new(true), PrintBackground: new(true)})
		require.NotEmpty(t, pdf.Data)
		b.Save("print-"+filepath.Base(name)+".pdf", []byte(pdf.Data))
	}
}

// bigClass is forty students over six labs, someClass, and one who means harm.
func bigClass() Class {
	return func(yield func(Student, error) bool) {
		for s, err := range someClass() {
			if !yield(s, err) {
				return
			}
		}
		bad := "<script>alert(1)</script> \u202e=cmd|x " + strings.Repeat("wide", 100)
		r := hostile(bad)
		r.Submission.ID, r.Submission.Name = "mallory", "Mallory <b>'\"& "+strings.Repeat("M", 80)
		r.Labs[0].ID, r.Labs[0].Parts = "01-links", sample().Labs[0].Parts // the names of labs and parts are ours
		r.Labs[1].ID, r.Labs[1].Parts = "04-election", sample().Labs[1].Parts
		r.Labs[1].Parts[1].Tests = hostile(bad).Labs[1].Parts[0].Tests
		if !yield(StudentOf(r), nil) {
			return
		}
		for i := range 35 {
			r := wholeCourse(fmt.Sprintf("s%03d", i))
			r.Tests(func(_ *result.Lab, _ *result.Part, t *result.Test) {
				if (i*len(t.Name)+i/3)%4 == 0 {
					t.Status = report.Fail
				}
			})
			if !yield(StudentOf(sum(r)), nil) {
				return
			}
		}
	}
}

// wholeCourse is six labs of five parts.
func wholeCourse(id string) *result.Result {
	r := perfect(id, "")
	r.Labs = nil
	for i, title := range []string{"Links", "Failure detection", "Clocks", "Election", "Replication", "Consistency"} {
		lab := result.Lab{ID: fmt.Sprintf("%02d-%s", i+1, strings.ToLower(title)), Title: title}
		for _, letter := range "ABCDE" {
			part := result.Part{ID: fmt.Sprintf("%d%c", i+1, letter), Title: title}
			for k := range 4 {
				part.Tests = append(part.Tests, result.Test{Name: "Test" + strings.Repeat("x", k+2*i+int(letter)%7), Max: 5, Status: report.Pass})
			}
			lab.Parts = append(lab.Parts, part)
		}
		r.Labs = append(r.Labs, lab)
	}
	return sum(r)
}
