package supervise

import (
	"fmt"
	"io"
	"os"
	"strings"

	"distlabs/internal/harness/report"
)

const (
	maxRaces    = 3  // distinct races told in one run
	maxRawLines = 60 // of Go's own report of a crash
)

// ending is how the child came to its end.
type ending struct {
	state  *os.ProcessState
	stderr *holder
	races  []byte // what the race detector wrote
}

// explain prints what the child could not say itself and returns the status to
// exit with: the child's, or 1 if the child claims success although a test of
// its never ended.
func explain(out io.Writer, s *story, end ending) int {
	place := report.FindPlace()
	code := end.state.ExitCode()
	explainRaces(out, s, place, end.races)
	crash, crashed := report.ReadCrash(end.stderr.rest(), place.Source())
	if !crashed || code == 0 {
		end.stderr.release()
	}
	open := s.open()
	found := foundIn(open)
	switch {
	case found != nil && (crashed && crash.Kind == report.Limit || !crashed):
		f := *found
		f.Notes = append(f.Notes, "the run was stopped before this failure was recorded and its faults were minimised")
		fmt.Fprint(out, "\n", f.Text())
	case crashed && code != 0:
		fillIn(&crash.Failure, s.crashed(crash), crash.Bubble, place)
		fmt.Fprint(out, "\n", crash.Text(), "\n")
		if !end.stderr.gaveUp {
			fmt.Fprint(out, shorten(crash.Raw))
		}
	case len(open) > 0 || code < 0:
		f := died(end.state)
		fillIn(&f, s.crashed(report.Crash{}), 0, place)
		fmt.Fprint(out, "\n", f.Text())
	}
	if s.channelErr != nil {
		f := report.Failure{Kind: report.Malformed, What: "the results channel of the test harness was disturbed",
			Rule: "only the test harness writes to it", Seen: []string{s.channelErr.Error()}}
		fmt.Fprint(out, "\n", f.Text())
	}
	if code < 0 || code == 0 && (len(open) > 0 || s.channelErr != nil) {
		return 1
	}
	return code
}

// foundIn returns the failure of a test that was being explained when the child ended.
func foundIn(open []*test) *report.Failure {
	for _, t := range open {
		if t.found != nil {
			return t.found
		}
	}
	return nil
}

// died is the failure of a child that ended in a test without a word.
func died(state *os.ProcessState) report.Failure {
	f := report.Failure{
		Kind: report.Exit,
		What: fmt.Sprintf("the test process ended in the middle of a test with exit status %d", state.ExitCode()),
		Rule: "only main exits: os.Exit and log.Fatal end all tests at once, so return an error instead",
	}
	if state.ExitCode() < 0 {
		f.What = fmt.Sprintf("the test process was stopped (%s)", state)
		f.Rule = ""
	}
	return f
}

// explainRaces tells of each distinct race once, and shows Go's report of the first.
func explainRaces(out io.Writer, s *story, place report.Place, log []byte) {
	told := map[string]bool{}
	var raw string
	races := report.ReadRaces(log, place.Source())
	for i, race := range races {
		if told[race.What] || s.toldRace(race.What) {
			continue
		}
		if len(told) == maxRaces {
			fmt.Fprint(out, "\nmore races were seen; correct these first\n")
			break
		}
		told[race.What] = true
		f := race.Failure
		if t := s.raced(i+1, race); t != nil {
			fillIn(&f, t, 0, place)
			if ours := t.raceFailure(); ours != nil {
				f.Seed, f.Faults, f.Diagram, f.Notes = ours.Seed, ours.Faults, ours.Diagram, ours.Notes
				if ours.Replay != "" {
					f.Replay = ours.Replay
				}
			}
		}
		fmt.Fprint(out, "\n", f.Text())
		if raw == "" {
			raw = race.Raw
		}
	}
	if raw != "" {
		fmt.Fprint(out, "\n", shorten(raw))
	}
}

// fillIn sets the test, its seed and the command that replays it.
func fillIn(f *report.Failure, t *test, bubble uint64, place report.Place) {
	if t == nil {
		return
	}
	f.Test = t.name
	f.Replay = place.Replay(t.name)
	if seed, ok := t.seed(bubble); ok {
		f.Seed = seed
		f.Replay = place.ReplaySeed(t.name, seed)
	}
}

// shorten returns the first lines of Go's own report.
func shorten(raw string) string {
	lines := strings.Split(strings.TrimRight(raw, "\n"), "\n")
	if more := len(lines) - maxRawLines; more > 0 {
		lines = append(lines[:maxRawLines], fmt.Sprintf("… %d more lines", more))
	}
	return strings.Join(lines, "\n") + "\n"
}
