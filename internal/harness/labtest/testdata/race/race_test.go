package race

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3}, func(s *labtest.Sim) {
		s.StartAll(func(n *labrpc.Node) {
			if s.Seed == 1 {
				Start(n)
			} else {
				StartWatched(n) // races in another place too, which nobody need read before the first is mended
			}
		})
		s.Run(10 * time.Second)
	})
}
