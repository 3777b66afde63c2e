package panic

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		s.StartAll(func(n *labrpc.Node) { Start(n) })
		s.Run(10 * time.Second)
	})
}
