package labrpc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"distlabs/labrpc"
)

// The condition of RunUntil may run the network, beyond the limit too: RunUntil ends all the same.
func TestConditionRunsTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := labrpc.New(labrpc.Options{Seed: 1, Nodes: 1, Link: labrpc.Reliable()})
		defer net.Close()
		asked := 0
		held := net.RunUntil(time.Second, func() bool {
			asked++
			net.Run(300 * time.Millisecond)
			return asked > 100
		})
		assert.False(t, held)
		assert.Less(t, net.Now(), 2*time.Second)
	})
}
