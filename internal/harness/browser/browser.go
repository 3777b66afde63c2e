// Package browser is for tests of pages: one headless Chromium for all tests of a process, and tabs in it. A page in a tab must
// raise no error, open no dialog, and ask for nothing except what is its own.
package browser

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// chromium is the one browser.
var chromium struct {
	once sync.Once
	ctx  context.Context
	why  string // why there is none
	end  func()
}

// start starts Chromium once, and skips the test where there is none.
func start(t testing.TB) context.Context {
	t.Helper()
	chromium.once.Do(func() {
		path := find()
		if path == "" {
			chromium.why = "no chromium-headless-shell, chromium or google-chrome on PATH: the page is not tested"
			return
		}
		dir, err := os.MkdirTemp("", "browser-")
		if err != nil {
			chromium.why = err.Error()
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
			chromium.why = "chromium does not start: " + err.Error()
		}
		chromium.ctx = ctx
		chromium.end = func() {
			cancel()
			stop()
			_ = os.RemoveAll(dir)
		}
	})
	if chromium.why != "" {
		t.Skip(chromium.why)
	}
	return chromium.ctx
}

// find looks for a browser. The headless shell is the same browser without windows, and takes a third of the processor time.
func find() string {
	for _, name := range []string{"chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Run runs a package's tests, for its TestMain, ends the browser, and returns the exit status.
func Run(tests interface{ Run() int }) int {
	code := tests.Run()
	if chromium.end != nil {
		chromium.end()
	}
	return code
}
