package play

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gradetest"
	"distlabs/internal/grading/sandbox"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/harness/browser"
	"distlabs/internal/rotation"
)

// The package's tests share the pages of all scenarios with the reference solutions.
var shared struct {
	grade   string // the command, built without the race detector: with it, only to compress the site takes three minutes
	site    sync.Once
	dir     string
	err     error
	server  *httptest.Server
	builder *workspace.Builder
	natives map[string][2]string // the reference's test binaries, by the lab: see nativeBinary
}

func TestMain(m *testing.M) { os.Exit(gradetest.Main(tests{m})) }

type tests struct{ *testing.M }

func (t tests) Run() int {
	dir, err := os.MkdirTemp("", "play-grade-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.grade = filepath.Join(dir, "grade")
	build := exec.Command("go", "build", "-o", shared.grade, "distlabs/cmd/grade")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	if err := os.Chmod(dir, 0o755); err != nil { // other users' processes are launched from there
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	sandbox.ServeWith(shared.grade)
	shared.natives = map[string][2]string{}
	code := browser.Run(t.M)
	if shared.builder != nil {
		shared.builder.Close()
	}
	if shared.dir != "" && os.Getenv("PLAY_SITE") == "" {
		os.RemoveAll(shared.dir)
	}
	return code
}

const root = "../../.."

// siteDir is a folder with the pages of all scenarios, as grade play --course writes it. PLAY_SITE names a folder that is kept: only its pages
// are written again, and not the code.
func siteDir(t testing.TB) string {
	t.Helper()
	shared.site.Do(func() { shared.dir, shared.err = makeSite(t) })
	require.NoError(t, shared.err)
	return shared.dir
}

func makeSite(t testing.TB) (dir string, err error) {
	if dir = os.Getenv("PLAY_SITE"); dir == "" {
		dir, err = os.MkdirTemp("", "play-site-")
	} else if _, missing := os.Stat(filepath.Join(dir, "index.html")); missing == nil {
		c, b := courseAndBuilder(t)
		all, err := c.Select()
		if err != nil {
			return dir, err
		}
		site := &Site{Dir: dir, Scenes: withScenario(all), Source: submission.Source{Kind: course.Solution}}
		return dir, site.pages(b)
	}
	if err != nil {
		return dir, err
	}
	cmd := exec.CommandContext(t.Context(), shared.grade, "play", "--course", "--out", dir)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("grade play --course: %w\n%s", err, out)
	}
	return dir, nil
}

func courseAndBuilder(t testing.TB) (*course.Course, *workspace.Builder) {
	t.Helper()
	if shared.builder == nil {
		dir, err := filepath.Abs(root)
		require.NoError(t, err)
		c, err := course.Load(dir)
		require.NoError(t, err)
		shared.builder, err = workspace.New(context.Background(), c, workspace.Options{})
		require.NoError(t, err)
	}
	return shared.builder.Course(), shared.builder
}

// A tab is a page of a site that a test has opened.
type tab struct {
	*browser.Tab
	server string // its address
}

// own says of an address whether it is one of the site's files.
func (b *tab) own(url string) bool {
	return strings.HasPrefix(url, b.server+"/") || strings.HasPrefix(url, "blob:"+b.server)
}

// open opens a page of the shared site, in the tab that the tests of its pages share: to load a lab's code into a new one costs more than most
// tests do with it. The page is new.
func open(t testing.TB, place string) *tab {
	t.Helper()
	turn(t)
	if played == nil {
		b := &tab{}
		b.Tab = browser.Keep(t, b.own)
		shared.server = httptest.NewServer(handler(siteDir(t)))
		b.server = shared.server.URL
		played = b
	}
	played.T = t
	played.Do(chromedp.Navigate(played.server + "/index.html")) // else another fragment of the same page is no new page
	played.load(place)
	t.Cleanup(played.Blameless)
	return played
}

// turn skips a test of the page on every second day, on which those of package view have their turn (package rotation).
func turn(t testing.TB) {
	t.Helper()
	rotation.Turn(t, 0, 2, "internal/learning/play", "internal/harness/view")
}

// openIn opens a page of a site, which is made only if there is a browser.
func openIn(t testing.TB, dir func() string, place string) *tab {
	t.Helper()
	turn(t)
	b := &tab{}
	b.Tab = browser.Open(t, b.own)
	server := httptest.NewServer(handler(dir()))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	b.server = server.URL
	b.load(place)
	return b
}

// load goes to a page of the site, and waits until it can be played.
func (b *tab) load(place string) {
	b.T.Helper()
	b.Do(chromedp.Navigate(b.server + "/" + place))
	b.Ready()
}

// played is the tab of the shared site. It is the first test's until the tests end; what goes wrong on it later fails the test that uses it then.
var played *tab

// again opens a place of 4C's page as [open] does, but without loading the page if the test before it has left it open: the tree of steps, the
// puzzle, what is held and what is marked are new.
func again(t testing.TB, fragment string) *tab {
	t.Helper()
	if played == nil || !strings.HasSuffix(browser.Eval[string](played, `location.pathname`), "/4C.html") {
		return open(t, "4C.html"+fragment)
	}
	played.T = t
	fresh := "#fresh"
	if fragment != "" {
		fresh = fragment + "&fresh"
	}
	played.idle()
	browser.Eval[bool](played, fmt.Sprintf(`(() => {
		const { game } = play;
		Object.assign(game, { seed: -1, cursor: 0, all: false, chosen: -1, record: "", auto: null });
		game.held.clear();
		document.querySelector("#share input").value = "";
		location.hash = %q;
		return true;
	})()`, fresh))
	played.Until(`play.game.seed !== -1 && !play.game.busy && !location.hash.includes("fresh")`, "the page begins again")
	t.Cleanup(played.Blameless)
	return played
}

// depth is how many steps have been taken.
func (b *tab) depth() int { return browser.Eval[int](b, `play.game.at.depth`) }

// press presses keys in the page, each once the step before it is done.
func (b *tab) press(keys ...string) {
	b.T.Helper()
	for _, key := range keys {
		b.idle()
		b.Do(chromedp.KeyEvent(key))
	}
	b.idle()
}

// idle waits until no step is being taken.
func (b *tab) idle() { b.Until(`!play.game.busy`, "the step is done") }

// click clicks the button that a person with a screen reader knows by this name.
func (b *tab) click(name string) {
	b.T.Helper()
	b.idle()
	found := browser.Eval[bool](b, fmt.Sprintf(`(() => {
		const named = [...document.querySelectorAll("button")].filter((el) => (el.getAttribute("aria-label") || el.textContent).trim() === %q && !el.disabled && el.getClientRects().length);
		document.querySelectorAll("[data-aim]").forEach((el) => el.removeAttribute("data-aim"));
		if (named.length) { named[0].dataset.aim = "yes"; named[0].scrollIntoView({ block: "center" }); }
		return named.length > 0;
	})()`, name))
	require.True(b.T, found, "there is no button %q; there are %s", name,
		browser.Eval[string](b, `[...document.querySelectorAll("button:not(:disabled)")].map((el) => el.getAttribute("aria-label") || el.textContent).join(" | ")`))
	b.Do(chromedp.Click("[data-aim]"))
	b.idle()
}
