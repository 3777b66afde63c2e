// Package labtest is the smallest harness that can stand in for the course's
// own in the grader's tests: it runs a body over seeds and tells the results channel.
package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"distlabs/internal/harness/report"
)

var channel = report.Inherit()

// Main runs the tests of a lab and says that all is done.
func Main(m *testing.M) {
	code := m.Run()
	channel.Send(report.Event{Kind: report.Done})
	os.Exit(code)
}

// Run runs the body for every seed. The body returns its trace, and what is
// wrong or "".
func Run(t *testing.T, body func(seed uint64) (trace, wrong string)) {
	channel.Send(report.Event{Kind: report.Start, Test: t.Name()})
	result := &report.Result{Status: report.Pass, Virtual: time.Minute, Real: time.Millisecond,
		Measures: []report.Measure{{Name: "detection time", Value: 0.25, Unit: "s", Bound: "≤ 1 s"}}}
	soak := os.Getenv("LABS_SOAK") != ""
	result.Digests = map[uint64]string{}
	for _, seed := range seeds() {
		channel.Send(report.Event{Kind: report.Seed, Test: t.Name(), Seed: seed})
		result.Seeds++
		trace, wrong := body(seed)
		if wrong != "" || os.Getenv("LABS_RECORD") != "" {
			record(t.Name(), seed, trace)
		}
		if soak {
			result.Digests[seed] = trace
		}
		if soak && os.Getenv("LABS_SOAK") != "once" {
			if again, _ := body(seed); again != trace {
				result.Diverged = append(result.Diverged, seed)
			}
		}
		if wrong == "" {
			continue
		}
		t.Errorf("seed %d: %s", seed, wrong)
		result.Status = report.Fail
		result.Failed = append(result.Failed, seed)
		if len(result.Failures) == 0 {
			result.Failures = append(result.Failures, failure(t.Name(), seed, wrong))
		}
		if !soak {
			break
		}
	}
	channel.Send(report.Event{Kind: report.End, Test: t.Name(), Result: result})
}

func seeds() []uint64 {
	if one := os.Getenv("LABS_SEED"); one != "" {
		seed, _ := strconv.ParseUint(one, 10, 64)
		return []uint64{seed}
	}
	first, n := 1, 10
	if from, to, ranged := strings.Cut(os.Getenv("LABS_SEEDS"), "-"); ranged {
		first, _ = strconv.Atoi(from)
		last, _ := strconv.Atoi(to)
		n = last - first + 1
	} else if from != "" {
		n, _ = strconv.Atoi(from)
	}
	if search := strings.Split(os.Getenv("LABS_EXPLORE"), ":"); len(search) == 3 {
		n, _ = strconv.Atoi(search[1])
		first, _ = strconv.Atoi(search[2])
	}
	var list []uint64
	for i := range n {
		list = append(list, uint64(first+i))
	}
	for _, extra := range strings.FieldsFunc(os.Getenv("LABS_EXTRA_SEEDS"), func(r rune) bool { return r == ',' }) {
		seed, _ := strconv.ParseUint(extra, 10, 64)
		list = append(list, seed)
	}
	return list
}

// record writes a run of one node that logs one line, as package trace of the course has it.
func record(test string, seed uint64, said string) {
	dir := os.Getenv("LABS_TRACE_DIR")
	if dir == "" {
		return
	}
	text := fmt.Sprintf(`{"format":"distlabs-trace","version":1,"steps":2,"test":%q,"seed":%d,"nodes":1}
{"seq":1,"at":0,"kind":"started","node":1,"inc":1}
{"seq":2,"at":1000000,"kind":"logged","node":1,"inc":1,"value":%q}
`, test, seed, said)
	os.MkdirAll(dir, 0o777)
	os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.jsonl", test, seed)), []byte(text), 0o666)
}

func failure(test string, seed uint64, wrong string) report.Failure {
	f := report.Failure{Test: test, Kind: report.Rule, Where: "echo_test.go:1", What: wrong, Seed: seed}
	if wrong == "vacuous" {
		f.Kind = report.Vacuous
	}
	if os.Getenv("LABS_EXPLORE") != "" {
		f.Replay = fmt.Sprintf("LABS_SEED=%d LABS_SCHEDULE=w go test -race -run '%s$'", seed, test)
	}
	if dir := os.Getenv("LABS_TRACE_DIR"); dir != "" {
		f.Diagram = filepath.Join(dir, fmt.Sprintf("%s-%d.html", test, seed))
		os.MkdirAll(dir, 0o777)
		os.WriteFile(f.Diagram, []byte("<html>"), 0o666)
	}
	return f
}
