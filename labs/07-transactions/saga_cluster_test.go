package transactions_test

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"distlabs/internal/harness/labtest"
	"distlabs/labrpc"
	. "distlabs/labs/07-transactions"
)

const (
	rulePlaced       = "an order for which Place returned nil is pending, and is completed or cancelled 30s after all services are up and connected, in a calm network with at most six pending orders 1s after Place; Place and Cancel return at once (rule 43; Garcia-Molina, Salem 1987)"
	ruleWhole        = "a completed order has all effects of its steps, Completed and Sold; a cancelled order has Created and Cancelled, and each other step that ran has its compensation (rule 44; Garcia-Molina, Salem 1987)"
	ruleEffectOnce   = "each effect of an order happens at most once, also if Place is called again, and balances and units agree with the journals (rule 45)"
	ruleCompensates  = "a compensation runs only for a step that has run, and no step runs after its compensation (rule 46; Garcia-Molina, Salem 1987)"
	ruleReverse      = "the steps run in the order Created, Charged, Reserved, and compensations in reverse order: Released, Refunded, Cancelled (rule 47; Garcia-Molina, Salem 1987)"
	ruleSemanticLock = "a reserved unit belongs to its order until it is released or sold, and no balance and no number of units is negative (rule 48)"
	ruleReason       = "an order is cancelled only if Cancel returned true or an error for it, the balance was below its price or no unit was available (rule 49)"
	ruleCancel       = "Cancel returns true if the order is known and not completed, and then the order is cancelled; a completed or cancelled order stays so (rule 50)"
	ruleJournal      = "a journal only grows: an entry that it has shown stays, also after a crash, and whatever the caller does with the slice (rule 51)"
	ruleSagaRest     = "from a minute after every order has ended on, no service sends messages, also after a restart (rule 52)"

	sagaLimit = 30 * time.Second // rule 43
	sagaCalm  = time.Second      // rule 43
)

var sagaNodes = Services{Orders: 1, Payments: 2, Stock: 3}

// A sagaCluster is the three services. It reads their journals at every step, and checks rules 45 to 48 and 51.
type sagaCluster struct {
	s        *labtest.Sim
	price    int            // of every order
	balances map[string]int // at first
	units    map[string]int

	orders   *Orders
	payments *Payments
	stock    *Stock

	placed    map[OrderID]*sagaOrder
	journals  map[labrpc.NodeID][]Entry // as seen last
	changed   map[OrderID]bool          // it has effects that were not compared with the other services' yet
	money     map[string]int            // the balances by the journal
	items     map[string]Units          // the units by the journal
	cancelled map[OrderID]bool          // Cancel returned true
	perhaps   map[OrderID]bool          // Cancel returned an error
	again     string                    // how a failure ends once old messages have arrived again
}

// A sagaOrder is an order of the test, and its effects.
type sagaOrder struct {
	Order
	promised bool // Place has returned nil
	has      map[Effect]bool
}

// newSagaCluster starts the services with balances as for orders of 10. In two of three seeds all amounts are so many times as large that they need more than 16, or more than 32, bits.
func newSagaCluster(s *labtest.Sim, balances, units map[string]int) *sagaCluster {
	scale := []int{1, 1 << 13, 1 << 40}[s.Seed%3]
	balances = maps.Clone(balances)
	for customer := range balances {
		balances[customer] *= scale
	}
	c := &sagaCluster{
		s: s, price: 10 * scale, balances: balances, units: units, placed: map[OrderID]*sagaOrder{},
		journals: map[labrpc.NodeID][]Entry{}, changed: map[OrderID]bool{},
		money: maps.Clone(balances), items: map[string]Units{},
		cancelled: map[OrderID]bool{}, perhaps: map[OrderID]bool{},
	}
	for item, n := range units {
		c.items[item] = Units{Available: n}
	}
	c.start()
	s.Always(c.check)
	return c
}

// sagaLater is a customer and an item that only later incarnations are given.
const sagaLater = "later"

// hasState reports whether an earlier incarnation of a service has left something on its disk.
func (c *sagaCluster) hasState(id labrpc.NodeID) bool { return len(c.s.Net.Disk(id).Names()) > 0 }

