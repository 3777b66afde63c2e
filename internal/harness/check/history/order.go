package history

// An Order is a relation over operations that is kept transitively closed. It is
// a strict order as long as nothing is before itself.
type Order struct {
	after  [][]uint64 // after[a]: a bit for each operation that comes after a
	cyclic bool
}

// NewOrder returns an order of n operations of which none is before another.
func NewOrder(n int) *Order {
	o := &Order{after: make([][]uint64, n)}
	words := (n + 63) / 64
	all := make([]uint64, n*words)
	for i := range o.after {
		o.after[i] = all[i*words : (i+1)*words]
	}
	return o
}

// Clone returns a copy.
func (o *Order) Clone() *Order {
	c := NewOrder(len(o.after))
	for i := range o.after {
		copy(c.after[i], o.after[i])
	}
	c.cyclic = o.cyclic
	return c
}

// Has reports whether a comes before b.
func (o *Order) Has(a, b int) bool { return o.after[a][b/64]>>(b%64)&1 != 0 }

// Cyclic reports whether something comes before itself.
func (o *Order) Cyclic() bool { return o.cyclic }

// Add puts a before b, with all that follows from it. It reports whether that is new.
func (o *Order) Add(a, b int) bool {
	if o.Has(a, b) {
		return false
	}
	o.cyclic = o.cyclic || a == b || o.Has(b, a)
	for x := range o.after {
		if x != a && !o.Has(x, a) {
			continue
		}
		o.after[x][b/64] |= 1 << (b % 64)
		for w, bits := range o.after[b] {
			o.after[x][w] |= bits
		}
	}
	return true
}

// Causal returns the causal order of the history (Ahamad et al. 1995): a is
// before b if they are in one session in this order, or b read what a wrote, or by a chain of these.
func (ix *Index) Causal() *Order {
	o := NewOrder(len(ix.Ops))
	for _, edge := range ix.CausalSteps() {
		o.Add(edge[0], edge[1])
	}
	return o
}

// CausalSteps returns the single steps of which causal order is made.
func (ix *Index) CausalSteps() [][2]int {
	var steps [][2]int
	last := Nothing
	for i, op := range ix.Ops {
		if last != Nothing && ix.Before(last, i) {
			steps = append(steps, [2]int{last, i})
		}
		if !op.Indeterminate {
			last = i
		}
		if ix.From[i] != Nothing {
			steps = append(steps, [2]int{ix.From[i], i})
		}
	}
	return steps
}
