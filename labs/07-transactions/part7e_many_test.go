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

// checkHundredsOfOrders: an order is completed, and one is cancelled. Then Stock is isolated when it should reserve units for some orders. After hundreds of others
// the first two are as they were, Place and Cancel change nothing about them (rules 45 and 50), and the orders that wait for Stock are completed (rule 43). The
// journals are read at the end only: to read them at every step would take long.
func checkHundredsOfOrders(s *labtest.Sim) {
	h := &hundredsOfOrders{s: s, orders: StartOrders(s.Start(sagaNodes.Orders), sagaNodes)}
	payments := StartPayments(s.Start(sagaNodes.Payments), sagaNodes, map[string]int{"ann": 1000})
	stock := StartStock(s.Start(sagaNodes.Stock), sagaNodes, map[string]int{"book": 20})
	first := map[OrderID]OrderStatus{"completed": OrderCompleted, "cancelled": OrderCancelled}
	h.place("completed", "ann")
	h.place("cancelled", "eve") // who has no balance
	s.Run(sagaCalm)
	h.are(first, "1s after it was placed")
	h.waitForStock()
	h.are(first, h.when())
	for _, id := range slices.Sorted(maps.Keys(first)) {
		status := first[id]
		h.place(id, map[OrderStatus]string{OrderCompleted: "ann", OrderCancelled: "eve"}[status])
		s.Run(time.Microsecond)
		if now := h.orders.Status(id); now != status {
			s.Failf(ruleEffectOnce, "order %s, for which Place was called again at %v, is %s, want %s as before", id, labtest.At(s.Net.Now()), statusName(now), statusName(status))
		}
		if done, err := h.orders.Cancel(id); err != nil || done != (status == OrderCancelled) {
			s.Failf(ruleCancel, "Cancel(%s) returned (%v, %v) at %v, %s, although the order was %[1]s", id, done, err, labtest.At(s.Net.Now()), h.when())
		}
	}
	s.Run(10 * time.Second)
	h.are(first, h.when())
	for node, journal := range map[labrpc.NodeID][]Entry{sagaNodes.Orders: h.orders.Journal(), sagaNodes.Payments: payments.Journal(), sagaNodes.Stock: stock.Journal()} {
		seen := map[Entry]bool{}
		for _, e := range journal {
			if seen[e] {
				s.Failf(ruleEffectOnce, "the journal of %v has the entry %v twice, %s and a second Place of the first ones", node, e, h.when())
			}
			seen[e] = true
		}
	}
}

// hundredsOfOrders is what checkHundredsOfOrders has placed.
type hundredsOfOrders struct {
	s      *labtest.Sim
	orders *Orders
	others int
}

func (h *hundredsOfOrders) when() string { return fmt.Sprintf("after %d other orders", h.others) }

func (h *hundredsOfOrders) place(id OrderID, customer string) {
	if err := h.orders.Place(Order{ID: id, Customer: customer, Price: 10, Item: "book"}); err != nil {
		h.s.Failf(rulePlaced, "Place of order %s returned the error %v at %v, although its node is up", id, err, labtest.At(h.s.Net.Now()))
	}
}

// are checks that two orders are as they were.
func (h *hundredsOfOrders) are(first map[OrderID]OrderStatus, when string) {
	for _, id := range slices.Sorted(maps.Keys(first)) {
		if got := h.orders.Status(id); got != first[id] {
			h.s.Failf(ruleCancel, "order %s is %s at %v, %s, want %[1]s", id, statusName(got), labtest.At(h.s.Net.Now()), when)
		}
	}
}

// waitForStock: some orders of ann wait for Stock, which is isolated. Meanwhile hundreds of orders are refused by Payments. Then Stock is back, and what is sent to it for new
// orders of ann arrives before what was sent to it in vain, and is sent again: for the first ones at different times within a second.
func (h *hundredsOfOrders) waitForStock() {
	const hundreds, batch = 306, 6
	s := h.s
	s.Net.Isolate(sagaNodes.Stock)
	var ann []OrderID
	for i := range 5 {
		ann = append(ann, OrderID(fmt.Sprint("ann", i)))
		h.place(ann[i], "ann")
		s.Run(200 * time.Millisecond)
	}
	for ; h.others < hundreds; h.others += batch {
		var refused []OrderID
		for i := range batch {
			refused = append(refused, OrderID(fmt.Sprint("o", h.others+i)))
			h.place(refused[i], "eve") // an order that is completed takes a service three times as long
		}
		s.Run(sagaCalm)
		if len(h.pending(refused)) > 0 {
			s.Net.Heal() // one message is sent after another: they wait for Stock, too
		}
	}
	s.Net.Heal()
	for i := range 5 {
		ann = append(ann, OrderID(fmt.Sprint("new", i)))
		h.place(ann[len(ann)-1], "ann")
	}
	if !s.Until(sagaLimit, func() bool { return len(h.pending(ann)) == 0 }) {
		s.Failf(rulePlaced, "order %s of ann is pending at %v, %v after Stock was connected again, want it completed; while Stock was isolated, %d other orders were cancelled",
			h.pending(ann)[0], labtest.At(s.Net.Now()), sagaLimit, h.others)
	}
	for _, id := range ann {
		if h.orders.Status(id) != OrderCompleted {
			s.Failf(ruleReason, "order %s is cancelled at %v, %s, although there was enough of everything", id, labtest.At(s.Net.Now()), h.when())
		}
	}
}

// pending returns those of the orders that have not ended.
func (h *hundredsOfOrders) pending(ids []OrderID) []OrderID {
	return slices.DeleteFunc(slices.Clone(ids), func(id OrderID) bool {
		status := h.orders.Status(id)
		return status == OrderCompleted || status == OrderCancelled
	})
}
