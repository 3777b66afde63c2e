package clocks

import (
	"sync"
	"time"
)

// A HybridTime is a wall time and a counter.
type HybridTime struct {
	Wall    int64
	Logical int
}

// Before compares both.
func (t HybridTime) Before(o HybridTime) bool {
	return t.Wall < o.Wall || t.Wall == o.Wall && t.Logical < o.Logical
}

// A HybridClock follows the paper's figure 5, case by case.
type HybridClock struct {
	wall func() time.Time
	mu   sync.Mutex
	l    int64
	c    int
}

// NewHybridClock returns a clock at which nothing has happened.
func NewHybridClock(wall func() time.Time) *HybridClock { return &HybridClock{wall: wall} }

// Tick is the paper's "send or local event".
func (h *HybridClock) Tick() HybridTime {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := max(h.l, h.wall().UnixNano()); l == h.l {
		h.c++
	} else {
		h.l, h.c = l, 0
	}
	return HybridTime{h.l, h.c}
}

// Receive is the paper's "receive event of message m".
func (h *HybridClock) Receive(m HybridTime) HybridTime {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := max(h.l, m.Wall, h.wall().UnixNano())
	switch {
	case l == h.l && l == m.Wall:
		h.c = max(h.c, m.Logical) + 1
	case l == h.l:
		h.c++
	case l == m.Wall:
		h.c = m.Logical + 1
	default:
		h.c = 0
	}
	h.l = l
	return HybridTime{h.l, h.c}
}
