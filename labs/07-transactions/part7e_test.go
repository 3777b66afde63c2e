package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

// Orders for which there is money and stock are completed, one after another and several at once (rules 43, 44, 49 and 50).
func TestOrdersComplete7E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		if s.Seed%5 == 1 {
			checkManyOrders(s)
			return
		}
		if s.Seed%20 == 2 {
			checkHundredsOfOrders(s)
			return
		}
		c := newSagaCluster(s, map[string]int{"ann": 100, "bob": 50}, map[string]int{"book": 10})
		c.place("a1", "ann")
		c.placeAgain("a1")
		c.end(sagaCalm)
		c.wants("a1", OrderCompleted)
		c.placeAgain("a1")
		for i := range 3 {
			c.place(OrderID(fmt.Sprint("a", i+2)), "ann")
			c.place(OrderID(fmt.Sprint("b", i+2)), "bob")
		}
		c.end(sagaCalm)
		for i := range 3 {
			c.wants(OrderID(fmt.Sprint("a", i+2)), OrderCompleted)
			c.wants(OrderID(fmt.Sprint("b", i+2)), OrderCompleted)
		}
		c.isSilent()
		before := s.Net.Stats(labrpc.Match{}).Sent
		for _, id := range s.Net.Nodes() {
			c.restart(id)
		}
		s.Run(time.Minute)
		if n := s.Net.Stats(labrpc.Match{}).Sent - before; n > 0 {
			s.Failf(ruleSagaRest, "after a restart of all services they sent %d messages, although every order ended more than a minute before", n)
		}
		c.staysEnded("b9", "bob") // a new message must not be taken for an old one
		c.wants("b9", OrderCompleted)
	})
}

// checkManyOrders: so many orders are pending at once that a narrow number wraps, of units or of messages, and there are more units than 16 bits can count. Then the
// messages of the first orders, which ended before, are sent once more: to the services, and to their next incarnations (rules 43, 45 and 46).
func checkManyOrders(s *labtest.Sim) {
	const orders = 130
	var old []labrpc.Message
	first := true
	s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
		if m.Kind != labrpc.Reply && first {
			old = append(old, *m)
		}
		return labrpc.Pass
	})
	c := newSagaCluster(s, map[string]int{"ann": 10 * (orders + 2), "cid": 10}, map[string]int{"book": 1 << 20, "pen": 1})
	c.endInEveryWay()
	first = false
	sold := c.stock.Units("book").Sold
	s.Net.Cut(sagaNodes.Stock, sagaNodes.Orders)
	for i := range orders {
		c.place(OrderID(fmt.Sprintf("a%03d", i)), "ann")
	}
	s.Until(5*time.Second, func() bool { return c.items["book"].Reserved == orders }) // fewer, if a service sends one message at a time
	s.Net.Heal()
	c.end(sagaLimit)
	s.Run(10 * time.Second)
	c.arriveAgain(old)
	s.Run(time.Second)
	for _, id := range s.Net.Nodes() {
		c.restart(id)
	}
	c.arriveAgain(old)
	s.Run(time.Second)
	c.end(sagaLimit)
	if got := c.stock.Units("book").Sold - sold; got != orders {
		s.Failf(ruleWhole, "%d units of book are sold to ann, want %d: so many orders are completed", got, orders)
	}
}

// endInEveryWay: an order is completed, and one is cancelled when it is reserved. Meanwhile Payments refuses an order and Stock another, which lack the money and the unit
// that the cancelled order has. When all have ended, both are there again: a copy of a message that was refused would now succeed.
func (c *sagaCluster) endInEveryWay() {
	c.place("e1", "ann")
	c.end(sagaCalm)
	c.wants("e1", OrderCompleted)
	c.s.Run(sagaCalm) // its last acknowledgements arrive: a service may send one message after another
	c.s.Net.Cut(sagaNodes.Stock, sagaNodes.Orders)
	c.placeItem("e2", "cid", "pen")
	c.s.Until(sagaCalm, func() bool { return c.placed["e2"].has[Reserved] }) // or never, if Stock fetches its messages
	c.place("e3", "cid")
	c.placeItem("e4", "ann", "pen")
	c.s.Run(500 * time.Millisecond)
	c.cancel("e2")
	c.s.Net.Heal()
	c.end(sagaLimit) // e3 and e4 are completed, if Orders takes one order after another
}

// arriveAgain makes old messages arrive once more. The orders that they are about have ended.
func (c *sagaCluster) arriveAgain(old []labrpc.Message) {
	c.again = ", after messages of orders that had ended arrived once more"
	for _, m := range old {
		_ = c.s.Net.Inject(m)
	}
}

