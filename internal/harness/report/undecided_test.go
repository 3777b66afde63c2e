package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the seed does not decide is found by its syntax; what is decided is not accused.
func TestUndecided(t *testing.T) {
	files := map[string][]byte{"b.go": []byte(`package p

import "math/rand/v2"

type node struct {
	peers map[int]bool
	list  []int
}

func (n *node) run(r *rand.Rand, a, b chan int) {
	_ = rand.IntN(3)
	_ = r.IntN(3)
	_ = rand.New(rand.NewPCG(1, 2))
	for p := range n.peers {
		_ = p
	}
	for p := range n.list {
		_ = p
	}
	seen := map[string]int{}
	for range seen {
	}
	select {
	case <-a:
	case <-b:
	}
	select {
	case <-a:
	default:
	}
}
`), "a.go": []byte("package p\n\nimport r \"math/rand\"\n\nvar _ = r.Intn(2)\n")}
	require.Equal(t, []string{
		"a.go:5 r.Intn draws from the global random numbers: use node.Rand()",
		"b.go:11 rand.IntN draws from the global random numbers: use node.Rand()",
		"b.go:14 ranges over the map n.peers: its order differs from run to run",
		"b.go:21 ranges over the map seen: its order differs from run to run",
		"b.go:23 selects among several cases: if two are ready, the choice is random",
	}, Undecided(files))
}
