package play

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/browser"
	"distlabs/internal/rotation"
)

// A step is taken, taken back, and taken again; a step of another sort after it makes a branch, to which one can return.
func TestStepsBackAndBranches(t *testing.T) {
	b := again(t, "")
	require.Equal(t, 0, b.depth())
	b.press("w", "w", "1")
	require.Equal(t, 3, b.depth())
	require.Equal(t, "w.w.d0", browser.Eval[string](b, `play.schedule()`))
	events := browser.Eval[int](b, `play.game.events.count`)
	b.press("b", "b")
	require.Equal(t, "w", browser.Eval[string](b, `play.schedule()`))
	require.Less(t, browser.Eval[int](b, `play.game.events.count`), events)
	b.press("x")
	require.Equal(t, "w.x0", browser.Eval[string](b, `play.schedule()`))
	b.Shot("branch")
	b.press("b", "f")
	require.Equal(t, "w.x0", browser.Eval[string](b, `play.schedule()`), "forward goes where one was last")
	require.Equal(t, "or time passes", browser.Eval[string](b, `document.querySelector("#history .branch").textContent`))
	b.Do(chromedp.Click("#history .branch button"))
	b.idle()
	require.Equal(t, "w.w", browser.Eval[string](b, `play.schedule()`))
	b.press("f")
	require.Equal(t, events, browser.Eval[int](b, `play.game.events.count`))
	require.Equal(t, "#s=w.w.d0", browser.Eval[string](b, `location.hash`))
}

// The address holds the schedule: another tab opens the same events.
func TestAddressOpensTheSchedule(t *testing.T) {
	const schedule = "w.d1.w.l1-3.k2.w.r2.p1.w"
	b := open(t, "4C.html#s="+schedule)
	require.Equal(t, schedule, browser.Eval[string](b, `play.schedule()`))
	events := browser.Eval[string](b, `JSON.stringify(play.game.app.model.steps.map((s) => [s.kind, s.node, s.clock, s.body]))`)
	b = again(t, "")
	for token := range strings.SplitSeq(schedule, ".") {
		require.True(t, browser.Await[bool](b, fmt.Sprintf(`play.take(%q)`, token)), token)
	}
	require.Equal(t, events, browser.Eval[string](b, `JSON.stringify(play.game.app.model.steps.map((s) => [s.kind, s.node, s.clock, s.body]))`))
	require.Equal(t, "n2 crashes and stays down", browser.Eval[string](b, `play.game.at.parent.parent.parent.parent.says`))

	// However long a run is, a step builds only what it changes on the page.
	b = again(t, "#s="+strings.TrimSuffix(strings.Repeat("w.", 300), "."))
	require.Equal(t, 300, b.depth())
	browser.Eval[bool](b, `((play.game.touched = 0), true)`)
	b.press("w", "b")
	require.LessOrEqual(t, browser.Eval[int](b, `play.game.touched`), 60, "rows that two steps have built or removed")
	require.Positive(t, browser.Eval[int](b, `play.game.touched`))

	b = again(t, "#s=w.d0.d99.w")
	require.Equal(t, 2, b.depth())
	require.Contains(t, browser.Eval[string](b, `document.getElementById("status").textContent`), "only 2 of 4 steps are possible")
	b = open(t, "4C.html#s=nonsense")
	require.Equal(t, 0, b.depth())
}

