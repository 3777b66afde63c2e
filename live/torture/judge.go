package torture

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"distlabs/internal/harness/report"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/live/control"
)

// judge checks what was seen.
func (r *run) judge() (*Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.report.Elections)
	result := &r.report
	var ops []control.Operation
	for _, key := range r.order {
		op := r.ops[key]
		ops = append(ops, op)
		result.Commands++
		if !unknown(op) {
			result.Answered++
		}
	}
	result.Events = len(r.events)
	total := int(r.opts.Duration / slice)
	for i := range total {
		if r.busy[i] {
			result.Available += 1 / float64(total)
		}
	}
	result.Anomalies = append(result.Anomalies, r.servers.anomalies...)
	if !r.done {
		result.Anomalies = append(result.Anomalies, fmt.Sprintf("%v after all servers were up and connected, a command had not returned (rule 22)", calmTime))
	}
	if quiet := longestQuiet(r.busy, total); quiet < sessionTTL/2 {
		for _, op := range ops {
			if op.Err == "ErrExpired" {
				result.Anomalies = append(result.Anomalies, fmt.Sprintf("the session of n%d expired at %v, although its TTL is %v and some command returned in every %v (rule 27)", op.Client, op.Return, sessionTTL, quiet+slice))
			}
		}
	}
	var at time.Time // of the first anomaly that has a time
	seen := func(when time.Time) {
		if at.IsZero() || when.Before(at) {
			at = when
		}
	}
	if !r.servers.first.IsZero() {
		seen(r.servers.first)
	}
	missed, first := checkWatch(ops, r.events)
	result.Anomalies = append(result.Anomalies, missed...)
	if len(missed) > 0 && first < len(r.watched) {
		seen(r.watched[first])
	}
	anomaly, page, wrong, err := checkHistory(ops)
	if err != nil {
		return nil, err
	}
	if anomaly != "" {
		result.Anomalies = append(result.Anomalies, anomaly)
		seen(r.clients.Add(wrong.Return))
		if err := result.add(filepath.Join(r.opts.Cluster.Dir, "violation.html"), page); err != nil {
			return nil, err
		}
	}
	if !at.IsZero() {
		page := func(w io.Writer) error { return r.draw(w, at, result.Anomalies[0]) }
		if err := result.add(filepath.Join(r.opts.Cluster.Dir, "run.html"), page); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// What the page of a run shows: so long before the first anomaly, and after it.
const (
	shownBefore = 8 * time.Second
	shownAfter  = time.Second
)

// draw writes the run's page: what the processes did when the first anomaly was seen.
func (r *run) draw(w io.Writer, at time.Time, what string) error {
	failure, err := json.Marshal(report.Failure{Test: "torture", What: what, Seed: r.opts.Seed})
	if err != nil {
		return err
	}
	h := trace.Header{
		Test: "torture", Seed: r.opts.Seed, Start: r.archive.Began(), Failure: failure, Violation: &trace.Violation{At: at.Sub(r.archive.Began())},
	}
	run, err := r.archive.Run(h, at.Add(-shownBefore), at.Add(shownAfter))
	if err != nil {
		return err
	}
	return view.HTML(w, run, view.Options{Title: fmt.Sprintf("Torture of lab 05, --seed %d", r.opts.Seed)})
}

// add writes a page.
func (r *Report) add(name string, page func(io.Writer) error) error {
	r.Pages = append(r.Pages, name)
	return writePage(name, page)
}

// longestQuiet is the longest time in which no command returned.
func longestQuiet(busy map[int]bool, total int) time.Duration {
	longest, run := 0, 0
	for i := range total {
		if run++; busy[i] {
			run = 0
		}
		longest = max(longest, run)
	}
	return time.Duration(longest) * slice
}

func writePage(name string, page func(io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	return page(f)
}
