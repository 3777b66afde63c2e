package play

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
)

// The package's tests share one browser, and the pages of all scenarios with the reference solutions.
var shared struct {
	browser sync.Once
	ctx     context.Context
	close   func()
	why     string // why there is no browser

	site    sync.Once
	dir     string
	err     error
	builder *workspace.Builder
}

func TestMain(m *testing.M) { os.Exit(gradetest.Main(tests{m})) }

type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if shared.close != nil {
		shared.close()
	}
	if shared.builder != nil {
		shared.builder.Close()
	}
	if shared.dir != "" && os.Getenv("PLAY_SITE") == "" {
		os.RemoveAll(shared.dir)
	}
	return code
}

const root = "../../.."

// siteDir is a folder with the pages of all scenarios. PLAY_SITE names one that is kept: only its pages are
// written again, and not the code.
func siteDir(t testing.TB) string {
	t.Helper()
	shared.site.Do(func() {
		there := false
		if dir := os.Getenv("PLAY_SITE"); dir != "" {
			shared.dir = dir
			_, err := os.Stat(filepath.Join(dir, "index.html"))
			there = err == nil
		} else if shared.dir, shared.err = os.MkdirTemp("", "play-site-"); shared.err != nil {
			return
		}
		c, b := courseAndBuilder(t)
		scenes, err := c.Select()
		if err == nil {
			scenes, err = Scenes(c, scenes)
		}
		site := &Site{Dir: shared.dir, Scenes: scenes, Source: submission.Source{Kind: course.Solution}}
		if err == nil && there {
			err = site.pages(b)
		} else if err == nil {
			err = site.Write(t.Context(), b)
		}
		shared.err = err
	})
	require.NoError(t, shared.err)
	return shared.dir
}

func courseAndBuilder(t testing.TB) (*course.Course, *workspace.Builder) {
	t.Helper()
	dir, err := filepath.Abs(root)
	require.NoError(t, err)
	c, err := course.Load(dir)
	require.NoError(t, err)
	if shared.builder == nil {
		shared.builder, err = workspace.New(context.Background(), c, workspace.Options{})
		require.NoError(t, err)
	}
	return c, shared.builder
}

// openBrowser starts Chromium once, and skips the test where there is none.
func openBrowser(t testing.TB) context.Context {
	t.Helper()
	shared.browser.Do(func() {
		var path string
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			shared.why = "no chromium, chromium-browser or google-chrome on PATH: the page is not tested"
			return
		}
		dir, err := os.MkdirTemp("", "play-browser-")
		if err != nil {
			shared.why = err.Error()
			return
		}
		opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.WindowSize(1440, 900)}
		for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
			"disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
			opts = append(opts, chromedp.Flag(flag, true))
		}
		alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
		ctx, cancel := chromedp.NewContext(alloc)
		if err := chromedp.Do(ctx); err != nil {
			shared.why = "chromium does not start: " + err.Error()
		}
		shared.ctx = ctx
		shared.close = func() {
			cancel()
			stop()
			_ = os.RemoveAll(dir)
		}
	})
	if shared.why != "" {
		t.Skip(shared.why)
	}
	return shared.ctx
}

// A tab is a page that a test has opened, and what went wrong or out on it.
type tab struct {
	t      testing.TB
	ctx    context.Context
	server string

	mu     sync.Mutex
	errors []string
}

// open opens a page of the shared site. At the end of the test the page must have raised no error and asked for nothing except files of
// the site.
func open(t testing.TB, place string) *tab {
	t.Helper()
	parent := openBrowser(t)
	return openIn(t, parent, siteDir(t), place)
}

func openIn(t testing.TB, parent context.Context, dir, place string) *tab {
	t.Helper()
	server := httptest.NewServer(handler(dir))
	tabCtx, cancel := chromedp.NewContext(parent)
	ctx, stop := context.WithTimeout(tabCtx, 6*time.Minute)
	b := &tab{t: t, ctx: ctx, server: server.URL}
	require.NoError(t, chromedp.Do(tabCtx)) // the tab lives as long as its first context
	t.Cleanup(func() {
		b.blameless()
		stop()
		cancel()
		server.CloseClientConnections()
		server.Close()
	})
	b.load(place)
	return b
}

// load goes to a page of the site, and waits until it can be played.
func (b *tab) load(place string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx))
	require.NoError(b.t, chromedp.Listen(b.ctx, b.listen))
	command(b, network.Enable, network.EnableParams{})
	command(b, log.Enable, cdp.Empty{})
	command(b, runtime.Enable, cdp.Empty{})
	b.do(chromedp.Navigate(b.server + "/" + place))
	b.until(`document.documentElement.dataset.ready === "yes"`, "the page is ready")
}

