package view

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
	"distlabs/internal/harness/trace"
)

// The page of a failed run opens at the time when the rule broke, says what broke, and draws something.
func TestPageShowsTheBrokenRule(t *testing.T) {
	run := badElection(t, 3)
	b := open(t, pageOf(t, run), "")
	b.Settle()
	require.Contains(t, browser.Eval[string](b, `document.querySelector("#failure h2").textContent`), "two leaders in term")
	require.Contains(t, browser.Eval[string](b, `document.querySelector("#failure").innerText`), "at most one leader per term (Raft §5.2)")
	at := browser.Eval[int64](b, `run.app.selected.at`)
	require.EqualValues(t, run.Header.Violation.At, at, "the selected step")
	require.Regexp(t, `^n\d noted role = leader`, browser.Eval[string](b, `document.querySelector("#detail .sentence").textContent`))
	require.Equal(t, 2, browser.Eval[int](b, `[...document.querySelectorAll("#state td")].filter((td) => td.textContent === "leader").length`),
		"leaders in the table of states")
	require.Greater(t, browser.Eval[int](b, inked), 1000, "pixels of the diagram that are not background")
	require.GreaterOrEqual(t, browser.Eval[float64](b, `(() => {
		const { rows } = run.app.layout, k = rows.findLastIndex((r) => r.at <= run.app.model.runs[0].broke);
		return rows[k + 1].y - rows[k].y - rows[k].h;
	})()`), 20.0, "room for what broke, below what broke it")
	b.shot("three-light")
	b.Press("c")
	b.shot("three-cone")
	b.Press("t+++++")
	b.shot("three-time")
}

// inked counts pixels of the diagram that are not transparent.
const inked = `(() => {
	const c = run.app.canvas, data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let k = 3; k < data.length; k += 4) if (data[k] > 40) n++;
	return n;
})()`

// Whatever strings a student's program chose, they are text: they make no element, run
// nothing, and cannot reverse or break the text around them.
func TestHostileStringsDoNothing(t *testing.T) {
	page := pageOf(t, hostile(t))
	require.Equal(t, 2, strings.Count(strings.ToLower(string(page)), "</script"), "ends of scripts in the page")
	require.NotContains(t, string(page), "<img")
	b := open(t, page, "#fold=0")
	for _, key := range []string{kb.Home, "c", "h", "t", "t"} {
		b.Press(key)
	}
	for range 30 {
		b.Press(kb.ArrowDown)
	}
	b.Do(chromedp.MouseClickXY(300, 400))
	require.True(t, browser.Eval[bool](b, `window.pwned === undefined`), "a string ran")
	require.Equal(t, 0, browser.Eval[int](b, `document.querySelectorAll("img, iframe, object, embed, [onerror]").length`))
	require.Contains(t, browser.Eval[string](b, `document.querySelector("#failure h2").textContent`), "<img src=x")
	require.False(t, browser.Eval[bool](b, `/[\u202e\u2028\u0000\u001b]/.test(document.body.innerText)`), "control characters on the page")
}

