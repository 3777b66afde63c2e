package isolation

// Shrink returns a part of the history that still has an anomaly of the same kind, and from which no transaction can be
// left out, and that anomaly. It tries the transactions of the anomaly first, together with those that wrote what they read
// and those that read most; if these do not suffice, it removes ever smaller pieces of the whole (delta debugging: Zeller
// and Hildebrandt, IEEE TSE 2002), in at most a thousand checks.
func Shrink(h *History, a Anomaly) (*History, Anomaly) {
	s := &shrinker{kind: a.Kind, checks: 1000}
	best := h
	if near := neighbourhood(h, a); len(near.Txns) < len(h.Txns) && s.has(near) {
		best = near
	}
	for piece := (len(best.Txns) + 1) / 2; piece > 0; {
		smaller := false
		for from := 0; from < len(best.Txns); {
			to := min(from+piece, len(best.Txns))
			without := part(best, func(t int) bool { return t < from || t >= to })
			if len(without.Txns) > 0 && s.has(without) {
				best, smaller = without, true
				continue
			}
			from = to
		}
		if piece == 1 && !smaller {
			break
		}
		piece = max(1, piece/2)
	}
	if found, ok := s.find(best); ok {
		return best, found
	}
	return best, a // not reached: what best has was found before
}

type shrinker struct {
	kind   Kind
	checks int // left
}

func (s *shrinker) has(h *History) bool {
	if s.checks == 0 {
		return false
	}
	s.checks--
	_, ok := s.find(h)
	return ok
}

func (s *shrinker) find(h *History) (Anomaly, bool) {
	r, err := Check(h)
	if err != nil {
		return Anomaly{}, false
	}
	// Leaving out a writer makes its values unwritten; a history with such a flaw would no longer be about the anomaly.
	if s.kind != Unwritten && r.Count[Unwritten] > 0 {
		return Anomaly{}, false
	}
	for _, a := range r.Anomalies {
		if a.Kind == s.kind {
			return a, true
		}
	}
	return Anomaly{}, false
}

func part(h *History, keep func(t int) bool) *History {
	p := &History{Value: h.Value, When: h.When}
	for t := range h.Txns {
		if keep(t) {
			p.Txns = append(p.Txns, h.Txns[t])
		}
	}
	return p
}

// neighbourhood returns the transactions of the anomaly, those from which they read, and for each of their keys one that read the
// longest list, with those from which that one read.
func neighbourhood(h *History, a Anomaly) *History {
	keys, keep := map[string]bool{}, map[int]bool{}
	for _, t := range a.Txns {
		keep[t] = true
		for _, op := range h.Txns[t].Ops {
			keys[op.Key] = true
			for _, f := range op.Found {
				keys[f.Key] = true
			}
		}
	}
	writer, longest := map[string]map[int64]int{}, map[string]int{}
	length := map[string]int{}
	for t := range h.Txns {
		for _, op := range h.Txns[t].Ops {
			if (op.Kind == Write || op.Kind == Append) && keys[op.Key] {
				if writer[op.Key] == nil {
					writer[op.Key] = map[int64]int{}
				}
				writer[op.Key][op.Value] = t
			}
		}
		for r := range h.Txns[t].observations() {
			if h.Txns[t].Outcome == Committed && keys[r.Key] && len(r.List) > length[r.Key] {
				length[r.Key], longest[r.Key] = len(r.List), t
			}
		}
	}
	for _, t := range longest {
		keep[t] = true
	}
	for range 2 { // the sources, and theirs
		for t := range h.Txns {
			if !keep[t] {
				continue
			}
			for r := range h.Txns[t].observations() {
				for _, v := range append([]int64{r.Value}, r.List...) {
					if w, known := writer[r.Key][v]; known && !r.Absent {
						keep[w] = true
					}
				}
			}
		}
	}
	return part(h, func(t int) bool { return keep[t] })
}
