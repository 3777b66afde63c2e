package transactions

import (
	"slices"

	"distlabs/labrpc"
)

// Orders takes orders, and sees each through the saga: it asks Payments, then Stock, and
// compensates in reverse order if a step fails (Garcia-Molina, Salem 1987). Its methods may be called by several goroutines at once.
type Orders struct {
	services Services
	box      *mailbox[ordersState]
}

type ordersState struct {
	Orders  map[OrderID]orderState
	Journal []Entry
}

// An orderState is an order with the effects that stand.
type orderState struct {
	Order      Order
	Status     OrderStatus
	Charged    bool
	Reserved   bool
	Cancelling bool // no further step; compensate
}

// StartOrders makes the node the service for orders, with the state that an earlier incarnation left on
// the disk. Every goroutine that it starts ends when node.Context() does.
func StartOrders(node *labrpc.Node, services Services) *Orders {
	o := &Orders{services: services}
	o.box = openMailbox(node, ordersState{}, o.handle)
	return o
}

// Place takes an order. If it returns nil, the order will be completed or cancelled; after an error it is
// taken or not. A repeated call changes nothing.
func (o *Orders) Place(order Order) error {
	return o.box.update(func(next *mailRecord[ordersState]) {
		if _, known := next.State.Orders[order.ID]; known {
			return
		}
		if next.State.Orders == nil {
			next.State.Orders = map[OrderID]orderState{}
		}
		next.State.Journal = append(next.State.Journal, Entry{order.ID, Created})
		next.post(o.next(&next.State, orderState{Order: order, Status: OrderPending}))
	})
}

// Cancel cancels a pending order: if it returns true and no error, the order will be cancelled. It returns false if
// the order is completed or unknown. After an error the order is as it was, or will be cancelled.
func (o *Orders) Cancel(id OrderID) (bool, error) {
	cancelled := false
	err := o.box.update(func(next *mailRecord[ordersState]) {
		s, known := next.State.Orders[id]
		cancelled = known && s.Status != OrderCompleted
		if cancelled {
			s.Cancelling = true // the reply to the step under way will continue
			next.State.Orders[id] = s
		}
	})
	return cancelled && err == nil, err
}

// handle takes the reply to a step or a compensation.
func (o *Orders) handle(state *ordersState, m sagaMessage) []letter {
	s := state.Orders[m.Order.ID]
	switch m.Kind {
	case "charged":
		s.Charged = true
	case "reserved":
		s.Reserved = true
	case "refused":
		s.Cancelling = true
	case "released":
		s.Reserved = false
	case "refunded":
		s.Charged = false
	}
	return o.next(state, s)
}

// next says what follows for an order of which nothing is under way.
func (o *Orders) next(state *ordersState, s orderState) []letter {
	var to labrpc.NodeID
	var command string
	switch {
	case s.Cancelling && s.Reserved:
		to, command = o.services.Stock, "release"
	case s.Cancelling && s.Charged:
		to, command = o.services.Payments, "refund"
	case s.Cancelling:
		s.Status = OrderCancelled
		state.Journal = append(state.Journal, Entry{s.Order.ID, Cancelled})
	case !s.Charged:
		to, command = o.services.Payments, "charge"
	case !s.Reserved:
		to, command = o.services.Stock, "reserve"
	default:
		s.Status = OrderCompleted
		state.Journal = append(state.Journal, Entry{s.Order.ID, Completed})
		to, command = o.services.Stock, "sell"
	}
	state.Orders[s.Order.ID] = s
	if command == "" {
		return nil
	}
	return []letter{{to, sagaMessage{command, s.Order}}}
}

// Status returns the status of an order.
func (o *Orders) Status(id OrderID) (status OrderStatus) {
	o.box.read(func(state *ordersState) { status = state.Orders[id].Status })
	return status
}

// Journal returns a copy of the effects of this service, in their order.
func (o *Orders) Journal() (journal []Entry) {
	o.box.read(func(state *ordersState) { journal = slices.Clone(state.Journal) })
	return journal
}
