package course

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var partName = regexp.MustCompile(`^0?(\d+)[A-Za-z]$`)

// unknown says that no lab or part has a name, and which names there are: those of its lab, those that are near, or all.
func (c *Course) unknown(name string) error {
	if number := partName.FindStringSubmatch(name); number != nil {
		for _, l := range c.Labs {
			if strings.TrimLeft(l.Number(), "0") == number[1] {
				var ids []string
				for _, p := range l.Parts {
					ids = append(ids, p.ID)
				}
				return fmt.Errorf("course: no part is named %q; %s has %s", name, l.ID, strings.Join(ids, ", "))
			}
		}
	}
	if near := c.near(name); near != "" {
		return fmt.Errorf("course: no lab or part is named %q; did you mean %s?", name, near)
	}
	return fmt.Errorf("course: no lab or part is named %q; there are %s", name, c.describe())
}

// near is the name of a lab that a person who typed the given one may have meant; "" if there is none.
func (c *Course) near(name string) string {
	var known []string
	for _, l := range c.Labs {
		known = append(known, l.ID[3:], l.Package, l.ID)
	}
	return nearest(name, known)
}

// nearest is that of the known names which is most like the given one; "" if none is like it.
func nearest(name string, known []string) string {
	best, least := "", max(1, len(name)/3)+1
	if len(name) < 4 { // too short to be like one name more than like others
		return ""
	}
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be added, removed, replaced, or exchanged with their neighbour, to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := range a {
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			d := slices.Min([]int{rows[i][j+1] + 1, rows[i+1][j] + 1, rows[i][j] + cost})
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(a)][len(b)]
}
