package replication_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/05-replication"
)

// A watchRecorder keeps what a watch has reported so far. Each event is checked as it comes.
type watchRecorder struct {
	c      *testClient
	prefix string
	after  int
	end    *pendingCall[bool]
	cancel context.CancelFunc

	mu     sync.Mutex
	events []Event
}

// watch begins a watch.
func (c *testClient) watch(prefix string, after int) *watchRecorder {
	w := &watchRecorder{c: c, prefix: prefix, after: after}
	ctx, cancel := labtest.WithCancel(c.node.Context())
	w.cancel = cancel
	w.end = startCall(c, fmt.Sprintf("watch(%q, after %d)", prefix, after), func(_ context.Context, client *Client) (bool, error) {
		return true, client.Watch(ctx, prefix, after, func(e Event) {
			tellTest(c, e, w.add)
		})
	})
	return w
}

// add checks and keeps an event that the watch reported (rule 25).
func (w *watchRecorder) add(_ time.Duration, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.after
	if n := len(w.events); n > 0 {
		last = w.events[n-1].Revision
	}
	if n := len(w.events); n > 0 && e.Revision == last && e.Key != w.events[n-1].Key {
		w.c.v.s.Failf("each change has a revision of its own, and a watch reports each once (rules 23 and 25)",
			"on %v, the watch of %s reported revision %d twice, as changes of %s and of %s", w.c.id, prefixText(w.prefix), last, w.events[n-1].Key, e.Key)
	}
	if e.Revision <= last || !strings.HasPrefix(e.Key, w.prefix) {
		w.c.v.s.Failf(ruleWatch, "on %v, the watch of %s reported revision %d (%s) after revision %d", w.c.id, prefixText(w.prefix), e.Revision, e.Key, last)
	}
	w.events = append(w.events, e)
}

// compacted checks that the watch ends with ErrCompacted, because so many of the changes up to that revision are kept (rule 26).
func (w *watchRecorder) compacted(kept, revision int) {
	why := fmt.Sprintf("want ErrCompacted: the revision is %d, and the last %d changes are kept", revision, kept)
	w.c.v.s.WaitFor(commandLimit, labtest.Violation{
		What: fmt.Sprintf("on %v, a watch after revision %d had not returned after %v, %s", w.c.id, w.after, commandLimit, why),
		Rule: ruleCompacted, Nodes: append([]labrpc.NodeID{w.c.id}, w.c.v.servers...),
	}, w.end.returned)
	if _, err := w.end.wait(); err != "ErrCompacted" {
		w.c.v.s.Failf(ruleCompacted, "on %v, a watch after revision %d returned %s, %s", w.c.id, w.after, orNil(err), why)
	}
}

// seen returns the events so far.
func (w *watchRecorder) seen() []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// waitForEvents waits until the watch has told of n events.
func (w *watchRecorder) waitForEvents(n int) []Event {
	seen, ok := w.reported(n)
	if !ok || len(seen) > n {
		w.failCount(seen, n)
	}
	return seen
}

// reported waits, for as long as a watch may take, until it has told of n events, and returns those that it has told of then.
func (w *watchRecorder) reported(n int) (seen []Event, ok bool) {
	ok = w.c.v.s.Until(watchLimit, func() bool { return len(w.seen()) >= n })
	return w.seen(), ok
}

// failCount fails, because the watch has not told of n events.
func (w *watchRecorder) failCount(seen []Event, n int) {
	var lines []string
	last := ""
	if len(seen) > 0 {
		last = "; these are the last that it reported"
	}
	for _, e := range seen[max(0, len(seen)-5):] {
		lines = append(lines, fmt.Sprintf("revision %d: %v", e.Revision, eventText(e)))
	}
	if w.end.returned() {
		_, err := w.end.wait()
		lines = append(lines, fmt.Sprintf("the watch has ended: it returned %s", orNil(err)))
	}
	w.c.v.s.Fail(labtest.Violation{
		What: fmt.Sprintf("on %v, the watch of %s after revision %d reported %d changes within %v, want the %d that the clients made%s", w.c.id, prefixText(w.prefix), w.after, len(seen), watchLimit, n, last),
		Rule: ruleWatch, Seen: lines,
	})
}

// sameEvents checks that two watches reported the same events.
func (v *storeCluster) sameEvents(rule, whose string, got, want []Event) {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			v.s.Failf(rule, "%s: change %d is %v at revision %d, but another watch reported %v at revision %d",
				whose, i+1, eventText(got[i]), got[i].Revision, eventText(want[i]), want[i].Revision)
		}
	}
	if len(got) != len(want) {
		v.s.Failf(rule, "%s reported %d changes, but another watch reported %d", whose, len(got), len(want))
	}
}

func eventText(e Event) string {
	if e.Deleted {
		return fmt.Sprintf("%s deleted", shortText([]byte(e.Key)))
	}
	return fmt.Sprintf("%s = %q", shortText([]byte(e.Key)), shortText([]byte(e.Data)))
}

// prefixText says of which keys a watch tells.
func prefixText(prefix string) string {
	if prefix == "" {
		return "all keys"
	}
	return fmt.Sprintf("the keys that begin with %q", prefix)
}