// Bob has too little money: his order is cancelled at the second step. Then the stock is empty: Ann's order is cancelled at the third, and
// she has her money back (rules 44, 46, 47 and 50).
func TestOrdersFail7E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 5, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		c := newSagaCluster(s, map[string]int{"ann": 100, "bob": 10}, map[string]int{"book": 2, "pen": 9})
		c.place("b1", "bob")
		c.end(sagaCalm)
		c.wants("b1", OrderCompleted)
		c.place("b2", "bob")
		c.end(sagaCalm)
		c.wants("b2", OrderCancelled)
		c.place("a1", "ann")
		c.end(sagaCalm)
		c.wants("a1", OrderCompleted)
		c.place("a2", "ann")
		c.end(sagaCalm)
		c.wants("a2", OrderCancelled)
		c.placeAgain("a2")
		c.place("e1", "eve") // who has no balance
		c.end(sagaCalm)
		c.wants("e1", OrderCancelled)
		c.placeItem("a3", "ann", "globe") // which Stock does not know
		c.placeItem("a4", "ann", "pen")   // of which there are some
		c.end(sagaCalm)
		c.wants("a3", OrderCancelled)
		c.wants("a4", OrderCompleted)
		if got := c.payments.Balance("ann"); got != 8*c.price {
			s.Failf(ruleWhole, "the balance of ann is %d, want %d: two of her orders were completed, the others cancelled", got, 8*c.price)
		}
		c.isSilent()
		c.staysEnded("b3", "bob") // who still has too little
		c.wants("b3", OrderCancelled)
	})
}

// staysEnded waits for an hour, and places another order. The orders that had ended before are as they were, also if Place and Cancel are called for them again.
func (c *sagaCluster) staysEnded(id OrderID, customer string) {
	before := map[OrderID]OrderStatus{}
	for id := range c.placed {
		before[id] = c.orders.Status(id)
	}
	c.s.Run(time.Hour) // a service may drop what is old only if that has no effect
	c.place(id, customer)
	c.areAs(before, "an hour ago")
	c.end(sagaCalm)
}

// areAs checks that orders which had ended are as they were, and that Place and Cancel change nothing about them.
func (c *sagaCluster) areAs(before map[OrderID]OrderStatus, when string) {
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if now := c.orders.Status(id); now != before[id] {
			c.s.Failf(ruleCancel, "order %s is %s at %v, but it was %s %s", id, statusName(now), labtest.At(c.s.Net.Now()), statusName(before[id]), when)
		}
		c.placeAgain(id)
		if done := c.cancel(id); done != (before[id] == OrderCancelled) {
			c.s.Failf(ruleCancel, "Cancel returned %v for order %s at %v, although it was %s %s", done, id, labtest.At(c.s.Net.Now()), statusName(before[id]), when)
		}
	}
}

// Ann's order has reserved the last unit, and Stock is then cut off from Orders. Bob orders it too. While the unit is reserved he cannot have it,
// and Ann's order is completed after all (rule 48). Or Ann cancels it: then the unit can be ordered again (rule 49).
func TestLastUnit7E(t *testing.T) {
	labtest.Run(t, labtest.Config{Nodes: 3, Seeds: 6, Limit: 2 * time.Hour}, func(s *labtest.Sim) {
		c := newSagaCluster(s, map[string]int{"ann": 100, "bob": 100}, map[string]int{"book": 1})
		c.place("a1", "ann")
		c.waitFor("a1", Reserved)
		cut := func() { s.Net.Cut(sagaNodes.Stock, sagaNodes.Orders); s.Net.Cut(sagaNodes.Stock, sagaNodes.Payments) }
		cut()
		c.place("b1", "bob")
		s.Run(5 * time.Second)
		if s.Seed%3 == 0 {
			s.Run(time.Hour) // no order expires, and pauses between two attempts do not grow without limit
		}
		if s.Seed%2 == 0 {
			c.restart(sagaNodes.Stock)
			s.Run(5 * time.Second)
		}
		cancelled := s.Seed%3 == 1 && c.cancel("a1")
		s.Net.Heal()
		c.end(sagaLimit)
		if cancelled {
			c.wants("a1", OrderCancelled)
			if c.orders.Status("b1") == OrderCancelled { // the unit was not available then, and is now
				c.place("b2", "bob")
				c.end(sagaLimit)
				c.wants("b2", OrderCompleted)
			}
			return
		}
		c.wants("a1", OrderCompleted)
		c.wants("b1", OrderCancelled)
	})
}

