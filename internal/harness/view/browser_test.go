package view

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
	"distlabs/internal/rotation"
)

func TestMain(m *testing.M) { os.Exit(browser.Run(m)) }

// A tab is a page that a test has opened.
type tab struct {
	*browser.Tab
	path string
}

// open writes the page to a file and opens it. It may ask for nothing but itself. The pages have their turn every second day (package rotation), those of
// package play on the others.
func open(t testing.TB, html []byte, fragment string, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	rotation.Turn(t, 1, 2, "internal/harness/view")
	path := filepath.Join(t.TempDir(), "run.html")
	require.NoError(t, os.WriteFile(path, html, 0o644))
	b := &tab{browser.Open(t, func(url string) bool { return strings.HasPrefix(url, "file://"+path) }), path}
	b.Do(append(before, chromedp.Navigate("file://"+path+fragment))...)
	b.Ready()
	return b
}

// reopen opens and draws the page once more, and returns the processor time of the new document.
func (b *tab) reopen() time.Duration {
	b.T.Helper()
	b.Do(chromedp.Navigate("file://"+b.path), chromedp.WaitReady(`html[data-ready="yes"]`))
	b.Settle()
	return b.CPU()
}

// shot saves a picture for a person to look at, and the page itself.
func (b *tab) shot(name string) {
	b.T.Helper()
	b.Shot(name)
	html, err := os.ReadFile(b.path)
	require.NoError(b.T, err)
	b.Save(name+".html", html)
}

// pageOf is the page of a run, with the sources of this package.
func pageOf(t testing.TB, run *trace.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, HTML(&b, run, Options{Source: SourceBeside(".")}))
	return b.Bytes()
}
