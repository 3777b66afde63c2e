package transactions

import (
	"slices"

	"distlabs/labrpc"
)

// Stock keeps the units of the items. Its methods may be called by several goroutines at once.
type Stock struct {
	services Services
	box      *mailbox[stockState]
}

type stockState struct {
	Items   map[string]Units
	Journal []Entry
}

// StartStock makes the node the service for the stock. On an empty disk it begins with so many available units of each
// item, else with the state that an earlier incarnation left. Every goroutine that it starts ends when node.Context() does.
func StartStock(node *labrpc.Node, services Services, available map[string]int) *Stock {
	s := &Stock{services: services}
	initial := stockState{Items: map[string]Units{}}
	for item, n := range available {
		initial.Items[item] = Units{Available: n}
	}
	s.box = openMailbox(node, initial, s.handle)
	return s
}

// handle does a step. The reservation is the semantic lock: the unit is neither available nor sold.
func (s *Stock) handle(state *stockState, m sagaMessage) []letter {
	units, reply := state.Items[m.Order.Item], sagaMessage{"refused", m.Order}
	enter := func(effect Effect) {
		state.Items[m.Order.Item] = units
		state.Journal = append(state.Journal, Entry{m.Order.ID, effect})
		reply.Kind = string(effect)
	}
	switch {
	case m.Kind == "reserve" && units.Available > 0:
		units.Available, units.Reserved = units.Available-1, units.Reserved+1
		enter(Reserved)
	case m.Kind == "release":
		units.Available, units.Reserved = units.Available+1, units.Reserved-1
		enter(Released)
	case m.Kind == "sell":
		units.Reserved, units.Sold = units.Reserved-1, units.Sold+1
		enter(Sold)
		return nil
	}
	return []letter{{s.services.Orders, reply}}
}

// Units returns the units of an item.
func (s *Stock) Units(item string) (units Units) {
	s.box.read(func(state *stockState) { units = state.Items[item] })
	return units
}

// Journal returns a copy of the effects of this service, in their order.
func (s *Stock) Journal() (journal []Entry) {
	s.box.read(func(state *stockState) { journal = slices.Clone(state.Journal) })
	return journal
}