// start starts every service that is down.
func (c *sagaCluster) start() {
	for _, id := range c.s.Net.Nodes() {
		if c.s.Net.Up(id) {
			continue
		}
		node := c.s.Start(id)
		switch id {
		case sagaNodes.Orders:
			c.orders = StartOrders(node, sagaNodes)
		case sagaNodes.Payments:
			balances := maps.Clone(c.balances)
			if c.hasState(id) { // then the map does not count
				balances[sagaLater] = 1000
			}
			c.payments = StartPayments(node, sagaNodes, balances)
			clear(balances) // the map is the caller's
			if n := c.payments.Balance(sagaLater); n != 0 {
				c.s.Failf(ruleEffectOnce, "Balance(%q) = %d after a restart, want 0: Payments has the state that an earlier incarnation left", sagaLater, n)
			}
		case sagaNodes.Stock:
			units := maps.Clone(c.units)
			if c.hasState(id) {
				units[sagaLater] = 1000
			}
			c.stock = StartStock(node, sagaNodes, units)
			clear(units)
			if u := c.stock.Units(sagaLater); u != (Units{}) {
				c.s.Failf(ruleEffectOnce, "Units(%q) = %+v after a restart, want no units: Stock has the state that an earlier incarnation left", sagaLater, u)
			}
		}
	}
	// A service sends from goroutines of its own what it finds in its outbox. A call in this instant could come before that or after it: chance would say.
	c.s.Run(time.Microsecond)
}

func (c *sagaCluster) restart(id labrpc.NodeID) {
	c.s.Net.Crash(id)
	c.start()
}

// place places an order for one unit of "book".
func (c *sagaCluster) place(id OrderID, customer string) { c.placeItem(id, customer, "book") }

// placeItem places an order.
func (c *sagaCluster) placeItem(id OrderID, customer, item string) {
	order := Order{ID: id, Customer: customer, Price: c.price, Item: item}
	if _, known := c.items[item]; !known {
		c.items[item] = Units{}
	}
	c.placed[id] = &sagaOrder{Order: order, has: map[Effect]bool{}}
	var err error
	c.atOnce("Place", func() { err = c.orders.Place(order) })
	if err != nil && c.s.Net.Up(sagaNodes.Orders) {
		c.s.Failf(rulePlaced, "Place returned the error %v, although its node is up", err)
	}
	c.placed[id].promised = err == nil
	if status := c.orders.Status(id); err == nil && status != OrderPending {
		c.s.Failf(rulePlaced, "order %s is %s when Place has returned, want pending", id, statusName(status))
	}
	c.s.Run(time.Microsecond) // what Place has started must not race with a crash at the next write
}

// atOnce makes a call that must return before time passes.
func (c *sagaCluster) atOnce(name string, call func()) {
	var over atomic.Bool
	go func() {
		call()
		over.Store(true)
	}()
	if c.s.Run(0); !over.Load() {
		c.s.Failf(rulePlaced, "%s, called at %v, has not returned, want that at once", name, labtest.At(c.s.Net.Now()))
	}
}

// placeAgain calls Place again for an order that is known. It changes nothing.
func (c *sagaCluster) placeAgain(id OrderID) {
	before := c.orders.Status(id)
	if err := c.orders.Place(c.placed[id].Order); err != nil {
		c.s.Failf(rulePlaced, "Place returned the error %v, although its node is up", err)
	}
	c.s.Run(time.Microsecond)
	if now := c.orders.Status(id); now != before {
		c.s.Failf(ruleEffectOnce, "order %s, for which Place was called again, is %s, want %s as before", id, statusName(now), statusName(before))
	}
}

// cancel cancels an order, and returns the answer of Cancel.
func (c *sagaCluster) cancel(id OrderID) bool {
	var done bool
	var err error
	c.atOnce("Cancel", func() { done, err = c.orders.Cancel(id) })
	if err != nil && c.s.Net.Up(sagaNodes.Orders) {
		c.s.Failf(ruleCancel, "Cancel(%s) returned the error %v, although its node is up", id, err)
	}
	if err != nil {
		c.perhaps[id] = true
	} else if done {
		c.cancelled[id] = true
	}
	c.s.Run(time.Microsecond)
	return done && err == nil
}

// check runs after every step.
func (c *sagaCluster) check() *labtest.Violation {
	v := c.checkServices()
	if v != nil {
		v.What += c.again
	}
	return v
}

func (c *sagaCluster) checkServices() *labtest.Violation {
	up := true
	for _, id := range c.s.Net.Nodes() {
		if !c.s.Net.Up(id) {
			up = false
			continue
		}
		if v := c.readJournal(id); v != nil {
			return v
		}
	}
	if v := c.checkAmounts(); v != nil || !up {
		return v
	}
	// An effect that was written at a crash is seen late. So effects of two services are compared only when all are up.
	for _, id := range slices.Sorted(maps.Keys(c.changed)) {
		if v := c.placed[id].checkOrder(); v != nil {
			return v
		}
	}
	clear(c.changed)
	return nil
}

func (c *sagaCluster) journalOf(id labrpc.NodeID) []Entry {
	var journal []Entry
	switch id {
	case sagaNodes.Orders:
		journal = c.orders.Journal()
	case sagaNodes.Payments:
		journal = c.payments.Journal()
	default:
		journal = c.stock.Journal()
	}
	mine := slices.Clone(journal)
	clear(journal) // the slice is the caller's
	return mine
}

