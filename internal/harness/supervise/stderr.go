package supervise

import (
	"bytes"
	"io"
	"sync"
)

// keep is how much of the child's stderr is kept to find out why it died.
const keep = 1 << 20

// holder passes the child's stderr on, line by line, until a line that begins
// the report of a crash. From there on it keeps what comes, so that the
// supervisor can print a sentence first and the long report, shortened, last.
//
// A program may print such a line and live. Nothing is lost then: what is kept
// is passed on at the end, or as soon as it is more than a crash would print.
type holder struct {
	out io.Writer

	mu      sync.Mutex
	held    []byte // from the first suspicious line on
	midLine bool   // the last byte that was passed on ended no line
	gaveUp  bool   // too much to be a crash: pass on everything
}

// longestStart is at least the length of each of crashStarts.
const longestStart = 32

var crashStarts = [][]byte{
	[]byte("panic: "), []byte("fatal error: "), []byte("runtime: "), []byte("SIG"), []byte("unexpected fault address"), []byte("[signal "),
}

// Write never fails but when out does.
func (h *holder) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	size := len(p)
	if h.gaveUp {
		return h.out.Write(p)
	}
	if len(h.held) < longestStart { // held for its first letters: look again
		p = append(h.held, p...)
		h.held = nil
	}
	for h.held == nil && len(p) > 0 {
		if !h.midLine && startsCrash(p) {
			break
		}
		line := p
		if at := bytes.IndexByte(p, '\n'); at >= 0 {
			line = p[:at+1]
		}
		if _, err := h.out.Write(line); err != nil {
			return 0, err
		}
		h.midLine = line[len(line)-1] != '\n'
		p = p[len(line):]
	}
	h.held = append(h.held, p...)
	if len(h.held) > keep {
		h.gaveUp = true
		_, err := h.out.Write(h.held)
		h.held = h.held[:keep] // still enough to find out why
		return size, err
	}
	return size, nil
}

// startsCrash tells whether p begins like a crash, as far as p goes: a write may
// end within the word.
func startsCrash(p []byte) bool {
	for _, start := range crashStarts {
		n := min(len(p), len(start))
		if bytes.Equal(p[:n], start[:n]) {
			return true
		}
	}
	return false
}

// rest returns what was held back.
func (h *holder) rest() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

// release passes on what was held back.
func (h *holder) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.gaveUp {
		h.out.Write(h.held)
	}
	h.gaveUp = true
}
