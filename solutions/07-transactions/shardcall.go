package transactions

import (
	"context"
	"slices"
	"sync"
	"time"

	"distlabs/labrpc"
)

const (
	// shardAttempt is how long a server's reply is waited for at most, shardPause how long the caller pauses before it asks the next.
	shardAttempt = 600 * time.Millisecond
	shardPause   = 20 * time.Millisecond
	// shardTrip is how long replies take, as far as a caller knows at first.
	shardTrip = 200 * time.Millisecond
	// shardMargin is how much longer than usual a reply may take. A transaction may need several groups whose leaders have all crashed: it has no time to
	// wait for each of them as long as for a server that is far away.
	shardMargin = 150 * time.Millisecond
)

// A shardCaller asks groups to execute commands.
type shardCaller struct {
	node   *labrpc.Node
	layout Layout

	mu   sync.Mutex
	next []labrpc.NodeID // of each group: the server to ask next
	trip time.Duration   // how long replies have taken lately
}

func newShardCaller(node *labrpc.Node, layout Layout) *shardCaller {
	g := &shardCaller{node: node, layout: layout, trip: shardTrip}
	for _, servers := range layout.Groups {
		g.next = append(g.next, servers[0])
	}
	return g
}

// ask asks one server of a group after another until one has executed the command.
func (g *shardCaller) ask(ctx context.Context, group int, c shardCommand) (shardResult, error) {
	for wait := g.usual(); ; wait = min(2*wait, shardAttempt) {
		server := g.server(group)
		reply := g.askOnce(ctx, server, c, wait)
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

// askOnce returns a server's reply; the zero reply if none arrives in time.
func (g *shardCaller) askOnce(ctx context.Context, server labrpc.NodeID, c shardCommand, wait time.Duration) shardReply {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	began := time.Now()
	reply, err := labrpc.Call[shardReply](ctx, g.node, server, "Execute", c)
	if err == nil {
		g.took(time.Since(began))
	}
	return reply
}

// took notes how long a reply has taken. One that took long counts at once, quick ones little by little.
func (g *shardCaller) took(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trip = max(d, (g.trip+d)/2)
}

// usual returns how long a reply may take, as long as nothing is wrong.
func (g *shardCaller) usual() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return min(g.trip+shardMargin, shardAttempt)
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
