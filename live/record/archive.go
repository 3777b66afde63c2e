package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/live/control"
)

// segmentSteps is how many steps are compressed together.
const segmentSteps = 4096

// An Archive keeps all steps of a long run, compressed: what went wrong is often found at its end. Its methods may be called by several goroutines at once.
type Archive struct {
	nodes int
	began time.Time

	mu       sync.Mutex
	current  []control.Step
	segments [][]byte
	err      error
}

// NewArchive returns an archive of so many nodes.
func NewArchive(nodes int) *Archive { return &Archive{nodes: nodes, began: time.Now()} }

// Began is the time from which the steps of its runs count.
func (a *Archive) Began() time.Time { return a.began }

// Add takes steps that a process has reported.
func (a *Archive) Add(steps []control.Step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current = append(a.current, steps...); len(a.current) >= segmentSteps {
		segment, err := pack(a.current)
		if err != nil {
			a.err = err
		}
		a.segments, a.current = append(a.segments, segment), nil
	}
}

// Run returns the run between two times. What the steps before it have left stands at its beginning.
func (a *Archive) Run(h trace.Header, from, to time.Time) (*trace.Run, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	r := New(a.nodes, 0, 1<<30)
	r.began = a.began
	take := func(steps []control.Step) {
		for _, s := range steps {
			if int64(s.Event.At) <= to.UnixNano() {
				r.Add([]control.Step{s})
			}
		}
		// Segments overlap a little: one process may report later than another.
		inOrder(r.steps)
		r.trim(min(from.Sub(a.began), r.latest()-time.Second))
	}
	for _, segment := range a.segments {
		steps, err := unpack(segment)
		if err != nil {
			return nil, err
		}
		take(steps)
	}
	take(a.current)
	r.trim(from.Sub(a.began))
	return r.run(h), nil
}

func pack(steps []control.Step) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		err = json.NewEncoder(w).Encode(steps)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("live: archive: %w", err)
	}
	return b.Bytes(), nil
}

func unpack(segment []byte) (steps []control.Step, err error) {
	r, err := gzip.NewReader(bytes.NewReader(segment))
	if err == nil {
		err = json.NewDecoder(r).Decode(&steps)
	}
	if err != nil {
		return nil, fmt.Errorf("live: archive: %w", err)
	}
	return steps, nil
}
