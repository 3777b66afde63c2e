package labtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"distlabs/internal/harness/report"
)

// One cause is told once in a process, however many tests it fails: what is known of the failures so far.
var causes struct {
	sync.Mutex
	races  map[string]string // test by the sentence of its race
	leaks  map[string]string // test by the goroutines that its failure lists
	spoilt string            // why the other tests are skipped
}

// skipIfSpoilt skips a test that would only fail for a reason which has been told.
func skipIfSpoilt(t *testing.T) {
	t.Helper()
	causes.Lock()
	why := causes.spoilt
	causes.Unlock()
	if why == "" {
		return
	}
	channel.Send(report.Event{Kind: report.Start, Test: t.Name()})
	channel.Send(report.Event{Kind: report.End, Test: t.Name(), Result: &report.Result{Status: report.Skip, SkipReason: why}})
	t.Skip(why)
}

// spoils returns why tests after one with these failures are pointless, if they are: its goroutines still run and take the
// processor, or would be met in every test.
func (r *runner) spoils(failures []report.Failure) string {
	causes.Lock()
	defer causes.Unlock()
	if causes.spoilt != "" {
		return ""
	}
	for _, f := range failures {
		switch f.Kind {
		case report.Spin:
			causes.spoilt = "the goroutine that never waits still runs; correct this first"
		case report.Lock, report.Deadlock:
			causes.spoilt = "the goroutines of this test wait forever; correct this first"
		case report.Leak:
			leak := strings.Join(f.Seen, "\n")
			if first, known := causes.leaks[leak]; known && first != r.t.Name() {
				causes.spoilt = fmt.Sprintf("%s left the same goroutines behind; correct this first", first)
			}
			if causes.leaks == nil {
				causes.leaks = map[string]string{}
			}
			causes.leaks[leak] = r.t.Name()
		}
	}
	return causes.spoilt
}

// raceFailures returns the failures for the data races that the detector has reported since the last call: each race once in a
// process, where it was met first.
func (r *runner) raceFailures(seeds []uint64) []report.Failure {
	var failures []report.Failure
	known := ""
	for _, race := range newRaces() {
		causes.Lock()
		first, told := causes.races[race.What]
		if !told {
			if causes.races == nil {
				causes.races = map[string]string{}
			}
			causes.races[race.What] = r.t.Name()
		}
		causes.Unlock()
		if told {
			known = first
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
