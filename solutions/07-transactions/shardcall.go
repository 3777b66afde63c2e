package transactions

import (
	"context"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

const (
	// shardAttempt is how long a server's reply is waited for, shardPause how long the caller pauses before it asks the next.
	shardAttempt = 600 * time.Millisecond
	shardPause   = 20 * time.Millisecond
)

// A shardCaller asks groups to execute commands.
type shardCaller struct {
	node   *labrpc.Node
	layout Layout

	mu   sync.Mutex
	next []labrpc.NodeID // of each group: the server to ask next
}

func newShardCaller(node *labrpc.Node, layout Layout) *shardCaller {
	g := &shardCaller{node: node, layout: layout}
	for _, servers := range layout.Groups {
		g.next = append(g.next, servers[0])
	}
	return g
}

// ask asks one server of a group after another until one has executed the command.
func (g *shardCaller) ask(ctx context.Context, group int, c shardCommand) (shardResult, error) {
	for {
		server := g.server(group)
		reply := g.askOnce(ctx, server, c)
		servers := g.layout.Groups[group]
		switch {
		case reply.Served && reply.Result.Outcome != outcomeLocked:
			return reply.Result, nil
		case ctx.Err() != nil:
			return shardResult{}, ctx.Err()
		case g.node.Context().Err() != nil:
			return shardResult{}, labrpc.ErrDown
		case reply.Served: // ask again, until the lock is gone
		case reply.Leader != 0 && reply.Leader != server:
			g.turn(group, server, reply.Leader)
		default:
			g.turn(group, server, servers[(slices.Index(servers, server)+1)%len(servers)])
		}
		g.pause(ctx, shardPause)
	}
}

// askOnce returns a server's reply; the zero reply if none arrives.
func (g *shardCaller) askOnce(ctx context.Context, server labrpc.NodeID, c shardCommand) shardReply {
	ctx, cancel := context.WithTimeout(ctx, shardAttempt)
	defer cancel()
	reply, _ := labrpc.Call[shardReply](ctx, g.node, server, "Execute", c)
	return reply
}

// askAll asks several groups at once. It returns their results in the order of the groups, and
// an error if there is one.
func (g *shardCaller) askAll(ctx context.Context, groups []int, command func(group int) shardCommand) ([]shardResult, error) {
	results, errs := make([]shardResult, len(groups)), make([]error, len(groups))
	var all sync.WaitGroup
	for i, group := range groups {
		all.Go(func() { results[i], errs[i] = g.ask(ctx, group, command(group)) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// commitAt tells groups that a transaction was committed. It returns nil when all of them know.
func (g *shardCaller) commitAt(ctx context.Context, groups []int, txn, at uint64) error {
	_, err := g.askAll(ctx, groups, func(int) shardCommand { return shardCommand{Op: opCommit, Txn: txn, At: at} })
	return err
}

func (g *shardCaller) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	case <-g.node.Context().Done():
	}
}

func (g *shardCaller) server(group int) labrpc.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next[group]
}

// turn asks another server from now on, unless another call has turned from that one already.
func (g *shardCaller) turn(group int, from, to labrpc.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next[group] == from {
		g.next[group] = to
	}
}
