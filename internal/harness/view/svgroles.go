package view

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"time"

	"distlabs/internal/harness/trace"
	"distlabs/labrpc"
)

// svgRoles is how many roles have a colour of their own.
const svgRoles = 4

var (
	roleName = regexp.MustCompile(`(?i)role|state|status|mode`)
	leading  = regexp.MustCompile(`(?i)lead|primary|master`)
	noRole   = regexp.MustCompile(`^-?\d|^(true|false)$`)
)

// A roleSpan is the time in which a node's role was one and the same.
type roleSpan struct {
	node     labrpc.NodeID
	value    string
	from, to time.Duration
}

// drawRoles colours the lanes by what each node noted as its role, if the nodes note one: the commonest stays plain.
func (p *picture) drawRoles() {
	spans := roleSpansOf(p.run)
	held := map[string]time.Duration{}
	for _, t := range spans {
		if noRole.MatchString(t.value) {
			return
		}
		held[t.value] += t.to - t.from
	}
	if len(held) < 2 || len(held) > svgRoles+1 {
		return
	}
	values := slices.SortedFunc(maps.Keys(held), func(a, b string) int {
		return cmp.Or(cmp.Compare(held[b], held[a]), cmp.Compare(a, b))
	})[1:]
	slices.SortFunc(values, func(a, b string) int { // what a leader does matters most: it gets the first colour
		return cmp.Or(cmp.Compare(rank(leading, a), rank(leading, b)), cmp.Compare(a, b))
	})
	for _, t := range spans {
		k, top, bottom := slices.Index(values, t.value), p.at(t.from), p.at(min(t.to, p.opts.To))
		if _, drawn := p.place[t.node]; k >= 0 && drawn && bottom > top {
			p.add(`<line class="r%d" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, k, p.x(t.node), top, p.x(t.node), bottom)
		}
	}
}

func rank(first *regexp.Regexp, s string) int {
	if first.MatchString(s) {
		return 0
	}
	return 1
}

// roleSpansOf lists who had which role when. A crash ends a role.
func roleSpansOf(run *trace.Run) []roleSpan {
	var out []roleSpan
	last := map[labrpc.NodeID]int{} // of out, plus one
	end := time.Duration(0)
	for i := range run.Steps {
		s := &run.Steps[i]
		end = s.At
		begins := s.Kind == labrpc.EventNoted && roleName.MatchString(s.Name)
		if !begins && s.Kind != labrpc.EventCrashed && s.Kind != labrpc.EventStopped {
			continue
		}
		if k := last[s.Node]; k > 0 {
			out[k-1].to = s.At
		}
		last[s.Node] = 0
		if begins {
			out = append(out, roleSpan{node: s.Node, value: s.Value, from: s.At})
			last[s.Node] = len(out)
		}
	}
	for _, k := range last {
		if k > 0 {
			out[k-1].to = end
		}
	}
	return out
}
