package late

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

// The check comes last, and says when the rule was broken.
func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 1}, func(s *labtest.Sim) {
		c := NewCounter(s.Start(1))
		NewCounter(s.Start(2))
		type call struct {
			number int
			at     time.Duration
		}
		var calls []call
		for range 20 {
			calls = append(calls, call{number: c.Next(), at: s.Net.Now()})
			s.Run(time.Second)
		}
		for i := 1; i < len(calls); i++ {
			if calls[i].number <= calls[i-1].number {
				s.Fail(labtest.Violation{
					What: fmt.Sprintf("Next returned %d at %v, after %d", calls[i].number, calls[i].at.Round(time.Millisecond), calls[i-1].number),
					Rule: "each number is higher than the last", At: calls[i].at,
				})
			}
		}
	})
}
