package announced

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

// What is known of a failure is printed before the test is over.
func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		c := NewCounter(s.Start(1))
		labrpc.Send(s.Start(2), 1, "add", struct{}{})
		s.Run(time.Second)
		if got := c.Count(); got != 1 {
			s.Failf("one message counts once", "n1 counts %d, want 1: it was sent one message", got)
		}
	})
}