var sagaEffects = map[labrpc.NodeID][]Effect{
	sagaNodes.Orders:   {Created, Completed, Cancelled},
	sagaNodes.Payments: {Charged, Refunded},
	sagaNodes.Stock:    {Reserved, Released, Sold},
}

// readJournal takes in the new entries of a journal.
func (c *sagaCluster) readJournal(id labrpc.NodeID) *labtest.Violation {
	old, now := c.journals[id], c.journalOf(id)
	if len(now) < len(old) || !slices.Equal(now[:len(old)], old) {
		return breach(ruleJournal, "the journal of %v is %v, but before it began with %v", id, now, old)
	}
	if len(now) == len(old) {
		return nil
	}
	c.journals[id] = slices.Clone(now)
	for _, e := range now[len(old):] {
		o := c.placed[e.Order]
		if o == nil || !slices.Contains(sagaEffects[id], e.Effect) {
			return breach(ruleEffectOnce, "the journal of %v has the entry %v, which cannot be: the order was not placed, or the effect is another service's", id, e)
		}
		if v := o.add(id, e); v != nil {
			return v
		}
		c.changed[e.Order] = true
		c.count(o, e.Effect)
	}
	return nil
}

// count changes what balances and units must be.
func (c *sagaCluster) count(o *sagaOrder, effect Effect) {
	units := c.items[o.Item]
	switch effect {
	case Charged:
		c.money[o.Customer] -= o.Price
	case Refunded:
		c.money[o.Customer] += o.Price
	case Reserved:
		units.Available, units.Reserved = units.Available-1, units.Reserved+1
	case Released:
		units.Available, units.Reserved = units.Available+1, units.Reserved-1
	case Sold:
		units.Reserved, units.Sold = units.Reserved-1, units.Sold+1
	}
	c.items[o.Item] = units
}

// add checks the effects of one service.
func (o *sagaOrder) add(id labrpc.NodeID, e Entry) *labtest.Violation {
	step := map[Effect]Effect{Refunded: Charged, Released: Reserved, Sold: Reserved}[e.Effect]
	undone := map[Effect]Effect{Charged: Refunded, Reserved: Released, Sold: Released, Completed: Cancelled}[e.Effect]
	switch {
	case undone != "" && o.has[undone]:
		return breach(ruleCompensates, "on %v, order %s is %s, although it was %s before", id, e.Order, e.Effect, undone)
	case o.has[e.Effect]:
		return breach(ruleEffectOnce, "on %v, order %s is %s a second time", id, e.Order, e.Effect)
	case step != "" && !o.has[step]:
		return breach(ruleCompensates, "on %v, order %s is %s, although it was never %s", id, e.Order, e.Effect, step)
	case e.Effect == Released && o.has[Sold]:
		return breach(ruleSemanticLock, "on %v, order %s is released, although its unit was sold", id, e.Order)
	case e.Effect == Cancelled && o.has[Completed]:
		return breach(ruleCancel, "on %v, order %s is cancelled, although it was completed before", id, e.Order)
	}
	o.has[e.Effect] = true
	return nil
}

// checkOrder checks the effects of all services against each other.
func (o *sagaOrder) checkOrder() *labtest.Violation {
	charged, reserved := o.has[Charged] && !o.has[Refunded], o.has[Reserved] && !o.has[Released]
	switch {
	case o.has[Refunded] && reserved:
		return breach(ruleReverse, "order %s is refunded, although its unit is still reserved", o.ID)
	case o.has[Cancelled] && (charged || reserved):
		undone := "its charge has not been refunded"
		switch {
		case charged && reserved:
			undone += " and its unit has not been released"
		case reserved:
			undone = "its unit has not been released"
		}
		return breach(ruleReverse, "order %s is cancelled, but %s", o.ID, undone)
	case (o.has[Completed] || o.has[Sold]) && !(charged && reserved):
		return breach(ruleWhole, "order %s is completed or sold, but its effects are %v, want a charge and a reservation that are not undone", o.ID, effectsOf(o))
	case o.has[Reserved] && !o.has[Charged]:
		return breach(ruleReverse, "order %s is reserved, although it is not charged yet", o.ID)
	}
	return nil
}

