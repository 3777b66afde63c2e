package play

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/prove"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/browser"
	"distlabs/internal/rotation"
)

// mutant is the source of a known-wrong solution.
func mutant(t *testing.T, lab, name string) submission.Source {
	t.Helper()
	c, _ := courseAndBuilder(t)
	selected, err := c.Select(lab)
	require.NoError(t, err)
	mutants, err := prove.Mutants(c, selected[0].Lab)
	require.NoError(t, err)
	at := slices.IndexFunc(mutants, func(m prove.Mutant) bool { return m.Name == name })
	require.GreaterOrEqual(t, at, 0, name)
	source, err := mutants[at].Source(c)
	require.NoError(t, err)
	return source
}

// seedSite is a site for one run of a test.
func seedSite(t *testing.T, test string, seed uint64, source submission.Source) *Site {
	t.Helper()
	c, _ := courseAndBuilder(t)
	selected, err := c.TestNamed(test)
	require.NoError(t, err)
	return &Site{Dir: t.TempDir(), Scenes: []course.Selected{selected}, Source: source, Seed: &Seed{Test: test, Seed: seed}, Live: true, stored: true}
}

// record is the record that the page keeps of the run that it shows.
func (b *tab) record() string {
	b.T.Helper()
	return browser.Await[string](b, `(async () => { await play.ask({ do: "run", seed: play.game.seed, whatIf: play.whatIf() }); return (await play.ask({ do: "record" })).record; })()`)
}

func (b *tab) verdict() string {
	return browser.Eval[string](b, `document.getElementById("says").textContent`)
}

// natively is the record that go test leaves of a run, without the first line, which has what the failure says.
func natively(t *testing.T, binary, dir, test string, env ...string) string {
	t.Helper()
	traces := t.TempDir()
	cmd := exec.Command(binary, "-test.run=^"+test+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LABS_DIRECT=1", "LABS_RECORD=1", "LABS_MINIMISE=0", "LABS_TRACE_DIR="+traces)
	cmd.Env = append(cmd.Env, env...)
	out, _ := cmd.CombinedOutput() // some of these fail
	names, err := filepath.Glob(filepath.Join(traces, test+"-*.jsonl"))
	require.NoError(t, err)
	require.Len(t, names, 1, "%s", out)
	text, err := os.ReadFile(names[0])
	require.NoError(t, err)
	return events(string(text))
}

// events are a record's lines after the first.
func events(record string) string {
	_, rest, _ := strings.Cut(record, "\n")
	return rest
}

// A wrong solution's failing seed opens; that one message is lost changes the verdict, by keys and by clicks; the address opens the run
// again; and go test makes the same run, to the byte.
func TestWhatIf(t *testing.T) {
	const test = "TestNewLeader4C"
	_, builder := courseAndBuilder(t)
	source := mutant(t, "04", "raft-votes-twice")
	s := seedSite(t, test, 4, source)
	b := openIn(t, func() string {
		require.NoError(t, s.Write(t.Context(), builder))
		return s.Dir
	}, test+".html")
	require.Equal(t, "✗ the test fails with this seed: n1 votes twice in term 4: for itself, as a candidate, at 0.969s and for n2 at 0.972s", b.verdict())
	b.Shot("seed-fails")

	// By keys.
	browser.Eval[bool](b, `(play.select(play.game.app.model.steps.find((s) => s.msg === 3 && s.kind === "sent")), true)`)
	require.Regexp(t, `^lose n\d→n\d RequestVote`, browser.Eval[string](b, `document.querySelector("#offers button").textContent`))
	b.press("1")
	b.Until(`play.game.at.depth === 1`, "the run is made again")
	require.Equal(t, "✓ now the test passes", b.verdict())
	require.Equal(t, "#w=x3", browser.Eval[string](b, `location.hash`))
	require.Equal(t, "lost", browser.Eval[string](b, `play.game.app.selected.kind`), "the first event that differs")
	b.Shot("seed-passes")
	b.press("b")
	require.Contains(t, b.verdict(), "n1 votes twice in term 4")
	require.Equal(t, "", browser.Eval[string](b, `location.hash`))

	// By clicks: the same, and a change after it.
	name := browser.Eval[string](b, `document.querySelector("#offers button").getAttribute("aria-label")`)
	b.click(name)
	b.Until(`play.game.at.depth === 1`, "the run is shown again")
	require.Equal(t, 1, browser.Eval[int](b, `play.game.root.children.length`))
	b.press("v")
	b.Do(chromedp.Click("#machines-box summary"))
	for i, name := range []string{"n2: crash", "n2: start", "n2: cut off"} {
		b.click(name)
		b.Until(fmt.Sprintf(`play.game.at.depth === %d`, i+2), "the run is made again")
	}
	require.Equal(t, "started", browser.Eval[string](b, `play.game.at.parent.differs.kind`))
	hash := browser.Eval[string](b, `location.hash`)
	require.Regexp(t, `^#w=x3,k2@[\d.]+(ns|us|ms|s),r2@[\d.]+(ns|us|ms|s)(,l\d-\d@[\d.]+(ns|us|ms|s)){8}$`, hash)
	verdict, record := b.verdict(), b.record()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 390} {
			b.Do(browser.Prefers(scheme), browser.Sized(width, 900))
			b.isReadable(fmt.Sprintf("%s-%d", scheme, width))
		}
	}
	b.Do(browser.Prefers("light"), browser.Sized(1440, 900))

	b.Do(chromedp.Navigate(b.server + "/index.html"))
	b.load(test + ".html" + hash)
	require.Equal(t, verdict, b.verdict())
	require.Equal(t, 4, browser.Eval[int](b, `play.game.at.depth`))
	shown := browser.Eval[string](b, `document.querySelector("#share code").textContent`)
	require.Equal(t, "LABS_SEED=4 LABS_WHATIF="+strings.TrimPrefix(hash, "#w=")+" go test -race -run 'TestNewLeader4C$' ./labs/04-election", shown)
	binary, dir := binaryOf(t, "04", source)
	require.Equal(t, natively(t, binary, dir, test, strings.Fields(shown)[:2]...), events(record))

	browser.Eval[bool](b, `((location.hash = "#w=x3,x3"), true)`)
	b.Until(`document.getElementById("status").textContent.includes("about one message")`, "the page refuses the second change")
	require.Equal(t, 1, browser.Eval[int](b, `play.game.at.depth`))
}

