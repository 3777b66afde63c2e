package grade

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/harness/report"
)

// verdict weighs what one test's process left behind. The test passes only if
// its signed events say that it began and passed, the last event says that all
// is done, no event is missing or forged, and the process ended with status 0.
type verdict struct {
	lab  course.Lab
	test string
	out  outcome
	root string // of the course, from which paths are told to a person
	copy string // root of the workspace's copy of it

	traces string            // the folder in which the process recorded runs
	kept   map[string]string // where they are now, by name; others are gone
}

// verdict is what is known of a test of the lab before it has run.
func (r *Runner) verdict(test string) verdict {
	return verdict{lab: r.lab.Lab, test: test, root: r.g.builder.Course().Root, copy: r.w.Root}
}

// fill writes the verdict into t.
func (v verdict) fill(t *result.Test) {
	t.Status, t.Real = report.Fail, v.out.Real.Seconds()
	told := v.result()
	if told != nil {
		t.Seeds, t.Failed, t.Diverged = told.Seeds, told.Failed, told.Diverged
		t.Virtual, t.Real = told.Virtual.Seconds(), told.Real.Seconds()
		t.Measures, t.Uncovered = told.Measures, told.Uncovered
		t.Failures = told.Failures
	}
	if f, broken := v.broken(told); broken {
		t.Failures = append([]report.Failure{f}, t.Failures...)
	} else {
		t.Status = told.Status
		t.Skipped = told.SkipReason
	}
	if t.Status == report.Fail && len(t.Failures) == 0 {
		t.Failures = []report.Failure{v.failure(report.Malformed, "the test failed without saying why")}
	}
	for i := range t.Failures {
		v.finish(&t.Failures[i])
	}
	bound(t)
}

// result is what the test said of itself at its end; nil if it did not get there.
func (v verdict) result() *report.Result {
	at := slices.IndexFunc(v.out.events, func(e report.Event) bool {
		return e.Kind == report.End && e.Test == v.test && e.Result != nil
	})
	if at < 0 {
		return nil
	}
	return v.out.events[at].Result
}

// broken finds a reason not to take the test's own word. A crash comes before a
// gap in the channel, because it explains it.
func (v verdict) broken(told *report.Result) (report.Failure, bool) {
	if v.out.Stopped != "" {
		return v.crash(report.Limit, "the test was stopped: "+v.out.Stopped), true
	}
	if told != nil && told.Status == report.Fail && v.out.channel == nil {
		return report.Failure{}, false // its exit status is no news then
	}
	last := report.Event{}
	if n := len(v.out.events); n > 0 {
		last = v.out.events[n-1]
	}
	switch {
	case told == nil && v.began():
		return v.crash(report.Exit, fmt.Sprintf("the process ended by itself, with status %d, in the middle of the test", v.out.Exit)), true
	case told == nil:
		return v.crash(report.Exit, fmt.Sprintf("the process ended by itself, with status %d, before the test began", v.out.Exit)), true
	case v.out.channel != nil:
		return v.failure(report.Malformed, v.out.channel.Error()), true
	case v.out.Exit != 0:
		return v.crash(report.Exit, fmt.Sprintf("the test passed, but its process then ended with status %d", v.out.Exit)), true
	case !v.began() || last.Kind != report.Done:
		return v.crash(report.Exit, "the process ended by itself before the test harness was done"), true
	case told.Status != report.Pass && told.Status != report.Skip:
		return v.failure(report.Malformed, fmt.Sprintf("the test harness reports the status %q", told.Status)), true
	case told.Status == report.Pass && !searched(told) && (told.Seeds == 0 || v.seeds() < told.Seeds):
		return v.failure(report.Malformed, fmt.Sprintf("the test passed without having run its seeds: it reports %d seeds, and began %d", told.Seeds, v.seeds())), true
	}
	return report.Failure{}, false
}

// searched reports whether the test searched schedules, of which there are thousands and which announce no seed.
func searched(told *report.Result) bool {
	return slices.ContainsFunc(told.Measures, func(m report.Measure) bool { return m.Name == report.Schedules })
}

// seeds is how often the test began to run a seed.
func (v verdict) seeds() int {
	n := 0
	for _, e := range v.out.events {
		if e.Kind == report.Seed && e.Test == v.test {
			n++
		}
	}
	return n
}