// checkAmounts compares balances and units with the journals.
func (c *sagaCluster) checkAmounts() *labtest.Violation {
	if c.s.Net.Up(sagaNodes.Payments) {
		for _, customer := range slices.Sorted(maps.Keys(c.money)) {
			switch got := c.payments.Balance(customer); {
			case got < 0:
				return breach(ruleSemanticLock, "the balance of %s is %d", customer, got)
			case got != c.money[customer]:
				return breach(ruleEffectOnce, "the balance of %s is %d, but the journal says %d", customer, got, c.money[customer])
			}
		}
	}
	if !c.s.Net.Up(sagaNodes.Stock) {
		return nil
	}
	for _, item := range slices.Sorted(maps.Keys(c.items)) {
		switch got, want := c.stock.Units(item), c.items[item]; {
		case got.Available < 0 || got.Reserved < 0:
			return breach(ruleSemanticLock, "the units of %s are %+v", item, got)
		case got.Available > want.Available:
			return breach(ruleSemanticLock, "%d units of %s are available, but the journal says %+v", got.Available, item, want)
		case want.Available < 0:
			return breach(ruleSemanticLock, "%d units of %s are reserved or sold, but there are only %d", want.Reserved+want.Sold, item, c.units[item])
		case got != want:
			return breach(ruleEffectOnce, "the units of %s are %+v, but the journal says %+v", item, got, want)
		}
	}
	return nil
}

// end waits until every order has ended, with all services up and connected, and checks each.
func (c *sagaCluster) end(limit time.Duration) {
	var v *labtest.Violation
	if !c.s.Until(limit, func() bool { v = c.open(); return v == nil }) {
		v.What += fmt.Sprintf(" %v after all services were up and connected", limit)
		c.s.Fail(*v)
	}
	for _, id := range slices.Sorted(maps.Keys(c.placed)) {
		switch status := c.orders.Status(id); {
		case c.cancelled[id] && status != OrderCancelled:
			c.s.Failf(ruleCancel, "Cancel returned true for order %s, but its effects are %v", id, effectsOf(c.placed[id]))
		case status == OrderCancelled && !c.hasReason(id):
			c.s.Failf(ruleReason, "order %s is cancelled, although Cancel was not called and there was enough of everything; its effects are %v", id, effectsOf(c.placed[id]))
		}
	}
}

// hasReason reports whether an order may have been cancelled: by Cancel, or because all orders together ask for too much.
func (c *sagaCluster) hasReason(id OrderID) bool {
	asked, of := map[string]int{}, map[string]int{}
	for _, o := range c.placed {
		asked[o.Customer] += o.Price
		of[o.Item]++
	}
	o := c.placed[id]
	return c.cancelled[id] || c.perhaps[id] || asked[o.Customer] > c.balances[o.Customer] || of[o.Item] > c.units[o.Item]
}

// open returns an order that has not ended.
func (c *sagaCluster) open() *labtest.Violation {
	for _, id := range slices.Sorted(maps.Keys(c.placed)) {
		o := c.placed[id]
		status := c.orders.Status(id)
		if !o.promised && !o.has[Created] && status == OrderUnknown {
			continue // its node crashed while it was placed
		}
		charged, reserved := o.has[Charged] && !o.has[Refunded], o.has[Reserved] && !o.has[Released]
		switch {
		case status != OrderCompleted && status != OrderCancelled:
			return breach(rulePlaced, "order %s is %s, want completed or cancelled,", id, statusName(status))
		case !o.has[Created] || (status == OrderCompleted) != o.has[Completed] || (status == OrderCancelled) != o.has[Cancelled]:
			return breach(ruleWhole, "order %s is %s, but its effects are %v,", id, statusName(status), effectsOf(o))
		case status == OrderCompleted && !(charged && reserved && o.has[Sold]):
			return breach(ruleWhole, "order %s is completed, but its effects are %v,", id, effectsOf(o))
		case status == OrderCancelled && (charged || reserved):
			return breach(ruleWhole, "order %s is cancelled, but its effects are %v,", id, effectsOf(o))
		}
	}
	return nil
}

func statusName(status OrderStatus) string {
	return map[OrderStatus]string{OrderUnknown: "unknown", OrderPending: "pending", OrderCompleted: "completed", OrderCancelled: "cancelled"}[status]
}

func effectsOf(o *sagaOrder) []Effect { return slices.Sorted(maps.Keys(o.has)) }

// wants checks how an order has ended.
func (c *sagaCluster) wants(id OrderID, want OrderStatus) {
	if got := c.orders.Status(id); got != want {
		c.s.Failf(ruleReason, "order %s is %s, want %s; its effects are %v", id, statusName(got), statusName(want), effectsOf(c.placed[id]))
	}
}

// isSilent checks that no service sends a minute after all orders have ended.
func (c *sagaCluster) isSilent() {
	c.s.Run(time.Minute)
	before := c.s.Net.Stats(labrpc.Match{}).Sent
	c.s.Run(time.Minute)
	if n := c.s.Net.Stats(labrpc.Match{}).Sent - before; n > 0 {
		c.s.Failf(ruleSagaRest, "the services sent %d messages in a minute, although every order ended more than a minute before", n)
	}
}
