//go:build !race

package labrpc_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

// What the hot paths allocate, in allocations an operation. A figure that has grown is a regression: find the cause, or say here
// why it must be. One that has fallen is written down here.
const (
	allocsCall        = 4 // a request, a reply, and a slice in each
	allocsCallVirtual = 5 // and a goroutine
	allocsSend        = 3 // the message, a slice in it, and a goroutine
	allocsSave        = 2 // the encoding, and the interface that holds the value
	allocsMarshal     = 2 // the same
)

func TestAllocations(t *testing.T) {
	args := echoArgs{Data: make([]byte, 16)}
	net, n := newEcho(labrpc.Options{})
	defer net.Close()
	measure := func(what string, want float64, f func()) {
		t.Helper()
		for range 100 {
			f() // fills what is kept for use again
		}
		require.Equal(t, want, testing.AllocsPerRun(2000, f), "%s: allocations an operation, rounded down", what)
	}
	call := func() {
		_, err := labrpc.Call[echoReply](context.Background(), n, 2, "echo", args)
		require.NoError(t, err)
	}
	measure("Call", allocsCall, call)
	measure("Save", allocsSave, func() { require.NoError(t, n.Disk().Save("record", args)) })
	measure("Marshal", allocsMarshal, func() {
		_, err := labrpc.Marshal(args)
		require.NoError(t, err)
	})
	synctest.Test(t, func(t *testing.T) {
		virtual, n := newEcho(labrpc.Options{Link: labrpc.Reliable()})
		defer virtual.Close()
		labrpc.Receive(n, "say", func(labrpc.NodeID, echoArgs) {})
		measure("Call in virtual time", allocsCallVirtual, func() {
			_, err := labrpc.Call[echoReply](context.Background(), n, 2, "echo", args)
			require.NoError(t, err)
		})
		measure("Send in virtual time, delivered", allocsSend, func() {
			require.NoError(t, labrpc.Send(n, 1, "say", args))
			time.Sleep(time.Microsecond)
		})
	})
}
