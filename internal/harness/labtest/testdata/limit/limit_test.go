package limit

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1, Seeds: 3, Limit: time.Minute}, func(s *labtest.Sim) {
		n := Start(s.Start(1))
		s.Run(time.Second)
		n.Submit(1)
	})
}