// A schedule that somebody has printed is opened from the field; one of another test, and one that is none, are refused with the reason.
func TestPasteASchedule(t *testing.T) {
	b := again(t, "")
	paste := func(text string) {
		t.Helper()
		browser.Eval[bool](b, fmt.Sprintf(`(() => { const f = document.querySelector("#share input"); f.value = %q; f.dispatchEvent(new Event("input")); f.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true })); return true; })()`, text))
		b.idle()
	}
	status := func() string { return browser.Eval[string](b, `document.getElementById("status").textContent`) }
	paste("LABS_SEED=3 LABS_SCHEDULE=w.d1.w go test -race -run 'TestAnySchedule4C$' ./labs/04-election")
	b.Until(`play.game.at.depth === 3`, "the schedule is open")
	require.Equal(t, 3, browser.Eval[int](b, `play.game.seed`))
	require.Contains(t, browser.Eval[string](b, `location.hash`), "seed=3")
	paste("LABS_SEED=3 LABS_SCHEDULE=w go test -race -run 'TestPlay5C$' ./labs/05-replication")
	b.Until(`document.getElementById("status").textContent.includes("TestPlay5C")`, "the page refuses it")
	require.Equal(t, 3, b.depth())
	paste("w.d0.q7")
	b.Until(`document.getElementById("status").textContent.includes("step 3 of the schedule")`, "the page refuses it")
	require.Contains(t, status(), `"q7"`)
	paste("w.w")
	b.Until(`play.game.at.depth === 2`, "the schedule is open")
	require.Equal(t, 1, browser.Eval[int](b, `play.game.seed`))
}

func (b *tab) choose(puzzle string) {
	b.T.Helper()
	b.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => { const s = document.getElementById("puzzle-choice"); s.value = %q; s.dispatchEvent(new Event("change")); })()`, puzzle)))
}

func (b *tab) solved() string {
	b.T.Helper()
	return browser.Eval[string](b, `(document.querySelector("#puzzle .solved") || { textContent: "" }).textContent`)
}

// The split vote is solved by clicks alone.
func TestSolveByClicks(t *testing.T) {
	b := again(t, "")
	b.choose("split-vote")
	b.click("Hint 1 of 3")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("puzzle-text").textContent`), "A candidate votes for itself")
	b.click("Let time pass w")
	b.click("Let time pass w")
	require.Empty(t, b.solved())
	b.click("Let time pass w")
	require.Equal(t, "✓ Solved in 3 steps.", b.solved())
	b.Shot("solved")
	require.Contains(t, browser.Eval[string](b, `location.hash`), "puzzle=split-vote")
}

// Two leaders at one time, by keys alone: Tab is not needed.
func TestSolveByKeys(t *testing.T) {
	b := again(t, "#puzzle=two-leaders")
	b.press("w", "2", "w", "w", "5", kb.ArrowDown, kb.ArrowDown, kb.ArrowDown, kb.ArrowDown, kb.ArrowDown)
	require.Empty(t, b.solved())
	require.Contains(t, browser.Eval[string](b, `document.getElementById("status").textContent`), "6 of ")
	b.press("d", "2")
	require.Equal(t, "✓ Solved in 7 steps.", b.solved())
	require.Equal(t, 2, browser.Eval[int](b, `[...document.querySelectorAll("#state td.role")].filter((el) => el.textContent === "leader").length`))
	b.Shot("two-leaders")
}

// A vote survives a crash, by clicks on the node's own button.
func TestSolveWithACrash(t *testing.T) {
	b := again(t, "#puzzle=memory")
	b.click("Let time pass w")
	b.click("deliver n3→n2 RequestVote")
	b.click("n2: restart")
	b.click("Let time pass w")
	require.Empty(t, b.solved())
	b.click("deliver n1→n2 RequestVote")
	require.Equal(t, "✓ Solved in 5 steps.", b.solved())
}

