package unseeded

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3}, func(s *labtest.Sim) {
		s.StartAll(Start)
		s.Run(10 * time.Second)
		s.Failf("a rule", "failed at the end")
	})
}