// The scripts never parse text as markup or code; together with the page's policy that is why
// the test above passes.
func TestScriptsMakeNoMarkup(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("on|fetch\(|XMLHttpRequest|import\(`)
	files, err := assets.ReadDir("assets")
	require.NoError(t, err)
	listed := map[string]bool{"page.html": true, "page.css": true}
	for _, name := range scripts {
		listed[name] = true
	}
	for _, f := range files {
		require.True(t, listed[f.Name()], "%s is in no page", f.Name())
		text, err := assets.ReadFile("assets/" + f.Name())
		require.NoError(t, err)
		require.Empty(t, forbidden.FindString(string(text)), f.Name())
	}
}

// Everything can be done from the keyboard.
func TestKeyboard(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "")
	step := func() int { return browser.Eval[int](b, `run.app.selected ? run.app.selected.n : -1`) }
	kind := func() string { return browser.Eval[string](b, `run.app.selected.kind`) }

	broke := step()
	b.Press(kb.Home)
	require.Equal(t, 0, step())
	b.Press(kb.ArrowDown)
	b.Press("j")
	second := step()
	b.Press("k")
	b.Press(kb.ArrowUp)
	require.Equal(t, 0, step())
	require.Greater(t, second, 1)
	b.Press("f")
	require.True(t, browser.Eval[bool](b, `run.app.selected.fault`))
	b.Press("v")
	require.Equal(t, broke, step())

	// Along a message and back.
	for kind() != "sent" {
		b.Press(kb.ArrowUp)
	}
	sent := step()
	b.Press(kb.ArrowRight)
	require.Contains(t, []string{"delivered", "lost"}, kind())
	b.Press(kb.ArrowLeft)
	require.Equal(t, sent, step())

	// The same node.
	node := browser.Eval[int](b, `run.app.selected.node`)
	b.Press("n")
	require.Greater(t, step(), sent)
	require.Equal(t, node, browser.Eval[int](b, `run.app.selected.node`))

	b.Press(kb.Enter)
	require.True(t, browser.Eval[bool](b, `run.app.cone !== null`))
	b.Press(kb.Escape)
	require.True(t, browser.Eval[bool](b, `run.app.cone === null && run.app.selected !== null`))
	b.Press(kb.Escape)
	require.Equal(t, -1, step())
	b.Press("?")
	require.True(t, browser.Eval[bool](b, `document.getElementById("help").open`))
	b.Press(kb.Escape)
	require.False(t, browser.Eval[bool](b, `document.getElementById("help").open`))
	b.Press("/")
	require.Equal(t, "text", browser.Eval[string](b, `document.activeElement.id`))
	b.Press("j") // goes into the field, and is no command
	require.Regexp(t, "j$", browser.Eval[string](b, `document.getElementById("text").value`))
	require.Equal(t, -1, step())
}

// The scale goes from the whole run to microseconds and keeps the selected event in view.
func TestZoom(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "")
	seen := func() bool {
		return browser.Eval[bool](b, `(() => { const y = rowPlace(); return y >= 0 && y <= run.app.height; function rowPlace() { return run.app.placeOf(run.app.selected) - run.app.top; } })()`)
	}
	b.Press("0")
	require.True(t, browser.Eval[bool](b, `run.app.layout.height * run.app.zoom <= run.app.height + 100`), "the whole run is in the window")
	require.True(t, seen())
	b.Press("t")
	for range 45 {
		b.Press("+")
	}
	require.True(t, seen())
	require.GreaterOrEqual(t, browser.Eval[float64](b, `run.app.perNs * 1000`), 10.0, "pixels a microsecond")
	b.shot("three-micro")
	for range 60 {
		b.Press("-")
	}
	require.True(t, seen())
	require.True(t, browser.Eval[bool](b, `run.app.model.end * run.app.perNs <= run.app.height`), "the whole run is in the window")
	b.shot("three-all")
}

// Filters by text, node, kind and message show what they say, and a message whole or not at all.
func TestFilters(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 5)), "#fold=0")
	shown := func(test string) int {
		return browser.Eval[int](b, `run.app.items.flatMap((i) => i.burst ? i.burst.steps : i.step ? [i.step] : []).filter((s) => `+test+`).length`)
	}
	all := shown("true")
	require.Equal(t, browser.Eval[int](b, `run.app.model.steps.filter((s) => !s.ends).length`), all)

	b.Do(chromedp.Focus("#text"))
	b.Press("RequestVote granted:false")
	// The filter waits until nobody types any more: on a busy machine it may find half of the text first.
	require.Eventually(t, func() bool { return browser.Eval[string](b, `run.app.filter.text`) == "RequestVote granted:false" }, 20*time.Second, 20*time.Millisecond)
	require.Less(t, shown("true"), all)
	require.Positive(t, shown("true"))
	require.Zero(t, shown(`!s.journey || s.method !== "RequestVote" || !s.journey.steps.some((x) => /Granted":false/.test(x.body))`))
	require.Equal(t, shown(`s.kind === "sent"`), browser.Eval[int](b, `new Set(run.app.items.filter((i) => i.step).map((i) => i.step.msg)).size`), "messages without their send")
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { const f = document.getElementById("text"); f.value = ""; f.dispatchEvent(new Event("input")); })()`))
	require.Eventually(t, func() bool { return shown("true") == all }, 20*time.Second, 20*time.Millisecond)

	click := func(selector string) { b.Do(chromedp.Click(selector)) }
	click(`#nodes [data-value="2"]`)
	require.Positive(t, shown("true"))
	require.Zero(t, shown(`(s.node || s.msg) && ![s.node, s.from, s.to].includes(2)`))
	require.Equal(t, "true", browser.Eval[string](b, `document.querySelector('#nodes [data-value="2"]').getAttribute("aria-pressed")`))
	click(`#nodes [data-value="2"]`)
	click(`#groups [data-value="messages"]`)
	require.Zero(t, shown(`s.kind === "sent" || s.kind === "delivered"`))
	require.Positive(t, shown(`s.kind === "noted"`))
	click(`#groups [data-value="messages"]`)
	click(`#methods [data-value="AppendEntries"]`)
	require.Zero(t, shown(`s.method === "AppendEntries"`))
	require.Positive(t, shown(`s.method === "RequestVote"`))
	click(`#methods [data-value="AppendEntries"]`)
	require.Equal(t, all, shown("true"))
}

