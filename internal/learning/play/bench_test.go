package play

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/browser"
)

// How long a person waits for a step, from the click until it is drawn, when the run has so many events; and for the way back over 500 steps.
// The scenario has five nodes.
func BenchmarkStep(b *testing.B) {
	for _, events := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			page := open(b, "6B.html")
			browser.Await[float64](page, grow(events))
			require.GreaterOrEqual(b, browser.Eval[int](page, `play.game.events.count`), events)
			steps, way := 0.0, 0.0
			n := 0
			for b.Loop() {
				n++
				steps += browser.Await[float64](page, timed(`play.take((play.game.at.position.pending || []).length ? "d0" : "w")`))
				browser.Eval[bool](page, `(() => { let s = play.game.at; for (let k = 0; k < 500; k++) s = s.parent; window.past = s; window.now = play.game.at; return true; })()`)
				way += browser.Await[float64](page, timed(`play.goTo(past)`))
				browser.Await[float64](page, timed(`play.goTo(now)`))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(steps/float64(n), "ms/step")
			b.ReportMetric(way/float64(n), "ms/500-back")
		})
	}
}

// grow plays until the run has so many events, and opens it: every message is delivered, and then time passes.
func grow(events int) string {
	return fmt.Sprintf(`(async () => {
		const { game } = play, tokens = [];
		for (let at = game.at.position; at.steps < %d;) {
			tokens.push((at.pending || []).length ? "d0" : "w");
			at = (await play.ask({ do: "go", seed: game.seed, schedule: tokens.join("."), known: tokens.length })).positions[0];
		}
		await play.open(tokens.join("."));
		return 0;
	})()`, events)
}

// timed is how many milliseconds something takes until it is drawn.
func timed(deed string) string {
	return fmt.Sprintf(`(async () => {
		const frame = () => new Promise((done) => requestAnimationFrame(done));
		await frame();
		const began = performance.now();
		await %s;
		await frame();
		return performance.now() - began;
	})()`, deed)
}

// How long it takes from an address to a page that answers.
func BenchmarkOpen(b *testing.B) {
	page := open(b, "4C.html")
	for b.Loop() {
		page.load("4C.html")
		page.press("w")
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(time.Millisecond), "ms/open")
}
