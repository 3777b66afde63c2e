package transactions

import "distlabs/labrpc"

// Stock keeps the units of the items. Its methods may be called by several goroutines at once.
type Stock struct {
	node      *labrpc.Node
	services  Services
	available map[string]int
}

// StartStock makes the node the service for the stock. On an empty disk it begins with so many available units of each
// item, else with the state that an earlier incarnation left. It returns at once. Every goroutine that it starts ends when node.Context() does.
func StartStock(node *labrpc.Node, services Services, available map[string]int) *Stock {
	// TODO(7E): read the disk, and register the handlers.
	return &Stock{node: node, services: services, available: available}
}

// Units returns the units of an item.
func (s *Stock) Units(item string) Units {
	return Units{Available: s.available[item]}
}

// Journal returns a copy of the effects of this service (Reserved, Released, Sold), in their order.
func (s *Stock) Journal() []Entry {
	// TODO(7E)
	return nil
}