// A puzzle that no schedule solves is marked as such once the person has chosen the rule that forbids it.
func TestImpossiblePuzzle(t *testing.T) {
	b := again(t, "#puzzle=twins")
	rule := func(n int) {
		b.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => { document.querySelector("#puzzle details").open = true; document.querySelectorAll("#puzzle input")[%d].click(); })()`, n)))
	}
	rule(0)
	require.Contains(t, browser.Eval[string](b, `document.getElementById("puzzle-text").textContent`), "That rule does not forbid it")
	rule(1)
	require.Contains(t, b.solved(), "no schedule reaches this goal")
	b.press("w")
	require.Equal(t, 1, b.depth())
}

// A shown solution solves its puzzle on the page, too. One page and one puzzle of each lab stand for the others, which are of the same program, and
// a third of the labs is opened a day: the solutions of all parts are played without a browser, below.
func TestShownSolutionsSolve(t *testing.T) {
	for i, part := range onePartOfEachLab(t) {
		if !rotation.Today(i, 3) {
			continue
		}
		b := open(t, part+".html")
		id := browser.Eval[string](b, `play.game.about.puzzles.find((p) => p.solution).id`)
		b.choose(id)
		hints := browser.Eval[int](b, `play.game.puzzle.hints.length`)
		for k := range hints {
			b.click(fmt.Sprintf("Hint %d of %d", k+1, hints))
		}
		b.click("Show a solution")
		b.Until(`play.game.at.depth > 0 && !play.game.busy`, "the solution is played")
		require.Contains(t, b.solved(), "✓ Solved in", "%s, puzzle %s", part, id)
		b.press("b")
		require.Empty(t, b.solved(), "%s, puzzle %s, one step before", part, id)
	}
}

// onePartOfEachLab are the parts whose pages are opened: the last one of each lab, which has the most to it.
func onePartOfEachLab(t *testing.T) (parts []string) {
	siteDir(t)
	c, _ := courseAndBuilder(t)
	all, err := c.Select()
	require.NoError(t, err)
	for _, s := range withScenario(all) {
		parts = append(parts, s.Parts[len(s.Parts)-1].ID)
	}
	return parts
}

// What a person has played is the same run in go test, to the byte.
func TestBranchReplaysInGoTest(t *testing.T) {
	b := again(t, "")
	b.press("w", "w", "1", "x", "w", "d", "u", "b", "b", "w", "1")
	b.click("n1: crash")
	b.press("w", "w", "2")
	b.click("Download the record")
	b.Until(`play.game.record !== ""`, "the record is there")
	record := browser.Eval[string](b, `play.game.record`)
	shown := browser.Eval[string](b, `document.querySelector("#share code").textContent`)
	require.Regexp(t, `^LABS_SEED=1 LABS_SCHEDULE=\S+ go test -race -run 'TestAnySchedule4C\$' \./labs/04-election$`, shown)

	binary, dir := nativeBinary(t, "04")
	traces := t.TempDir()
	cmd := exec.Command(binary, "-test.run=^TestAnySchedule4C$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LABS_DIRECT=1", "LABS_RECORD=1", "LABS_TRACE_DIR="+traces)
	cmd.Env = append(cmd.Env, strings.Fields(shown)[:2]...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	file, err := os.ReadFile(filepath.Join(traces, "TestAnySchedule4C-1.jsonl"))
	require.NoError(t, err)
	require.Equal(t, string(file), record)
	require.Greater(t, strings.Count(record, "\n"), 30)
}

// nativeBinary is the reference's test binary of a lab, for this machine, and the folder to run it in. The tests share it.
func nativeBinary(t *testing.T, name string) (binary, dir string) {
	t.Helper()
	if _, known := shared.natives[name]; !known {
		w, lab := build(t, name, submission.Source{Kind: course.Solution})
		shared.natives[name] = [2]string{lab.Binary, filepath.Join(w.Root, "labs", lab.ID)}
	}
	return shared.natives[name][0], shared.natives[name][1]
}

// binaryOf is nativeBinary of any source.
func binaryOf(t *testing.T, name string, source submission.Source) (binary, dir string) {
	t.Helper()
	w, lab := build(t, name, source)
	t.Cleanup(w.Remove)
	return lab.Binary, filepath.Join(w.Root, "labs", lab.ID)
}

// build builds the test binary of a lab, in a workspace that goes with the builder if nothing removes it before.
func build(t *testing.T, name string, source submission.Source) (*workspace.Workspace, *workspace.Lab) {
	t.Helper()
	c, builder := courseAndBuilder(t)
	selected, err := c.Select(name)
	require.NoError(t, err)
	w, err := builder.Assemble(source, selected)
	require.NoError(t, err)
	w.Plain = true
	lab := w.Lab(selected[0].Lab.ID)
	require.NoError(t, w.Build(t.Context(), lab))
	require.Empty(t, lab.Refused)
	return w, lab
}

// Every puzzle's solution reaches its goal with the reference, and not before its last step; and whatever a person does to the reference, no
// rule breaks. Each day has half of the labs, and a quarter for the latter (package rotation). This needs no browser.
func TestReferencesCanBePlayed(t *testing.T) {
	c, _ := courseAndBuilder(t)
	all, err := c.Select()
	require.NoError(t, err)
	scenes := withScenario(all)
	require.NotEmpty(t, scenes)
	for i, s := range scenes {
		t.Run(s.Lab.ID, func(t *testing.T) {
			rotation.Turn(t, i, 2)
			binary, dir := nativeBinary(t, s.Lab.Number())
			var scenarios []string
			for _, p := range s.Parts {
				scenarios = append(scenarios, p.Scenario)
			}
			games := []string{"solve"}
			if rotation.Today(i, 4) {
				games = append(games, "wander")
			}
			for _, what := range games {
				cmd := exec.Command(binary, "-test.run=^("+strings.Join(scenarios, "|")+")$", "-test.v")
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "LABS_DIRECT=1", "LABS_PLAY="+what)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s", what, out)
				for _, scenario := range scenarios {
					require.Contains(t, string(out), "--- PASS: "+scenario+" ")
				}
			}
		})
	}
}

// A run by itself goes on until what it waits for, and stops when it is told to.
func TestRunByItself(t *testing.T) {
	b := again(t, "")
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { document.getElementById("until").value = "leader"; document.getElementById("speed").value = "0"; })()`))
	b.press("r")
	b.Until(`play.game.auto === null`, "a node leads")
	require.Regexp(t, `^stopped: n\d leads$`, browser.Eval[string](b, `document.getElementById("status").textContent`))
	depth := b.depth()
	require.Positive(t, depth)
	b.Do(chromedp.Evaluate[chromedp.Void](`(() => { document.getElementById("until").value = "stop"; document.getElementById("loss").value = "20"; })()`))
	b.press("r")
	b.Until(fmt.Sprintf(`play.game.at.depth > %d + 20`, depth), "it goes on")
	b.press("r")
	require.True(t, browser.Eval[bool](b, `play.game.auto === null`))
	require.Empty(t, browser.Eval[string](b, `document.querySelector("#failure .failed") ? "failed" : ""`), "the reference breaks no rule")
	b.Shot("ran")
}

