package labtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"distlabs/internal/harness/claim"
	"distlabs/internal/harness/report"
)

// spoilt is what a test claims when the others are pointless. In the place of its name it gives the reason.
const spoilt = "spoilt"

// skipUnlessOurs skips a test that another process runs, and one that would only fail for a reason which has been told.
func skipUnlessOurs(t *testing.T) {
	t.Helper()
	why, pointless := claim.Known(spoilt)
	switch {
	case pointless:
		skip(t, why)
	case !claim.Test(t.Name()):
		t.Skip("another process of this run runs it")
	}
}

// skip skips a test, and says so on the results channel.
func skip(t *testing.T, why string) {
	t.Helper()
	channel.Send(report.Event{Kind: report.Start, Test: t.Name()})
	channel.Send(report.Event{Kind: report.End, Test: t.Name(), Result: &report.Result{Status: report.Skip, SkipReason: why}})
	t.Skip(why)
}

// spoils returns why tests after one with these failures are pointless, if they are: its goroutines still run and take the
// processor, or would be met in every test.
func (r *runner) spoils(failures []report.Failure) string {
	for _, f := range failures {
		why := ""
		switch f.Kind {
		case report.Spin:
			why = "the goroutine that never waits still runs; correct this first"
		case report.Lock, report.Deadlock:
			why = "the goroutines of this test wait forever; correct this first"
		case report.Leak:
			if first, _ := claim.First("leak "+strings.Join(f.Seen, "\n"), r.t.Name()); first != r.t.Name() {
				why = fmt.Sprintf("%s left the same goroutines behind; correct this first", first)
			}
		}
		if why == "" {
			continue
		}
		if _, first := claim.First(spoilt, why); first {
			return why
		}
	}
	return ""
}

// raceFailures returns the failures for the data races that the detector has reported since the last call: each race once in a
// run, where it was met first.
func (r *runner) raceFailures(seeds []uint64) []report.Failure {
	var failures []report.Failure
	known := ""
	for _, race := range newRaces() {
		if by, first := claim.First("race "+race.What, r.t.Name()); !first {
			known = by
			continue
		}
		f := race.Failure
		f.Test = r.t.Name()
		f.Trace = firstLines(race.Raw)
		failures = append(failures, f)
	}
	switch {
	case len(failures) == 0 && known != "":
		failures = []report.Failure{{Test: r.t.Name(), Kind: report.Race, What: "the data race that " + known + " has shown happened again"}}
	case len(failures) == 0: // the report is not to be had here: the supervisor has it
		return []report.Failure{r.raceFailure(seeds)}
	}
	if len(seeds) > 0 {
		for i := range failures {
			failures[i].Seed, failures[i].Replay = seeds[0], r.replay(seeds[0])
			if r.racedBy > 0 {
				failures[i].Seen = append(failures[i].Seen, fmt.Sprintf("both before %s of this run", At(r.racedBy)))
			}
		}
	}
	return failures[:min(len(failures), maxRaces)]
}

// maxRaces is how many races of one test are told.
const maxRaces = 3

// raceFailure is the failure for a race of which nothing more is known.
func (r *runner) raceFailure(seeds []uint64) report.Failure {
	f := report.Failure{
		Test: r.t.Name(), Kind: report.Race,
		What: "the race detector saw two goroutines touch one variable",
		Rule: "two goroutines may touch one variable only under a lock or through a channel (Go memory model)",
	}
	if len(seeds) > 0 {
		f.Seed = seeds[0]
		f.Replay = r.replay(seeds[0])
	}
	return f
}

// raceLog is where the detector of this process writes, and how much of it was read.
var raceLog struct {
	sync.Mutex
	read int
}

// newRaces reads what the detector has written since the last call.
func newRaces() []report.Crash {
	raceLog.Lock()
	defer raceLog.Unlock()
	text := report.RaceLog()
	if len(text) < raceLog.read {
		return nil
	}
	races := report.ReadRaces(text[raceLog.read:], source())
	raceLog.read = len(text)
	return races
}

// firstLines shortens the detector's own report to the stacks of the two accesses.
func firstLines(raw string) string {
	lines := strings.Split(strings.TrimRight(raw, "\n"), "\n")
	if at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Goroutine ") }); at > 0 {
		lines = lines[:at]
	}
	const most = 30
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return strings.Join(lines, "\n")
}
