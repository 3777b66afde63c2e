package live

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
)

// watchPage: the page of a running store shows its servers and what they send, and its buttons act on them.
func watchPage(t *testing.T, url string) {
	address, _, _ := strings.Cut(url, "#")
	b := browser.Open(t, func(request string) bool { return strings.HasPrefix(request, address) })
	until := func(expression string) {
		t.Helper()
		b.Until(expression, expression)
	}
	b.Forgives = func(blame string) bool { return strings.Contains(blame, "a status of 422") } // a command that is refused, which this test asks for
	b.Do(chromedp.Navigate(url))
	until(`document.documentElement.dataset.ready === "yes" && live.app !== null`)
	row := func(n int) string { return fmt.Sprintf(`live.rows[%d].element.textContent`, n-1) }
	click := func(name string) {
		t.Helper()
		require.True(t, browser.Eval[bool](b, fmt.Sprintf(`(() => { const el = document.querySelector('[aria-label=%[1]q]') || document.getElementById(%[1]q); if (!el || el.disabled) return false; el.click(); return true; })()`, name)), name)
	}
	until(`live.rows.some((r) => r.cells.some((c) => c.textContent === "leader"))`)
	// Messages of the servers, with the arrows between the lanes, and what the nodes have noted.
	until(`live.app.model.lanes.length === 6 && live.app.model.arrows.some((a) => a.end && a.sent.method === "AppendEntries")`)
	until(`live.app.model.runs[0].role !== null && live.app.model.runs[0].role.name === "role" && document.querySelector("#state td.role") !== null`)
	b.Shot("page")

	click("kill -9 n1")
	until(row(1) + `.includes("down")`)
	until(`live.app.model.steps.some((s) => s.kind === "crashed" && s.node === 1)`)
	require.True(t, browser.Eval[bool](b, `document.querySelector('[aria-label="kill -9 n1"]').disabled`))
	click("restart n1")
	until(row(1) + `.includes("up")`)
	until(`live.app.model.steps.some((s) => s.kind === "started" && s.node === 1 && s.inc === 2)`)
	click("pause n2")
	until(row(2) + `.includes("paused")`)
	click("continue n2")
	click("cut n1 to n3")
	until(`document.querySelector('[aria-label="cut n1 to n3"]').getAttribute("aria-pressed") === "true" && ` + row(1) + `.includes("does not reach [3]")`)
	until(`live.app.model.runs[0].epochs.some((e) => e.cut.has("1>3") && !e.cut.has("3>1"))`)
	b.Shot("cut")
	click("Heal all links")
	until(`!` + row(1) + `.includes("does not reach")`)
	require.True(t, browser.Eval[bool](b, `(live.act("kill 7"), true)`))
	until(`document.getElementById("trouble").textContent.includes("no server")`)

	// A frozen diagram stands still, and the table goes on.
	click("freeze")
	end := browser.Eval[float64](b, `live.app.model.end`)
	version := browser.Eval[int](b, `live.version`)
	until(fmt.Sprintf(`live.version > %d`, version))
	require.Equal(t, end, browser.Eval[float64](b, `live.app.model.end`))
	click("freeze")
	until(fmt.Sprintf(`live.app.model.end > %f`, end))

	// A small screen is not narrower than the page, and shows every button; every control has a name.
	browser.Command(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true})
	until(`document.documentElement.scrollWidth <= 390 && [...document.querySelectorAll("#servers .deeds > button")].every((el) => el.getBoundingClientRect().right <= 390)`)
	b.Shot("small")
	browser.Command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	b.Shot("small-dark")
	browser.Command(b, accessibility.Enable, cdp.Empty{})
	named := 0
	for _, n := range browser.Command(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if !n.Ignored && n.Role != nil && strings.Trim(string(n.Role.Value), `"`) == "button" {
			named++
			require.NotNil(t, n.Name)
			require.NotEmpty(t, strings.Trim(string(n.Name.Value), `"`))
		}
	}
	require.Greater(t, named, 20)
}