// The page has room on a telephone, in both schemes; every control has a name, and text stands out from its ground (WCAG 2.2, 1.4.3).
func TestSmallDarkAndNamed(t *testing.T) {
	b := again(t, "#puzzle=two-leaders&s=w.d1.w.w.d4")
	defer b.Do(browser.Prefers("light"), browser.Sized(1440, 900))
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 390} {
			b.Do(browser.Prefers(scheme), browser.Sized(width, 900))
			b.isReadable(fmt.Sprintf("%s-%d", scheme, width))
		}
	}
}

// isReadable checks that the page fits into the window, that its texts stand out, and that its controls have names.
func (b *tab) isReadable(name string) {
	t := b.T
	t.Helper()
	require.Equal(t, strings.HasPrefix(name, "dark"), browser.Eval[bool](b, `matchMedia("(prefers-color-scheme: dark)").matches`))
	require.LessOrEqual(t, browser.Eval[int](b, `document.documentElement.scrollWidth`), browser.Eval[int](b, `innerWidth`), name)
	b.Shot("small-" + name)
	worst := browser.Eval[map[string]any](b, contrastOfTexts)
	require.GreaterOrEqual(t, worst["ratio"].(float64), 4.5, "%s: %v", name, worst["text"])
	if strings.HasPrefix(name, "dark") {
		return // the same controls as in a light page
	}
	browser.Command(b, accessibility.Enable, cdp.Empty{})
	defer browser.Command(b, accessibility.Disable, cdp.Empty{}) // else each later step costs the browser more
	for _, n := range browser.Command(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		switch role := strings.Trim(string(n.Role.Value), `"`); role {
		case "button", "listbox", "image", "searchbox", "toolbar", "complementary", "option", "combobox", "textbox", "link", "radio":
			require.NotNil(t, n.Name, role)
			require.NotEqual(t, `""`, string(n.Name.Value), "the name of a %s (%s)", role, name)
		}
	}
}

