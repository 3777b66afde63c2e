package transactions_test

import (
	"testing"

	"distlabs/internal/harness/labtest"
	"distlabs/labs/07-transactions"
)

// A transaction reads what it has written (rule 2).
func TestOwnWrites7A(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 1}, func(s *labtest.Sim) {
		node := s.Start(1)
		store, err := transactions.OpenLockStore(node, node.Disk())
		if err != nil {
			s.Failf("Open returns nil (rule 1)", "OpenLockStore returned the error %v", err)
		}
		tx := store.Begin()
		_ = tx.Put("x", "1")
		if got, ok, err := tx.Get("x"); got != "1" || !ok || err != nil {
			s.Failf("a transaction sees its own writes (rule 2)", "Get(x) = %q, %v, %v, want 1", got, ok, err)
		}
	})
}
