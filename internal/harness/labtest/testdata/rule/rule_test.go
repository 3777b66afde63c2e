package rule

import (
	"fmt"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
)

func TestIt(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 3, Link: labrpc.FairLoss(0.3)}, func(s *labtest.Sim) {
		led := map[int]labrpc.NodeID{}
		s.StartAll(func(n *labrpc.Node) {
			Start(n, func(term int) {
				labrpc.Tell(n, term, func(at time.Duration, term int) {
					if other, ok := led[term]; ok && other != n.ID() {
						s.Fail(labtest.Violation{
							What:  fmt.Sprintf("at %v, %v and %v both lead term %d", labtest.At(at), other, n.ID(), term),
							Rule:  "at most one leader per term (Raft §5.2)",
							Nodes: []labrpc.NodeID{other, n.ID()},
						})
					}
					led[term] = n.ID()
				})
			})
		})
		s.Run(10 * time.Second)
	})
}
