package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A tab is a page in a browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// openPage opens an address in Chromium. An error on the page fails the test.
func openPage(t *testing.T, url string) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no chromium, chromium-browser or google-chrome on PATH: the page is not tested")
	}
	opts := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1440, 900)}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		cancel()
		stop()
	})
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx))
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if e.ExceptionDetails.Exception != nil {
				text += ": " + e.ExceptionDetails.Exception.Description
			}
			t.Errorf("an error on the page: %s", text)
		case *log.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "422") { // a command that was refused, which the test asks for
				t.Errorf("an entry in the page's log: %s", e.Entry.Text)
			}
		}
	}))
	command(b, log.Enable, cdp.Empty{})
	command(b, runtime.Enable, cdp.Empty{})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(url)))
	return b
}

func command[P, R any](b *tab, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, cmd, params)
	require.NoError(b.t, err)
	return result
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return out
}

// until waits for an expression to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(wait); !eval[bool](b, expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.shot("failed")
			b.t.Fatalf("this did not become true within %v: %s", wait, expression)
		}
	}
}

// shot saves a picture for a person to look at, if LIVE_SHOTS names a folder.
func (b *tab) shot(name string) {
	if dir := os.Getenv("LIVE_SHOTS"); dir != "" {
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
	}
}

// watchPage: the page of a running store shows its servers and what they send, and its buttons act on them.
func watchPage(t *testing.T, url string) {
	b := openPage(t, url)
	b.until(`document.documentElement.dataset.ready === "yes" && live.app !== null`)
	row := func(n int) string { return fmt.Sprintf(`live.rows[%d].element.textContent`, n-1) }
	click := func(name string) {
		t.Helper()
		require.True(t, eval[bool](b, fmt.Sprintf(`(() => { const el = document.querySelector('[aria-label=%[1]q]') || document.getElementById(%[1]q); if (!el || el.disabled) return false; el.click(); return true; })()`, name)), name)
	}
	b.until(`live.rows.some((r) => r.cells.some((c) => c.textContent === "leader"))`)
	// Messages of the servers, with the arrows between the lanes, and what the nodes have noted.
	b.until(`live.app.model.lanes.length === 6 && live.app.model.arrows.some((a) => a.end && a.sent.method === "AppendEntries")`)
	b.until(`live.app.model.runs[0].role !== null && live.app.model.runs[0].role.name === "role" && document.querySelector("#state td.role") !== null`)
	b.shot("page")

	click("kill -9 n1")
	b.until(row(1) + `.includes("down")`)
	b.until(`live.app.model.steps.some((s) => s.kind === "crashed" && s.node === 1)`)
	require.True(t, eval[bool](b, `document.querySelector('[aria-label="kill -9 n1"]').disabled`))
	click("restart n1")
	b.until(row(1) + `.includes("up")`)
	b.until(`live.app.model.steps.some((s) => s.kind === "started" && s.node === 1 && s.inc === 2)`)
	click("pause n2")
	b.until(row(2) + `.includes("paused")`)
	click("continue n2")
	click("cut n1 to n3")
	b.until(`document.querySelector('[aria-label="cut n1 to n3"]').getAttribute("aria-pressed") === "true" && ` + row(1) + `.includes("does not reach [3]")`)
	b.until(`live.app.model.runs[0].epochs.some((e) => e.cut.has("1>3") && !e.cut.has("3>1"))`)
	b.shot("cut")
	click("Heal all links")
	b.until(`!` + row(1) + `.includes("does not reach")`)
	require.True(t, eval[bool](b, `(live.act("kill 7"), true)`))
	b.until(`document.getElementById("trouble").textContent.includes("no server")`)

	// A frozen diagram stands still, and the table goes on.
	click("freeze")
	end := eval[float64](b, `live.app.model.end`)
	version := eval[int](b, `live.version`)
	b.until(fmt.Sprintf(`live.version > %d`, version))
	require.Equal(t, end, eval[float64](b, `live.app.model.end`))
	click("freeze")
	b.until(fmt.Sprintf(`live.app.model.end > %f`, end))

	// A small screen is not narrower than the page, and shows every button; every control has a name.
	command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true})
	b.until(`document.documentElement.scrollWidth <= 390 && [...document.querySelectorAll("#servers .deeds > button")].every((el) => el.getBoundingClientRect().right <= 390)`)
	b.shot("small")
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	b.shot("small-dark")
	command(b, accessibility.Enable, cdp.Empty{})
	named := 0
	for _, n := range command(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if !n.Ignored && n.Role != nil && strings.Trim(string(n.Role.Value), `"`) == "button" {
			named++
			require.NotNil(t, n.Name)
			require.NotEmpty(t, strings.Trim(string(n.Name.Value), `"`))
		}
	}
	require.Greater(t, named, 20)
}
