package play

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/browser"
)

// wrongVotes makes the reference's requestVote wrong in ways that depend on who asks: code that panics, that waits for itself, and that votes
// twice. Its notes try to be markup.
const wrongVotes = `
	r.node.Note("<img src=x onerror=alert(1)>", "</script><script>alert(")
	switch from {
	case 1:
		panic("n1 has asked")
	case 2:
		r.mu.Lock()
		r.mu.Lock()
	case 3:
		if r.role == Candidate {
			return VoteReply{Term: req.Term, Granted: true}
		}
	}
`

// wrongHeartbeats makes appendEntries run forever.
const wrongHeartbeats = `
	for n := 0; ; n++ {
		if n < 0 {
			break
		}
	}
`

// submitted writes a submission of lab 04: the reference, with raft.go changed.
func submitted(t *testing.T, dir string, change func(raft string) string) {
	t.Helper()
	reference := filepath.Join(root, "solutions", "04-election")
	files, err := filepath.Glob(filepath.Join(reference, "*.go"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "04-election"), 0o755))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if filepath.Base(file) == "raft.go" {
			text = []byte(change(string(text)))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "04-election", filepath.Base(file)), text, 0o644))
	}
}

func makeWrong(raft string) string {
	raft = strings.Replace(raft, "req VoteRequest) VoteReply {\n", "req VoteRequest) VoteReply {"+wrongVotes, 1)
	if !strings.Contains(raft, wrongVotes) {
		panic("requestVote is not as the test knows it")
	}
	return strings.Replace(raft, "req AppendRequest) AppendReply {\n", "req AppendRequest) AppendReply {"+wrongHeartbeats, 1)
}

// Whatever a student's code does, the page says what was wrong, and goes on from the step before. When the file is saved again, the page
// plays the same steps with the new code.
func TestWrongCode(t *testing.T) {
	c, builder := courseAndBuilder(t)
	scenes, err := c.Select("4C")
	require.NoError(t, err)
	work := t.TempDir()
	submitted(t, work, makeWrong)
	site := &Site{Dir: t.TempDir(), Scenes: scenes, Source: submission.Source{Kind: course.Submission, Path: work}, Live: true, stored: true}
	b := openIn(t, func() string {
		require.NoError(t, site.Write(t.Context(), builder))
		return site.Dir
	}, "4C.html#s=w.w.w")
	failure := func() string {
		return browser.Eval[string](b, `(document.querySelector("#failure .failed") || { textContent: "" }).textContent`)
	}

	b.click("deliver n1→n2 RequestVote")
	require.Contains(t, failure(), "Raft.requestVote panics: n1 has asked")
	require.Contains(t, failure(), "LABS_SCHEDULE=w.w.w.d2 ")
	b.Shot("panic")
	b.press("b")
	require.Empty(t, failure())

	b.click("deliver n2→n1 RequestVote")
	require.Contains(t, failure(), "Raft.requestVote waits at raft.go:67 in sync.Mutex.Lock")
	b.press("b")

	b.click("deliver n3→n2 RequestVote")
	require.Contains(t, failure(), "n2 votes twice in term 1")
	require.Contains(t, failure(), "(rule 10; Raft §5.2)")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("over").textContent`), "Go back")
	require.Contains(t, browser.Eval[string](b, `document.getElementById("state").textContent`), "</script><script>alert(")
	require.Equal(t, 0, browser.Eval[int](b, `document.images.length`))
	b.Shot("votes-twice")
	schedule := browser.Eval[string](b, `play.schedule()`)

	b.press("b", "b", "b")
	b.click("deliver n3→n2 RequestVote")
	b.click("deliver n2→n3 RequestVote reply")
	browser.Eval[bool](b, `(play.game.engine.limit = 1000, true)`)
	b.click("deliver n3→n1 AppendEntries")
	require.Contains(t, failure(), "a goroutine runs and never waits")
	browser.Eval[bool](b, `(play.game.engine.limit = 60000, true)`)
	b.press("b")
	require.Empty(t, failure())

	// Saved, with a mistake at first.
	browser.Await[bool](b, `(async () => { document.querySelector("#share input").value = "`+schedule+`"; return true; })()`)
	b.Do(chromedp.Focus("#share input"), chromedp.KeyEvent(kb.Enter))
	b.Until(`play.schedule() === "`+schedule+`" && !play.game.busy`, "the schedule is opened")
	require.Contains(t, failure(), "votes twice")
	submitted(t, work, func(raft string) string { return strings.Replace(raft, "r.mu.Lock()", "r.mu.Lok()", 1) })
	require.ErrorAs(t, site.Rebuild(t.Context(), builder), new(Refused))
	b.Until(`document.getElementById("loading").textContent.includes("Lok undefined")`, "the page says what does not compile")
	submitted(t, work, func(raft string) string { return raft })
	require.NoError(t, site.Rebuild(t.Context(), builder))
	b.Until(`document.documentElement.dataset.build === "2"`, "the page plays the new code")
	require.Equal(t, schedule, browser.Eval[string](b, `play.schedule()`))
	require.Empty(t, failure())
	require.True(t, browser.Eval[bool](b, `document.getElementById("loading").hidden`))
}
