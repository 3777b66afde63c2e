package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// checkHundredsOfOrders: an order is completed, and one is cancelled. After hundreds of others both are as they were, and Place and Cancel change nothing about them
// (rules 45 and 50). Meanwhile Orders cannot reach Stock, where another order waits for its unit: once it can, that order is completed, and one that is placed then, too (rule 43).
// The journals are read at the end only: to read them at every step would take long.
func checkHundredsOfOrders(s *labtest.Sim) {
	const hundreds, batch = 305, 5
	orders := StartOrders(s.Start(sagaNodes.Orders), sagaNodes)
	payments := StartPayments(s.Start(sagaNodes.Payments), sagaNodes, map[string]int{"ann": 1000})
	stock := StartStock(s.Start(sagaNodes.Stock), sagaNodes, map[string]int{"book": 5})
	place := func(id OrderID, customer string) {
		if err := orders.Place(Order{ID: id, Customer: customer, Price: 10, Item: "book"}); err != nil {
			s.Failf(rulePlaced, "Place of order %s returned the error %v at %v, although its node is up", id, err, labtest.At(s.Net.Now()))
		}
	}
	await := func(status OrderStatus, ids ...OrderID) bool {
		return s.Until(sagaLimit, func() bool {
			return !slices.ContainsFunc(ids, func(id OrderID) bool { return orders.Status(id) != status })
		})
	}
	first := map[OrderID]OrderStatus{"completed": OrderCompleted, "cancelled": OrderCancelled}
	wants := func(when string) {
		for _, id := range slices.Sorted(maps.Keys(first)) {
			if got := orders.Status(id); got != first[id] {
				s.Failf(ruleCancel, "order %s is %s at %v, %s, want %[1]s", id, statusName(got), labtest.At(s.Net.Now()), when)
			}
		}
	}
	place("completed", "ann")
	place("cancelled", "eve") // who has no balance
	s.Run(sagaCalm)
	wants("1s after it was placed")
	s.Net.Cut(sagaNodes.Orders, sagaNodes.Stock)
	place("waits", "ann")
	for i := 0; i < hundreds; i += batch {
		var ids []OrderID
		for k := range batch {
			ids = append(ids, OrderID(fmt.Sprint("o", i+k)))
			place(ids[k], "eve") // an order that is completed takes a service three times as long
		}
		if !await(OrderCancelled, ids...) {
			s.Net.Heal() // Orders takes one order after another
		}
	}
	s.Net.Heal()
	place("after it", "ann")
	for _, id := range []OrderID{"waits", "after it"} {
		if !await(OrderCompleted, id) {
			s.Failf(rulePlaced, "order %s is %s at %v, %v after Orders can reach Stock again, want completed: there is enough of everything", id, statusName(orders.Status(id)), labtest.At(s.Net.Now()), sagaLimit)
		}
	}
	when := fmt.Sprintf("after %d other orders", hundreds)
	wants(when)
	for _, id := range slices.Sorted(maps.Keys(first)) {
		status := first[id]
		place(id, map[OrderStatus]string{OrderCompleted: "ann", OrderCancelled: "eve"}[status])
		s.Run(time.Microsecond)
		if now := orders.Status(id); now != status {
			s.Failf(ruleEffectOnce, "order %s, for which Place was called again at %v, is %s, want %s as before", id, labtest.At(s.Net.Now()), statusName(now), statusName(status))
		}
		if done, err := orders.Cancel(id); err != nil || done != (status == OrderCancelled) {
			s.Failf(ruleCancel, "Cancel(%s) returned (%v, %v) at %v, %s, although the order was %[1]s", id, done, err, labtest.At(s.Net.Now()), when)
		}
	}
	s.Run(10 * time.Second)
	wants(when)
	for node, journal := range map[labrpc.NodeID][]Entry{sagaNodes.Orders: orders.Journal(), sagaNodes.Payments: payments.Journal(), sagaNodes.Stock: stock.Journal()} {
		seen := map[Entry]bool{}
		for _, e := range journal {
			if seen[e] {
				s.Failf(ruleEffectOnce, "the journal of %v has the entry %v twice, %s and a second Place of the first ones", node, e, when)
			}
			seen[e] = true
		}
	}
}