// Heartbeats are folded by default, and a click on a fold opens it.
func TestRoutineIsFolded(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 5)), "")
	count := `run.app.items.filter((i) => i.step).length`
	folded := browser.Eval[int](b, count)
	folds := browser.Eval[int](b, `run.app.items.filter((i) => i.fold).length`)
	require.Positive(t, folds)
	require.Regexp(t, `^… \d+ × AppendEntries`, browser.Eval[string](b, `document.querySelector("#list .fold .what").textContent`))
	// One that is in sight: to scroll the list makes its options again.
	b.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("list").scrollTop = 22 * (run.app.items.findIndex((i) => i.fold) - 3)`))
	b.Settle()
	place := browser.Eval[[]float64](b, `(() => {
		const list = document.getElementById("list").getBoundingClientRect();
		const seen = [...document.querySelectorAll("#list .fold")].map((el) => el.getBoundingClientRect()).find((r) => r.top >= list.top && r.bottom <= list.bottom);
		return [seen.left + 90, seen.top + seen.height / 2];
	})()`)
	b.Do(chromedp.MouseClickXY(place[0], place[1]))
	opened := browser.Eval[int](b, count)
	require.Greater(t, opened, folded)
	b.Press(kb.Home)
	b.Press("o") // from the keyboard
	require.Greater(t, browser.Eval[int](b, count), opened)
	require.True(t, browser.Eval[bool](b, `run.app.selected.routine`), "what was folded is selected")
	opened = browser.Eval[int](b, count)
	b.Press("h")
	require.Greater(t, browser.Eval[int](b, count), opened)
	b.Press("h")
	require.Equal(t, folded, browser.Eval[int](b, count))
}

// The address carries the position: opened again, the page stands where it stood.
func TestFragment(t *testing.T) {
	html := pageOf(t, badElection(t, 3))
	b := open(t, html, "#step=40&cause=1&nodes=1,2&text=term&fold=0&hide=disk&without=AppendEntries")
	require.Equal(t, 39, browser.Eval[int](b, `run.app.selected.n`))
	require.True(t, browser.Eval[bool](b, `run.app.cone !== null`))
	b.Press("t")
	b.Press("+")
	b.Press(kb.ArrowDown)
	state := `JSON.stringify([run.app.selected.n, run.app.cone !== null, run.app.scale, run.app.perNs.toPrecision(4), [...run.app.filter.nodes],
		run.app.filter.text, run.app.filter.fold, [...run.app.filter.off], [...run.app.filter.methodsOff], run.app.items.length])`
	want, fragment := browser.Eval[string](b, state), browser.Eval[string](b, `location.hash`)
	again := open(t, html, fragment)
	require.Equal(t, want, browser.Eval[string](again, state), fragment)

	// Nonsense in the address does no harm; following a link within the page works.
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#step=99999&scale=-1&zoom=NaN&nodes=x,,-3&hide=nothing&at=Infinity"`))
	b.Settle()
	b.Do(chromedp.Evaluate[chromedp.Void](`location.hash = "#step=7"`))
	require.Eventually(t, func() bool { return browser.Eval[int](b, `run.app.selected ? run.app.selected.n : -1`) == 6 }, 20*time.Second, 20*time.Millisecond)
}

