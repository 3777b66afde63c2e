package export

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	chrome "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// chromium starts a headless browser, or skips the test where there is none.
func chromium(t *testing.T) context.Context {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH: the pages are not tested")
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900)}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	ctx, limit := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(limit)
	require.NoError(t, chromedp.Do(ctx))
	return ctx
}

// listener collects what a page must not do.
type listener struct {
	mu   sync.Mutex
	said []string
}

func (l *listener) hear(event any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		l.said = append(l.said, "exception: "+e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		l.said = append(l.said, "console: "+string(e.Type))
	case *log.EventEntryAdded:
		l.said = append(l.said, "log: "+e.Entry.Text)
	case *chrome.EventJavascriptDialogOpening:
		l.said = append(l.said, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, "file://") || !strings.HasSuffix(url, ".html") {
			l.said = append(l.said, "request: "+url)
		}
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return out
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
	ctx := chromium(t)
	dir := t.TempDir()
	_, err := Site(dir, "Labs, autumn", bigClass())
	require.NoError(t, err)
	heard := &listener{}
	require.NoError(t, chromedp.Listen(ctx, heard.hear))
	for _, enable := range []func() error{
		func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); return err },
		func() error { _, err := chromedp.Call(ctx, runtime.Enable, cdp.Empty{}); return err },
	} {
		require.NoError(t, enable())
	}
	for _, name := range []string{"index", "students/alice", "students/carol", "students/dave", "students/mallory"} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				scheme := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: scheme})
				require.NoError(t, err)
				require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+filepath.Join(dir, name+".html")), chromedp.WaitReady("footer")))
				require.Equal(t, "CSS1Compat", evaluate[string](t, ctx, `document.compatMode`))
				require.True(t, evaluate[bool](t, ctx, `getComputedStyle(document.querySelector("header")).paddingTop === "36px"`), "the policy lets the style through")
				require.LessOrEqual(t, evaluate[int](t, ctx, `document.documentElement.scrollWidth - innerWidth`), 0, "it scrolls sideways")
				worst := evaluate[map[string]any](t, ctx, contrasts)
				require.GreaterOrEqual(t, worst["ratio"], 4.5, "too little contrast: %v", worst["text"])
				require.Equal(t, 1, evaluate[int](t, ctx, `document.querySelectorAll("h1").length`))
				require.Zero(t, evaluate[int](t, ctx, `document.querySelectorAll("script[src], img, iframe, link, details[open]").length`))
				require.Equal(t, 0, evaluate[int](t, ctx, `[...document.querySelectorAll("th")].filter(th => !th.scope).length`))
				shot(t, ctx, strings.ReplaceAll(t.Name(), "/", "-"))
			})
		}
	}
	sorts(t, ctx, filepath.Join(dir, "index.html"))
	// A phone: the class's table scrolls within its frame, the page does not.
	_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 800, DeviceScaleFactor: 2, Mobile: true})
	require.NoError(t, err)
	for _, name := range []string{"index", "students/alice", "students/mallory"} {
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+filepath.Join(dir, name+".html")), chromedp.WaitReady("footer")))
		require.LessOrEqual(t, evaluate[int](t, ctx, `document.documentElement.scrollWidth - document.documentElement.clientWidth`), 0, "%s scrolls sideways", name)
		shot(t, ctx, "phone-"+filepath.Base(name))
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	require.Empty(t, heard.said)
}

// sorts checks that a click on a head sorts the rows: totals from high to low, then from low to high, those without one last.
func sorts(t *testing.T, ctx context.Context, index string) {
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+index), chromedp.WaitReady("footer")))
	totals := func() []string {
		evaluate[bool](t, ctx, `(document.querySelector('th[data-sort="1"] button').click(), true)`)
		return evaluate[[]string](t, ctx, `[...document.querySelector("table").tBodies[0].rows].map(r => r.cells[1].textContent)`)
	}
	number := func(s string) (n int) {
		if _, err := fmt.Sscan(s, &n); err != nil {
			return -1
		}
		return n
	}
	down := totals()
	require.True(t, slices.IsSortedFunc(down, func(a, b string) int { return number(b) - number(a) }), "%v", down)
	require.Equal(t, "descending", evaluate[string](t, ctx, `document.querySelector('th[data-sort="1"]').getAttribute("aria-sort")`))
	up := slices.DeleteFunc(totals(), func(s string) bool { return number(s) < 0 })
	require.True(t, slices.IsSortedFunc(up, func(a, b string) int { return number(a) - number(b) }), "%v", up)
	require.Less(t, number(up[0]), number(down[0]), "the sample has different totals")
	evaluate[bool](t, ctx, `(document.querySelector('th[data-kind="name"] button').click(), true)`)
	names := evaluate[[]string](t, ctx, `[...document.querySelector("table").tBodies[0].rows].map(r => r.cells[0].textContent.trim())`)
	require.Less(t, names[0], names[len(names)-1])
}

// On paper a page is black on white, whole, and no wider than the sheet.
func TestPagesInPrint(t *testing.T) {
	ctx := chromium(t)
	dir := t.TempDir()
	_, err := Site(dir, "Labs, autumn", bigClass())
	require.NoError(t, err)
	dark := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
	for name, width := range map[string]int{"index": 1030, "students/alice": 720} { // A4 with its margins, in CSS pixels
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: dark})
		require.NoError(t, err)
		_, err = chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: 1000, DeviceScaleFactor: 1})
		require.NoError(t, err)
		require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+filepath.Join(dir, name+".html")), chromedp.WaitReady("footer")))
		require.Equal(t, "rgb(255, 255, 255)", evaluate[string](t, ctx, `getComputedStyle(document.body).backgroundColor`))
		require.LessOrEqual(t, evaluate[int](t, ctx, `document.documentElement.scrollWidth - innerWidth`), 0, "%s is wider than the sheet", name)
		require.Zero(t, evaluate[int](t, ctx, `[...document.querySelectorAll("pre, .scroll")].filter(e => e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflowY !== "visible").length`), "something is cut off")
		require.Zero(t, evaluate[int](t, ctx, `[...document.querySelectorAll("details pre")].filter(e => e.offsetHeight === 0).length`), "a failure is folded on paper")
		pdf, err := chromedp.Call(ctx, chrome.PrintToPDF, chrome.PrintToPDFParams{PreferCSSPageSize: new(true), PrintBackground: new(true)})
		require.NoError(t, err)
		require.NotEmpty(t, pdf.Data)
		if shots := os.Getenv("EXPORT_SHOTS"); shots != "" {
			require.NoError(t, os.WriteFile(filepath.Join(shots, "print-"+filepath.Base(name)+".pdf"), []byte(pdf.Data), 0o644))
		}
	}
}

// shot saves a picture for a person to look at, if EXPORT_SHOTS names a folder.
func shot(t *testing.T, ctx context.Context, name string) {
	shots := os.Getenv("EXPORT_SHOTS")
	if shots == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644))
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
