package transactions

import "distlabs/labrpc"

// Payments keeps the balances of the customers. Its methods may be called by several
// goroutines at once.
type Payments struct {
	node     *labrpc.Node
	services Services
	balances map[string]int
}

// StartPayments makes the node the service for payments. On an empty disk it begins with these balances, else with
// the state that an earlier incarnation left. It returns at once. Every goroutine that it starts ends when node.Context() does.
func StartPayments(node *labrpc.Node, services Services, balances map[string]int) *Payments {
	// TODO(7E): read the disk, and register the handlers.
	return &Payments{node: node, services: services, balances: balances}
}

// Balance returns the balance of a customer.
func (p *Payments) Balance(customer string) int {
	return p.balances[customer]
}

// Journal returns a copy of the effects of this service (Charged, Refunded), in their order.
func (p *Payments) Journal() []Entry {
	// TODO(7E)
	return nil
}