// What lights up is the causal past and future as package trace has it, for every step of runs with every kind of event.
func TestCausalHighlight(t *testing.T) {
	for name, run := range map[string]*trace.Run{"small": small(t), "hostile": hostile(t), "election": badElection(t, 3), "kinds": everyKind(t)} {
		t.Run(name, func(t *testing.T) {
			b := open(t, pageOf(t, run), "")
			got := browser.Eval[[]string](b, `run.app.model.steps.map((s) => run.coneOf(String(s.n + 1)).join(""))`)
			require.Len(t, got, len(run.Steps))
			for i := range run.Steps {
				want := []byte(strings.Repeat("0", len(run.Steps)))
				for _, k := range run.Causes(i) {
					want[k] = '1'
				}
				for _, k := range run.Effects(i) {
					want[k] = '3'
				}
				want[i] = '2'
				require.Equal(t, string(want), got[i], "step %d: %s", i, sentence(&run.Steps[i]))
			}
		})
	}
}

// The times that a failure names lead to their steps: to the node's own step, if the time is of several.
func TestMomentsOfAFailure(t *testing.T) {
	run := badElection(t, 3)
	b := open(t, pageOf(t, run), "#step=1")
	type moment struct {
		Text, Name string
		At         int64
		Node       int
	}
	moments := browser.Eval[[]moment](b, `[...document.querySelectorAll("#failure h2 .moment")].map((el) => {
		el.click();
		const s = run.app.selected;
		return { Text: el.textContent, Name: s.name, At: s.clock, Node: s.node };
	})`)
	require.Len(t, moments, 2)
	for k, m := range moments {
		require.Equal(t, m.Text, trace.Seconds(time.Duration(m.At)), "moment %d", k)
		require.Equal(t, "role", m.Name, "of all that happened then, what changed")
	}
	require.NotEqual(t, moments[0].Node, moments[1].Node)
	require.Equal(t, browser.Eval[string](b, `document.querySelector("#failure h2").textContent`), "✗ "+failureText(t, run), "the sentence is what it was")
	require.Positive(t, browser.Eval[int](b, `document.querySelectorAll("#failure details .moment").length`), "the faults have theirs")
}

// failureText is the sentence of a run's failure.
func failureText(t *testing.T, run *trace.Run) string {
	f, _ := failureOf(run)
	require.NotNil(t, f)
	return f.What
}

// A click on an event selects it and lights up its past and future; the rest of the list fades.
func TestClick(t *testing.T) {
	b := open(t, pageOf(t, badElection(t, 3)), "")
	b.Settle()
	place := browser.Eval[[]float64](b, `(() => {
		const { app } = run, box = app.canvas.getBoundingClientRect();
		const s = app.items.map((i) => i.step).filter((s) => s && s.kind === "delivered" && app.placeOf(s) > app.top + 60 && app.placeOf(s) < app.top + app.height - 60)[0];
		return [box.left + app.laneOf(s), box.top + app.placeOf(s) - app.top, s.n];
	})()`)
	b.Do(chromedp.MouseClickXY(place[0], place[1]))
	require.InDelta(t, place[2], browser.Eval[float64](b, `run.app.selected.n`), 6, "the selected step is one of that dot's")
	require.Positive(t, browser.Eval[int](b, `document.querySelectorAll("#list .item.past, #list .item.future").length`))
	require.Positive(t, browser.Eval[int](b, `[...run.app.cone].filter((c) => c === 0).length`))
	b.Do(chromedp.MouseEvent(chromedp.MouseMoved, place[0], place[1]))
	require.False(t, browser.Eval[bool](b, `run.app.tip.hidden`), "the tip is shown")
	b.shot("tip")
}

// A send shows the line of the program that made it.
func TestSourceLine(t *testing.T) {
	run := badElection(t, 3)
	b := open(t, pageOf(t, run), "")
	step := 0
	for i := range run.Steps {
		if run.Steps[i].Source != "" {
			step = i + 1
			break
		}
	}
	require.Positive(t, step)
	b.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.hash = "#step=%d"`, step)))
	require.Eventually(t, func() bool {
		return browser.Eval[bool](b, `Boolean(document.querySelector(".code.here"))`)
	}, 20*time.Second, 20*time.Millisecond)
	require.Contains(t, browser.Eval[string](b, `document.querySelector(".code.here").textContent`), "labrpc.Call[R]")
	require.Contains(t, browser.Eval[string](b, `document.querySelector(".source").textContent`), "view/sample_test.go:")
}
