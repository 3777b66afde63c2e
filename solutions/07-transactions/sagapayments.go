package transactions

import (
	"maps"
	"slices"

	"distlabs/labrpc"
)

// Payments keeps the balances of the customers. Its methods may be called by several
// goroutines at once.
type Payments struct {
	services Services
	box      *mailbox[paymentsState]
}

type paymentsState struct {
	Balances map[string]int
	Journal  []Entry
}

// StartPayments makes the node the service for payments. On an empty disk it begins with these balances, else with
// the state that an earlier incarnation left. Every goroutine that it starts ends when node.Context() does.
func StartPayments(node *labrpc.Node, services Services, balances map[string]int) *Payments {
	p := &Payments{services: services}
	p.box = openMailbox(node, paymentsState{Balances: maps.Clone(balances)}, p.handle)
	return p
}

func (p *Payments) handle(state *paymentsState, m sagaMessage) []letter {
	order, reply := m.Order, "refused"
	switch {
	case m.Kind == "charge" && state.Balances[order.Customer] >= order.Price:
		state.Balances[order.Customer] -= order.Price
		state.Journal = append(state.Journal, Entry{order.ID, Charged})
		reply = "charged"
	case m.Kind == "refund":
		state.Balances[order.Customer] += order.Price
		state.Journal = append(state.Journal, Entry{order.ID, Refunded})
		reply = "refunded"
	}
	return []letter{{p.services.Orders, sagaMessage{reply, order}}}
}

// Balance returns the balance of a customer.
func (p *Payments) Balance(customer string) (balance int) {
	p.box.read(func(state *paymentsState) { balance = state.Balances[customer] })
	return balance
}

// Journal returns a copy of the effects of this service, in their order.
func (p *Payments) Journal() (journal []Entry) {
	p.box.read(func(state *paymentsState) { journal = slices.Clone(state.Journal) })
	return journal
}
