package linear

import (
	"fmt"
	"html"
	"io"
	"math"

	"github.com/anishathalye/porcupine"
)

// Page writes a page that shows a violation in a browser: the operations that it names, each a bar from its call to
// its return, and the orders that the search tried. The page is Porcupine's. describe tells of an operation in
// a line; nil means Op.String.
//
// The search for it is another one than Check's, because it keeps what it tried; it is bounded by the same
// options, and a page of a search that was cut short shows as much as it found.
func Page[S comparable, I, O any](w io.Writer, m Model[S, I, O], v *Violation[I, O], describe func(Op[I, O]) string, opts Options) error {
	if describe == nil {
		describe = Op[I, O].String
	}
	left := opts.Steps
	if left == 0 {
		left = defaultSteps
	}
	model := porcupine.Model{
		Init: func() any { return m.Init },
		Step: func(state, in, out any) (bool, any) {
			if left--; left < 0 {
				return false, state
			}
			next, ok := m.Step(state.(S), in.(Op[I, O]).In, out.(*O))
			return ok, next
		},
		DescribeOperation: func(in, _ any) string { return describe(in.(Op[I, O])) },
		// Porcupine sets operations as text, but states as HTML, and a student's program may have chosen the values.
		DescribeState: func(state any) string { return html.EscapeString(fmt.Sprint(state)) },
	}
	var history []porcupine.Operation
	for _, op := range v.Before {
		history = append(history, operation(op))
	}
	_, info := porcupine.CheckOperationsVerbose(model, history, 0)
	left = math.MaxInt // now the steps that were taken are only taken again
	if err := porcupine.Visualize(model, info, w); err != nil {
		return fmt.Errorf("linear: %w", err)
	}
	return nil
}
