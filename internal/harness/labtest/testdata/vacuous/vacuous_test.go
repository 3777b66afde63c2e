package vacuous

import (
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 2, Seeds: 3, MustCover: []string{"a message was lost"}}, func(s *labtest.Sim) {
		s.StartAll(Start)
		s.Run(time.Second)
		if s.Net.Stats(labrpc.Match{}).Lost > 0 {
			s.Cover("a message was lost")
		}
	})
}