// waitFor waits until an order has an effect.
func (c *sagaCluster) waitFor(id OrderID, effect Effect) {
	c.s.WaitFor(sagaCalm, *breach(rulePlaced, "order %s is not %s within %v, although all services are up and connected", id, effect, sagaCalm),
		func() bool { return c.placed[id].has[effect] })
}

// Orders are cancelled at any time. What Cancel returns, becomes true (rules 46, 47 and 50).
func TestCancel7E(t *testing.T) {
	const compensated, late = "an order was cancelled after it was reserved", "an order was completed before it was cancelled"
	cfg := labtest.Config{Nodes: 3, Seeds: 8, MustCover: []string{compensated, late}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newSagaCluster(s, map[string]int{"ann": 1000}, map[string]int{"book": 1<<16 + 1<<40})
		if c.cancel("a0") {
			s.Failf(ruleCancel, "Cancel returned true for an order that was never placed")
		}
		c.place("b0", "ann")
		c.place("b1", "ann") // which does not end as the other one
		c.cancel("b0")
		c.end(sagaCalm)
		c.wants("b1", OrderCompleted)
		for i := range 8 {
			id := OrderID(fmt.Sprint("a", i))
			c.place(id, "ann")
			s.Run(time.Duration(s.Rand().Int64N(int64(80 * time.Millisecond))))
			switch {
			case i == 1:
				s.Until(sagaCalm, func() bool { return c.placed[id].has[Reserved] })
			case i == 3:
				s.Run(sagaCalm)
			case s.Rand().IntN(3) == 0:
				s.Run(200 * time.Millisecond)
			}
			status := c.orders.Status(id)
			if done := c.cancel(id); done == (status == OrderCompleted) {
				s.Failf(ruleCancel, "Cancel returned %v for order %s, which was %s", done, id, statusName(status))
			}
			if i >= 6 { // the orders before have been cancelled once
				if again := c.cancel(id); again != (status != OrderCompleted) {
					s.Failf(ruleCancel, "a second Cancel returned %v for order %s, which was %s before the first", again, id, statusName(status))
				}
			}
			if i%2 == 0 {
				c.restart(sagaNodes.Orders)
			}
			if status == OrderCompleted {
				s.Cover(late)
			}
		}
		c.end(sagaLimit)
		for _, id := range slices.Sorted(maps.Keys(c.placed)) {
			if status := c.orders.Status(id); c.cancel(id) != (status == OrderCancelled) {
				s.Failf(ruleCancel, "Cancel returned %v for order %s, which was %s", status != OrderCancelled, id, statusName(status))
			}
		}
		c.end(0)
		for id := range c.cancelled {
			if c.placed[id].has[Released] {
				s.Cover(compensated)
			}
		}
		c.isSilent()
	})
}

// Links duplicate and delay messages. When all orders have ended, every message is sent once more, in any order, in some seeds an hour later, or to services
// that have restarted (rules 45 to 47).
func TestDuplicates7E(t *testing.T) {
	const duplicated, compensated = "messages arrived twice", "an order was cancelled after it was reserved"
	link := labrpc.Link{Latency: labrpc.Uniform(time.Millisecond, 300*time.Millisecond), Duplicate: 0.7}
	cfg := labtest.Config{Nodes: 3, Link: link, Seeds: 6, Limit: 2 * time.Hour, MustCover: []string{duplicated, compensated}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		var seen []labrpc.Message
		s.Net.Intercept(func(m *labrpc.Message) labrpc.Verdict {
			if m.Kind != labrpc.Reply {
				seen = append(seen, *m)
			}
			return labrpc.Pass
		})
		c := newSagaCluster(s, map[string]int{"ann": 30, "bob": 100}, map[string]int{"book": 4})
		c.place("c0", "bob")
		c.s.Until(sagaLimit, func() bool { return c.placed["c0"].has[Reserved] })
		c.cancel("c0")
		for i := range 4 {
			c.place(OrderID(fmt.Sprint("a", i)), "ann")
			c.place(OrderID(fmt.Sprint("b", i)), "bob")
			s.Run(time.Duration(s.Rand().Int64N(int64(300 * time.Millisecond))))
			if i > 1 {
				c.cancel(OrderID(fmt.Sprint("b", i-1)))
			}
		}
		c.end(sagaLimit)
		for _, o := range c.placed {
			if o.has[Released] {
				s.Cover(compensated)
			}
		}
		s.Run(10 * time.Second)
		if s.Seed%3 == 0 {
			s.Run(time.Hour) // a message may arrive late, too
		}
		if s.Seed%2 == 0 {
			for _, id := range s.Net.Nodes() {
				c.restart(id)
			}
		}
		s.Net.SetLinks(labrpc.Reliable())
		s.Rand().Shuffle(len(seen), func(i, j int) { seen[i], seen[j] = seen[j], seen[i] })
		c.arriveAgain(seen)
		s.Run(10 * time.Second)
		c.end(sagaLimit)
		if s.Net.Stats(labrpc.Match{}).Duplicated > 0 {
			s.Cover(duplicated)
		}
	})
}