// The run of a failing seed is the same in the browser as in go test, to the byte, whatever the lab. One of these is run a day.
func TestSeedIsTheSameRun(t *testing.T) {
	for i, one := range []struct{ lab, mutant, test string }{
		{"01", "1b-newest-only", "TestExactlyOnce1B"},
		{"05", "length-first", "TestVotesForTheNewerLog5B"},
		{"06", "6b-answers-below-the-index", "TestReadsItsWrites6B"},
	} {
		if !rotation.Today(i, 3) {
			continue
		}
		t.Run(one.mutant, func(t *testing.T) {
			_, builder := courseAndBuilder(t)
			source := mutant(t, one.lab, one.mutant)
			s := seedSite(t, one.test, 1, source)
			b := openIn(t, func() string {
				require.NoError(t, s.Write(t.Context(), builder))
				return s.Dir
			}, one.test+".html")
			binary, dir := binaryOf(t, one.lab, source)
			failed := uint64(0)
			for seed := uint64(1); seed <= 3 && failed == 0; seed++ {
				run := browser.Await[map[string]any](b, fmt.Sprintf(`(async () => {
					const { run } = await play.ask({ do: "run", seed: %d, whatIf: "" });
					return { verdict: run.verdict, record: (await play.ask({ do: "record" })).record };
				})()`, seed))
				native := natively(t, binary, dir, one.test, fmt.Sprintf("LABS_SEED=%d", seed))
				require.Equal(t, len(native), len(events(run["record"].(string))))
				require.True(t, native == events(run["record"].(string)), "seed %d", seed)
				if run["verdict"] == "fails" {
					failed = seed
				}
			}
			require.NotZero(t, failed, "none of the seeds fails")
		})
	}
}
