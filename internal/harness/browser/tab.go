package browser

import (
	"context"
	"os"
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
)

// shots is the variable that names the folder for pictures.
const shots = "BROWSER_SHOTS"

const (
	tabLimit   = 6 * time.Minute // how long a test may use a tab
	untilLimit = 2 * time.Minute // how long Until waits
)

// A Tab shows pages. It is for one goroutine.
type Tab struct {
	T        testing.TB              // the test that uses it now
	Forgives func(blame string) bool // what the test has provoked, and is no blame; nil: nothing
	ctx      context.Context
	own      func(url string) bool

	mu     sync.Mutex
	blames []string
}

// tab makes types that embed a Tab fit for Eval and its like.
func (b *Tab) tab() *Tab { return b }

type tabbed interface{ tab() *Tab }

// Open opens an empty tab, and closes it at the end of the test. own says which addresses the pages in it may ask for.
func Open(t testing.TB, own func(url string) bool) *Tab {
	t.Helper()
	parent := start(t)
	tabCtx, cancel := chromedp.NewContext(parent)
	ctx, stop := context.WithTimeout(tabCtx, tabLimit)
	b := &Tab{T: t, ctx: ctx, own: own}
	b.enable(tabCtx)
	t.Cleanup(func() {
		b.Blameless()
		stop()
		cancel()
	})
	return b
}

// Keep opens a tab that later tests may use, too: each sets T, and calls Blameless at its end.
func Keep(t testing.TB, own func(url string) bool) *Tab {
	t.Helper()
	ctx, _ := chromedp.NewContext(start(t)) // ends with the browser
	b := &Tab{T: t, ctx: ctx, own: own}
	b.enable(ctx)
	return b
}

// enable begins the tab, which lives as long as its first context.
func (b *Tab) enable(ctx context.Context) {
	b.T.Helper()
	require.NoError(b.T, chromedp.Do(ctx))
	require.NoError(b.T, chromedp.Listen(ctx, b.listen))
	Command(b, network.Enable, network.EnableParams{})
	Command(b, log.Enable, cdp.Empty{})
	Command(b, runtime.Enable, cdp.Empty{})
}

func (b *Tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	blame := func(parts ...string) {
		if text := strings.Join(parts, " "); b.Forgives == nil || !b.Forgives(text) {
			b.blames = append(b.blames, text)
		}
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += ": " + e.ExceptionDetails.Exception.Description
		}
		blame(text)
	case *runtime.EventConsoleAPICalled:
		blame("the page wrote to the console:", string(e.Type))
	case *log.EventEntryAdded:
		blame(e.Entry.Text, e.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		blame("a dialog:", e.Message)
	case *network.EventRequestWillBeSent:
		if !b.own(e.Request.URL) {
			blame("a request for", e.Request.URL)
		}
	}
}

// Blames returns what the page has done that it must not, since it was asked last.
func (b *Tab) Blames() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	blames := b.blames
	b.blames = nil
	return blames
}

// Blameless checks that there is nothing of that kind.
func (b *Tab) Blameless() {
	b.T.Helper()
	require.Empty(b.T, b.Blames(), "errors and foreign requests of the page")
}

// Do has the browser do something.
func (b *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	require.NoError(b.T, chromedp.Do(b.ctx, actions...))
}

// Command sends the browser a command of its protocol.
func Command[P, R any](b tabbed, cmd cdp.Command[P, R], params P) R {
	b.tab().T.Helper()
	result, err := chromedp.Call(b.tab().ctx, cmd, params)
	require.NoError(b.tab().T, err)
	return result
}

// Get returns the result of an action.
func Get[T any](b tabbed, action chromedp.Action[T]) T {
	b.tab().T.Helper()
	out, err := chromedp.Run(b.tab().ctx, action)
	require.NoError(b.tab().T, err)
	return out
}

// Eval returns the value of a JavaScript expression.
func Eval[T any](b tabbed, expression string) T {
	b.tab().T.Helper()
	out, err := chromedp.Run(b.tab().ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.tab().T, err, expression)
	return out
}

// Await returns what the promise resolves to that a JavaScript expression is.
func Await[T any](b tabbed, expression string) T {
	b.tab().T.Helper()
	out, err := chromedp.Run(b.tab().ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.tab().T, err, expression)
	return out
}

// Until waits until an expression holds. A page that does what it must not fails the test at once.
//
// It asks less and less often: to ask a hundred times a second takes half a processor from the page that is waited for.
func (b *Tab) Until(expression, what string) {
	b.T.Helper()
	pause := 5 * time.Millisecond
	for end := time.Now().Add(untilLimit); !Eval[bool](b, expression); pause = min(pause*5/4, 200*time.Millisecond) {
		time.Sleep(pause)
		require.Empty(b.T, b.Blames(), "before this: %s", what)
		require.True(b.T, time.Now().Before(end), "not within %v: %s; the page says %.300q", untilLimit, what, Eval[string](b, `document.body.innerText`))
	}
}

// Ready waits until the page says that it is ready, by <html data-ready="yes">.
func (b *Tab) Ready() {
	b.T.Helper()
	b.Until(`document.documentElement.dataset.ready === "yes"`, "the page is ready")
}

// Press presses keys in the page, as a person would.
func (b *Tab) Press(keys string) {
	b.T.Helper()
	b.Do(chromedp.KeyEvent(keys))
}

// Settle waits until the page has drawn what it was told.
func (b *Tab) Settle() {
	b.T.Helper()
	Await[bool](b, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// Shot saves a picture for a person to look at, if BROWSER_SHOTS names a folder.
func (b *Tab) Shot(name string) {
	b.T.Helper()
	if os.Getenv(shots) == "" {
		return
	}
	b.Settle()
	b.Save(name+".png", Get(b, chromedp.CaptureScreenshot()))
}

// Save saves a file beside the pictures, if BROWSER_SHOTS names a folder.
func (b *Tab) Save(name string, data []byte) {
	b.T.Helper()
	if dir := os.Getenv(shots); dir != "" {
		require.NoError(b.T, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
}

// CountCPU makes CPU count, in processor time and not in real time.
func (b *Tab) CountCPU() {
	b.T.Helper()
	Command(b, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
}

// CPU is the processor time that the page's main thread has used for its document. Call CountCPU before.
func (b *Tab) CPU() time.Duration {
	b.T.Helper()
	for _, m := range Command(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "TaskDuration" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	b.T.Fatal("the browser has no TaskDuration")
	return 0
}

// Prefers makes the browser prefer light or dark pages.
func Prefers(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

// Sized makes the window that large.
func Sized(width, height int64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
		return err
	})
}
