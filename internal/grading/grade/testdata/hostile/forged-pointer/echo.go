package echo

import "time"

type word struct{ n *int }

type pair struct{ p *string }

// Echo makes a pointer of another type without an import: an interface is two words, and a race tears them.
func Echo(s string) string {
	var shared any
	go func() {
		for range 1000 {
			shared = word{new(int)}
		}
	}()
	go func() {
		for range 1000 {
			shared = pair{new(string)}
		}
	}()
	for range 1000 {
		if p, ok := shared.(pair); ok && p.p == nil {
			return "?"
		}
	}
	time.Sleep(10 * time.Millisecond)
	return s
}
