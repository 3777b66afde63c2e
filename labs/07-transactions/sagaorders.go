package transactions

import (
	"errors"

	"distlabs/labrpc"
)

// Orders takes orders, and sees to it that each is completed or cancelled. Its methods
// may be called by several goroutines at once.
type Orders struct {
	node     *labrpc.Node
	services Services
}

// StartOrders makes the node the service for orders, with the state that an earlier incarnation left on
// the disk. It returns at once. Every goroutine that it starts ends when node.Context() does.
func StartOrders(node *labrpc.Node, services Services) *Orders {
	// TODO(7E): read the disk, and register the handlers.
	return &Orders{node: node, services: services}
}

// Place takes an order. If it returns nil, the order will be completed or cancelled; after an error, which means that the node has
// crashed, it is taken or not. A repeated call changes nothing. Place returns at once.
func (o *Orders) Place(order Order) error {
	// TODO(7E): decide what must be on the disk, and in how many writes.
	return errors.New("transactions: Place is not written yet")
}

// Cancel cancels a pending order: if it returns true and no error, the order will be cancelled. It returns false if
// the order is completed or unknown. After an error, which means that the node has crashed, the order may be cancelled or not. Cancel returns at once.
func (o *Orders) Cancel(id OrderID) (bool, error) {
	// TODO(7E): which steps have run? Which one is under way?
	return false, errors.New("transactions: Cancel is not written yet")
}

// Status returns the status of an order.
func (o *Orders) Status(id OrderID) OrderStatus {
	// TODO(7E)
	return OrderUnknown
}

// Journal returns a copy of the effects of this service (Created, Completed, Cancelled), in their order.
func (o *Orders) Journal() []Entry {
	// TODO(7E)
	return nil
}