// played is the tab that the tests of one page share: to load a lab's code costs more than most tests do with it. It is the first one's
// until the tests end; what goes wrong on it later fails the test that uses it then.
var played *tab

// again opens a place of 4C's page as [open] does, but in the tab of the test before it, where there is one: the tree of steps, the puzzle, what
// is held and what is marked are new.
func again(t testing.TB, fragment string) *tab {
	t.Helper()
	if played == nil {
		parent, dir := openBrowser(t), siteDir(t)
		server := httptest.NewServer(handler(dir))
		ctx, _ := chromedp.NewContext(parent) // ends with the browser
		played = &tab{t: t, ctx: ctx, server: server.URL}
		played.load("4C.html" + fragment)
	} else {
		played.t = t
		fresh := "#fresh"
		if fragment != "" {
			fresh = fragment + "&fresh"
		}
		played.idle()
		eval[bool](played, fmt.Sprintf(`(() => {
			const { game } = play;
			Object.assign(game, { seed: -1, cursor: 0, all: false, chosen: -1, record: "", auto: null });
			game.held.clear();
			document.querySelector("#share input").value = "";
			location.hash = %q;
			return true;
		})()`, fresh))
		played.until(`play.game.seed !== -1 && !play.game.busy && !location.hash.includes("fresh")`, "the page begins again")
	}
	t.Cleanup(played.blameless)
	return played
}

// blameless checks that the page has raised no error and asked for nothing except files of the site.
func (b *tab) blameless() {
	b.mu.Lock()
	defer b.mu.Unlock()
	errors := b.errors
	b.errors = nil
	require.Empty(b.t, errors, "errors and foreign requests of the page")
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += ": " + e.ExceptionDetails.Exception.Description
		}
		b.errors = append(b.errors, text)
	case *log.EventEntryAdded:
		b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, b.server+"/") && !strings.HasPrefix(url, "blob:"+b.server) {
			b.errors = append(b.errors, "a request for "+url)
		}
	}
}

// until waits until an expression holds.
func (b *tab) until(expression, what string) {
	b.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !eval[bool](b, expression); time.Sleep(10 * time.Millisecond) {
		b.mu.Lock()
		errors := b.errors
		b.mu.Unlock()
		require.Empty(b.t, errors, "before %s", what)
		require.True(b.t, time.Now().Before(end), "not within two minutes: %s; the page says %q", what,
			eval[string](b, `document.getElementById("loading").textContent + " | " + document.getElementById("status").textContent`))
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// command sends the browser a command of its protocol.
func command[P, R any](b *tab, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, cmd, params)
	require.NoError(b.t, err)
	return result
}

// eval returns the value of a JavaScript expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return out
}

// depth is how many steps have been taken.
func (b *tab) depth() int { return eval[int](b, `play.game.at.depth`) }

// press presses keys in the page, each once the step before it is done.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.idle()
		b.do(chromedp.KeyEvent(key))
	}
	b.idle()
}

// idle waits until no step is being taken.
func (b *tab) idle() { b.until(`!play.game.busy`, "the step is done") }

// click clicks the button that a person with a screen reader knows by this name.
func (b *tab) click(name string) {
	b.t.Helper()
	b.idle()
	found := eval[bool](b, fmt.Sprintf(`(() => {
		const named = [...document.querySelectorAll("button")].filter((el) => (el.getAttribute("aria-label") || el.textContent).trim() === %q && !el.disabled && el.getClientRects().length);
		document.querySelectorAll("[data-aim]").forEach((el) => el.removeAttribute("data-aim"));
		if (named.length) { named[0].dataset.aim = "yes"; named[0].scrollIntoView({ block: "center" }); }
		return named.length > 0;
	})()`, name))
	require.True(b.t, found, "there is no button %q; there are %s", name,
		eval[string](b, `[...document.querySelectorAll("button:not(:disabled)")].map((el) => el.getAttribute("aria-label") || el.textContent).join(" | ")`))
	b.do(chromedp.Click("[data-aim]"))
	b.idle()
}

// shot saves a picture for a person to look at, if PLAY_SHOTS names a folder.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("PLAY_SHOTS")
	if dir == "" {
		return
	}
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](
		`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// prefers makes the browser prefer light or dark pages.
func prefers(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// sized makes the window that large.
func sized(width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
		return err
	})
}
