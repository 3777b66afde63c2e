package wait

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3}, func(s *labtest.Sim) {
		s.StartAll(Start)
		s.WaitFor(time.Minute, labtest.Violation{What: "nobody leads after a minute", Rule: "somebody leads (rule 1)"}, func() bool { return false })
	})
}
