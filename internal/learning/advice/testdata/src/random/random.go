package random

import (
	"math/rand/v2"

	"distlabs/labrpc"
)

func wrong() int {
	pick := rand.Float64              // want `rand.Float64 draws from a source that no seed controls`
	return rand.IntN(7) + int(pick()) // want `rand.IntN draws from a source`
}

func right(node *labrpc.Node) int {
	own := rand.New(rand.NewPCG(1, 2))
	return node.Rand().IntN(7) + own.IntN(7)
}
