package transactions

import "distlabs/labrpc"

// An OrderID names an order. No two orders have the same ID.
type OrderID string

// An Order is one unit of an item for a customer.
type Order struct {
	ID       OrderID
	Customer string
	Price    int
	Item     string
}

// An OrderStatus is how far an order is.
type OrderStatus int

// The statuses. An order that is completed or cancelled stays so.
const (
	OrderUnknown OrderStatus = iota
	OrderPending
	OrderCompleted
	OrderCancelled
)

// An Effect is what a service has done for an order.
type Effect string

// The effects of the steps, of their compensations, and of the ends of an order.
const (
	Created   Effect = "created"   // Orders: the first step
	Charged   Effect = "charged"   // Payments: the second step
	Reserved  Effect = "reserved"  // Stock: the third step
	Released  Effect = "released"  // Stock: compensates Reserved
	Refunded  Effect = "refunded"  // Payments: compensates Charged
	Cancelled Effect = "cancelled" // Orders: compensates Created
	Completed Effect = "completed" // Orders: all three steps have succeeded
	Sold      Effect = "sold"      // Stock: the reserved unit of a completed order has left
)

// An Entry is one effect in the journal of a service.
type Entry struct {
	Order  OrderID
	Effect Effect
}

// Units are the units of one item.
type Units struct {
	Available int // anybody may order them
	Reserved  int // each belongs to a pending order
	Sold      int
}

// Services are the nodes of the three services.
type Services struct {
	Orders, Payments, Stock labrpc.NodeID
}
