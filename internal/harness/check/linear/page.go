package linear

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"distlabs/internal/harness/check/histpage"
	"distlabs/labrpc"
)

// Page writes a page that shows a violation in a browser: the operations on its key, each a bar from its call to
// its return, and the longest order of them that the search found. describe tells of an operation in a
// line; nil means Op.String. Where w is a *histpage.Writer, the page also shows what that knows of the run.
//
// The search for it is another one than Check's, because it keeps what it tried; it is bounded by the same
// options, and a page of a search that was cut short shows as much as it found.
func Page[S comparable, I, O any](w io.Writer, m Model[S, I, O], v *Violation[I, O], describe func(Op[I, O]) string, opts Options) error {
	if describe == nil {
		describe = Op[I, O].String
	}
	run := histpage.RunOf(w)
	order := longestOrder(m, v, opts)
	place := map[int]int{}
	for k, i := range order {
		place[i] = k + 1
	}
	clients := map[int]bool{}
	for _, op := range v.Before {
		clients[op.Client] = true
	}
	p := &histpage.Page{Title: "A history that is not linearizable", What: fmt.Sprintf("no order of the operations on key %q allows this result: %s", v.Op.Key, describe(v.Op))}
	lanes := map[int]int{}
	for _, client := range slices.Sorted(maps.Keys(clients)) {
		lanes[client] = len(p.Lanes)
		p.Lanes = append(p.Lanes, clientName(client, run.Nodes))
	}
	wrong := v.wrong()
	for i, op := range v.Before {
		b := histpage.Bar{Lane: lanes[op.Client], From: op.Call, To: op.Return, Open: op.Pending, Text: describe(op), Order: place[i]}
		if i == wrong {
			b.Look, b.Order = histpage.Wrong, 0
			b.Detail = []string{"No order of the operations that were called before this one returned allows its result."}
		}
		p.Bars = append(p.Bars, b)
	}
	p.Lists = []histpage.List{{Head: "The longest order that the search found; no operation that must come next fits", Lines: orderLines(m, v, order, describe)}}
	p.Adorn(run)
	return p.Write(w)
}

// clientName names a client as the run's page names its node.
func clientName(client, nodes int) string {
	if client >= 1 && client <= nodes {
		return labrpc.NodeID(client).String()
	}
	return fmt.Sprintf("client %d", client)
}

// wrong is the index of the wrong operation in Before.
func (v *Violation[I, O]) wrong() int {
	return slices.IndexFunc(v.Before, func(op Op[I, O]) bool {
		return op.Client == v.Op.Client && op.Call == v.Op.Call && !op.Pending && op.Return == v.Op.Return
	})
}

// longestOrder returns the longest order of operations that fits, as indexes of Before.
func longestOrder[S comparable, I, O any](m Model[S, I, O], v *Violation[I, O], opts Options) []int {
	left := cmp.Or(opts.Steps, defaultSteps)
	type numbered struct {
		op Op[I, O]
		i  int
	}
	model := porcupine.Model{
		Init: func() any { return m.Init },
		Step: func(state, in, out any) (bool, any) {
			if left--; left < 0 {
				return false, state
			}
			next, ok := m.Step(state.(S), in.(numbered).op.In, out.(*O))
			return ok, next
		},
	}
	var history []porcupine.Operation
	for i, op := range v.Before {
		o := operation(op)
		o.Input = numbered{op, i}
		history = append(history, o)
	}
	_, info := porcupine.CheckOperationsVerbose(model, history, 0)
	left = math.MaxInt // now the steps that were taken are only taken again
	var best []int
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, ops := range partition {
			if len(ops) <= len(best) {
				continue
			}
			best = nil
			for _, o := range ops {
				best = append(best, o.Input.(numbered).i)
			}
		}
	}
	return best
}

// orderLines tells of an order, with the state after each operation.
func orderLines[S comparable, I, O any](m Model[S, I, O], v *Violation[I, O], order []int, describe func(Op[I, O]) string) (lines []string) {
	state := m.Init
	for _, i := range order {
		op := v.Before[i]
		var out *O
		if !op.Pending {
			out = &op.Out
		}
		state, _ = m.Step(state, op.In, out)
		lines = append(lines, fmt.Sprintf("%s – then the state is %+v", describe(op), state))
	}
	if len(lines) == 0 {
		lines = []string{"no operation fits as the first one"}
	}
	return lines
}