func (v verdict) began() bool {
	return slices.ContainsFunc(v.out.events, func(e report.Event) bool { return e.Kind == report.Start && e.Test == v.test })
}

func (v verdict) failure(kind report.Kind, what string) report.Failure {
	return report.Failure{Test: v.test, Kind: kind, What: what}
}

// crash reads the end of the process's standard error; if that explains nothing
// the failure is the one given.
func (v verdict) crash(kind report.Kind, what string) report.Failure {
	read := func(path string) ([]byte, error) {
		return os.ReadFile(filepath.Join(v.copy, "labs", v.lab.ID, filepath.Base(path)))
	}
	c, ok := report.ReadCrash(v.out.Stderr, report.Source{IsStudent: v.isStudents, Read: read})
	found := v.found()
	switch {
	case found != nil && (!ok || c.Kind == report.Limit):
		c.Failure = *found
		c.Notes = append(slices.Clip(c.Notes), "this failure was not recorded, and its faults were not minimised: "+what)
	case !ok:
		c.Failure = v.failure(kind, what)
	case v.out.Stopped != "":
		c.Notes = append(c.Notes, what)
	}
	if v.out.again {
		c.Notes = append(c.Notes, fmt.Sprintf("the machine was busy at the first try, so the test was run again with up to %d times its limit", retryFactor))
	}
	c.Test = v.test
	// Once the test had ended, the last seed is no more likely than another.
	if c.Seed == 0 && (c.Bubble != 0 || v.result() == nil) {
		c.Seed = v.seed(c.Bubble)
	}
	return c.Failure
}

// found is the failure that the test had found and was still looking into when its process ended.
func (v verdict) found() *report.Failure {
	if v.result() != nil {
		return nil
	}
	for _, e := range v.out.events {
		if e.Kind == report.Found && e.Test == v.test && e.Failure != nil {
			return e.Failure
		}
	}
	return nil
}

// seed is the seed that a bubble ran, or the last one that began.
func (v verdict) seed(bubble uint64) uint64 {
	var seed uint64
	for _, e := range v.out.events {
		if e.Kind != report.Seed || e.Test != v.test {
			continue
		}
		seed = e.Seed
		if bubble != 0 && e.Bubble == bubble {
			break
		}
	}
	return seed
}

// isStudents reports whether a source file in a stack is one that the student
// wrote. With -trimpath its path begins with the module's.
func (v verdict) isStudents(path string) bool {
	dir, name, found := cutLast(path, "/")
	return found && strings.HasSuffix(dir, v.lab.Dir()) && slices.Contains(v.lab.Files(), name)
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

var scratchPath = regexp.MustCompile(`\S*/(labs/\d\d-[a-z0-9-]+/[\w.-]+)`)

// finish completes a failure that came from the process: paths as the student
// knows them, and the command that shows it again.
func (v verdict) finish(f *report.Failure) {
	f.Where = scratchPath.ReplaceAllString(f.Where, "$1")
	f.Diagram, f.History = v.diagram(f.Diagram), v.diagram(f.History)
	if _, err := os.Stat(filepath.Join(v.root, "cmd", "grade")); err != nil || f.Play != "" && !v.plays(f.Play) {
		f.Play = ""
	}
	if f.Test == "" {
		f.Test = v.test
	}
	if f.Replay == "" && f.Seed != 0 {
		f.Replay = fmt.Sprintf("LABS_SEED=%d go test -race -run '%s$' ./%s", f.Seed, v.test, v.lab.Dir())
	} else if f.Replay == "" {
		f.Replay = fmt.Sprintf("go test -race -run '%s$' ./%s", v.test, v.lab.Dir())
	}
}

// plays reports whether a process names the command that plays this test, and not another one: a person runs it.
func (v verdict) plays(command string) bool {
	seed, ok := strings.CutPrefix(command, fmt.Sprintf("go run ./cmd/grade play %s --seed ", v.test))
	_, err := strconv.ParseUint(seed, 10, 64)
	return ok && err == nil
}

// diagram is the path of a recorded run as the course's root sees it, or "" if it was not kept.
func (v verdict) diagram(path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	name, err := filepath.Rel(v.traces, path)
	if err != nil || v.kept[name] == "" {
		return ""
	}
	path = v.kept[name]
	if rel, err := filepath.Rel(v.root, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}
