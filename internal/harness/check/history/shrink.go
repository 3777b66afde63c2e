package history

import "slices"

// Shrink returns a part of the history that is still wrong, and of which nothing
// can be left out. What is left out goes in units, a write with all reads
// that saw it: what remains of a right history is then right in every model
// here, so that a part which is wrong proves the whole wrong.
//
// It is delta debugging (Zeller and Hildebrandt 2002) with ever smaller
// chunks, down to single units until none can go.
func Shrink(ops []Op, wrong func([]Op) bool) []Op {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, byInvoke)
	for chunk := max(1, len(ops)/2); ; {
		shrunk := false
		for from := 0; from < len(ops); {
			less := without(ops, from, min(from+chunk, len(ops)))
			if len(less) > 0 && wrong(less) {
				ops, shrunk = less, true
				continue
			}
			from += chunk
		}
		if chunk == 1 && !shrunk {
			return ops
		}
		chunk = max(1, chunk/2)
	}
}

// without returns the operations but those of a range and the reads that saw
// what is written in it.
func without(ops []Op, from, to int) []Op {
	type cell struct{ key, value string }
	gone := map[cell]bool{}
	for _, op := range ops[from:to] {
		if op.Kind == Write {
			gone[cell{op.Key, op.Value}] = true
		}
	}
	var left []Op
	for i, op := range ops {
		if (i < from || i >= to) && !(op.Kind == Read && gone[cell{op.Key, op.Value}]) {
			left = append(left, op)
		}
	}
	return left
}
