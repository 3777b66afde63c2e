package view

import (
	"bytes"
	"context"
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
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/trace"
)

// A browser is one headless Chromium for all tests of the package.
var browser = struct {
	sync.Once
	ctx   context.Context
	close func()
	why   string // why there is none
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.close != nil {
		browser.close()
	}
	os.Exit(code)
}

// openBrowser starts Chromium once, and skips the test where there is none.
func openBrowser(t testing.TB) context.Context {
	t.Helper()
	browser.Do(func() {
		var path string
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			browser.why = "no chromium, chromium-browser or google-chrome on PATH: the page is not tested"
			return
		}
		dir, err := os.MkdirTemp("", "view-browser-")
		if err != nil {
			browser.why = err.Error()
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
			browser.why = "chromium does not start: " + err.Error()
		}
		browser.ctx = ctx
		browser.close = func() {
			cancel()
			stop()
			_ = os.RemoveAll(dir)
		}
	})
	if browser.why != "" {
		t.Skip(browser.why)
	}
	return browser.ctx
}

// A tab is a page that a test has opened, and what went wrong or out on it.
type tab struct {
	t    testing.TB
	ctx  context.Context
	path string

	mu       sync.Mutex
	errors   []string
	requests []string
}

// open writes the page to a file and opens it. At the end of the test the page must have raised no
// error and asked for nothing but itself.
func open(t testing.TB, html []byte, fragment string, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	parent := openBrowser(t)
	tabCtx, cancel := chromedp.NewContext(parent)
	ctx, stop := context.WithTimeout(tabCtx, 6*time.Minute)
	b := &tab{t: t, ctx: ctx, path: filepath.Join(t.TempDir(), "run.html")}
	require.NoError(t, os.WriteFile(b.path, html, 0o644))
	require.NoError(t, chromedp.Do(tabCtx)) // the tab lives as long as its first context
	require.NoError(t, chromedp.Listen(tabCtx, b.listen))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Empty(t, b.errors, "errors on the page")
		require.Empty(t, b.requests, "requests of the page")
		stop()
		cancel()
	})
	command(b, network.Enable, network.EnableParams{})
	command(b, log.Enable, cdp.Empty{})
	command(b, runtime.Enable, cdp.Empty{})
	b.do(append(before, chromedp.Navigate("file://"+b.path+fragment))...)
	for end := time.Now().Add(time.Minute); !eval[bool](b, `document.documentElement.dataset.ready === "yes"`); {
		b.mu.Lock()
		errors := b.errors
		b.mu.Unlock()
		require.Empty(t, errors, "the page does not start")
		require.True(t, time.Now().Before(end), "the page is not ready after a minute")
		time.Sleep(10 * time.Millisecond)
	}
	return b
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, exceptionText(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.errors = append(b.errors, string(e.Type))
		}
	case *log.EventEntryAdded:
		b.errors = append(b.errors, e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		b.errors = append(b.errors, "a dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, "file://"+b.path) {
			b.requests = append(b.requests, url)
		}
	}
}

func exceptionText(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Text + ": " + d.Exception.Description
	}
	return d.Text
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

// cpu is the processor time that the page's main thread has used.
func (b *tab) cpu() time.Duration {
	b.t.Helper()
	for _, m := range command(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "TaskDuration" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	b.t.Fatal("the browser has no TaskDuration")
	return 0
}

// press presses keys in the page, as a person would.
func (b *tab) press(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// shot saves a picture for a person to look at, and the page itself, if VIEW_SHOTS names a folder.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("VIEW_SHOTS")
	if dir == "" {
		return
	}
	b.settle()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
	html, err := os.ReadFile(b.path)
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".html"), html, 0o644))
}

// dark makes the browser prefer dark pages.
func dark() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
		return err
	})
}

// sized opens a page in a window that large.
func sized(width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
		return err
	})
}

// settle waits until the page has drawn what it was told.
func (b *tab) settle() {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](
		`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
}

// pageOf is the page of a run, with the sources of this package.
func pageOf(t testing.TB, run *trace.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, HTML(&b, run, Options{Source: SourceBeside(".")}))
	return b.Bytes()
}
