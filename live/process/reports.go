package process

import (
	"encoding/json"
	"io"
	"strings"
	"sync"

	"distlabs/live/control"
)

// Reports are what the process says to the command, a line each.
type Reports struct {
	mu sync.Mutex
	w  io.Writer
}

// Say writes a report.
func (r *Reports) Say(report control.Report) {
	b, err := json.Marshal(report)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(append(b, '\n'))
}

// Write makes a line of the log a report.
func (r *Reports) Write(b []byte) (int, error) {
	r.Say(control.Report{Log: strings.TrimSpace(string(b))})
	return len(b), nil
}