// Each service crashes before its first write of a round, after it, before its second, and so on, until a round has fewer writes. Each round has an order that
// is completed, or cancelled by its customer, and one that fails (rules 43 to 47 and 51).
func TestCrashAtEveryWrite7E(t *testing.T) {
	const crashed = "a service crashed at a write"
	cfg := labtest.Config{Nodes: 3, Seeds: 3, Limit: 3 * time.Hour, MustCover: []string{crashed}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		victim := labrpc.NodeID(1 + s.Seed%3)
		c := newSagaCluster(s, map[string]int{"ann": 10000, "bob": 0}, map[string]int{"book": 500})
		round := 0
		for _, after := range []bool{false, true} {
			for write := 1; write <= 40; write++ { // no service needs as many
				round++
				c.start()
				s.Net.CrashAtWrite(victim, labrpc.CrashPoint{Write: s.Net.Writes(victim) + write, After: after})
				bob, ann := OrderID(fmt.Sprint("bob", round)), OrderID(fmt.Sprint("ann", round))
				for _, id := range []OrderID{ann, bob} {
					if s.Net.Up(sagaNodes.Orders) {
						c.place(id, string(id[:3]))
					}
				}
				s.Run(time.Duration(s.Rand().Int64N(int64(60 * time.Millisecond))))
				if round%2 == 0 && s.Net.Up(sagaNodes.Orders) {
					c.cancel(ann)
				}
				s.Run(2 * time.Second)
				reached := !s.Net.Up(victim)
				s.Net.CrashAtWrite(victim, labrpc.CrashPoint{})
				c.start()
				c.end(sagaLimit)
				if !reached {
					break
				}
				s.Cover(crashed)
			}
		}
	})
}

// Orders and cancellations, while services crash, also at writes, and links lose and duplicate messages (rules 43 to 51).
func TestSafeInAStorm7E(t *testing.T) {
	const crashed, completed, compensated = "a service crashed", "an order was completed", "an order was cancelled after it was charged"
	cfg := labtest.Config{Nodes: 3, Link: labrpc.FairLoss(0.2), Seeds: 8, MustCover: []string{crashed, completed, compensated}}
	labtest.Run(t, cfg, func(s *labtest.Sim) {
		c := newSagaCluster(s, map[string]int{"ann": 60, "bob": 60}, map[string]int{"book": 7})
		for i := range 30 {
			node := labrpc.NodeID(1 + s.Rand().IntN(3))
			id := OrderID(fmt.Sprint("o", i))
			switch s.Rand().IntN(6) {
			case 0:
				s.Net.Crash(node)
			case 1:
				s.Net.CrashAtWrite(node, labrpc.CrashPoint{Write: s.Net.Writes(node) + 1 + s.Rand().IntN(3), After: s.Rand().IntN(2) == 0})
			case 2:
				if earlier := OrderID(fmt.Sprint("o", s.Rand().IntN(i+1))); s.Net.Up(sagaNodes.Orders) && c.placed[earlier] != nil {
					c.cancel(earlier)
				}
			default:
				if s.Net.Up(sagaNodes.Orders) {
					c.place(id, []string{"ann", "bob"}[s.Rand().IntN(2)])
				}
			}
			s.Run(time.Duration(1 + s.Rand().Int64N(int64(200*time.Millisecond))))
			if s.Rand().IntN(3) == 0 && !(s.Net.Up(1) && s.Net.Up(2) && s.Net.Up(3)) {
				s.Cover(crashed)
				c.start()
			}
		}
		for _, id := range s.Net.Nodes() {
			s.Net.CrashAtWrite(id, labrpc.CrashPoint{})
		}
		c.start()
		c.end(sagaLimit)
		for _, o := range c.placed {
			if o.has[Completed] {
				s.Cover(completed)
			}
			if o.has[Refunded] {
				s.Cover(compensated)
			}
		}
		c.isSilent()
	})
}