// contrastOfTexts is the lowest contrast of a text of the right side with its ground.
const contrastOfTexts = `(() => {
	const ctx = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (css) => { ctx.clearRect(0, 0, 1, 1); ctx.fillStyle = css; ctx.fillRect(0, 0, 1, 1); return [...ctx.getImageData(0, 0, 1, 1).data]; };
	const over = (top, under) => top.slice(0, 3).map((v, k) => (v * top[3] + under[k] * (255 - top[3])) / 255);
	const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const ground = (el) => { const own = rgba(getComputedStyle(el).backgroundColor); return own[3] === 255 || !el.parentElement ? own.slice(0, 3) : over(own, ground(el.parentElement)); };
	let worst = { ratio: 99, text: "" };
	for (const el of document.querySelectorAll("aside *, header *")) {
		const text = [...el.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
		if (!text || el.closest(":disabled") || !el.getClientRects().length) continue;
		const under = ground(el), css = rgba(getComputedStyle(el).color);
		const [x, y] = [light(over(css, under)), light(under)].sort((p, q) => q - p), ratio = (x + 0.05) / (y + 0.05);
		if (ratio < worst.ratio) worst = { ratio, text };
	}
	return worst;
})()`

// What the pages of a site link to, and the pictures that they show, are there.
func TestSiteIsWhole(t *testing.T) {
	dir := siteDir(t)
	pages, err := filepath.Glob(filepath.Join(dir, "*.html"))
	require.NoError(t, err)
	links := regexp.MustCompile(`(?:href|src)="([^"#:]+)(?:#[^"]*)?"`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		found := links.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, found, page)
		for _, link := range found {
			require.FileExists(t, filepath.Join(dir, link[1]), "linked from %s", page)
		}
	}
	c, _ := courseAndBuilder(t)
	for _, lab := range c.Labs {
		text, err := os.ReadFile(filepath.Join(dir, lab.ID+".html"))
		require.NoError(t, err)
		require.Contains(t, string(text), `<h2 id="the-rules">The rules</h2>`, lab.ID)
		require.Contains(t, string(text), ".html\">Play "+lab.Number()[1:], lab.ID)
	}
}

// The first load of a scenario is below 3 MB, and the whole course below 15 MB. Code takes about 2 MB a lab; a library that no scenario needs, or a
// test that is built in, takes it above this.
func TestCodeIsSmall(t *testing.T) {
	files, err := os.ReadDir(siteDir(t))
	require.NoError(t, err)
	course, common, page, code := int64(0), int64(0), int64(0), int64(0)
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		course += info.Size()
		switch name := file.Name(); {
		case strings.HasSuffix(name, ".wasm.gz"):
			require.Less(t, info.Size(), int64(2_300_000), name)
			code = max(code, info.Size())
		case filepath.Ext(name) == ".html":
			page = max(page, info.Size())
		case filepath.Ext(name) != ".svg" || name == "icon.svg":
			common += info.Size()
		}
	}
	require.Positive(t, code)
	require.Positive(t, common)
	require.Less(t, page+common+code, int64(3_000_000), "the first load, with its scripts as they are")
	require.Less(t, course, int64(15<<20))
}
