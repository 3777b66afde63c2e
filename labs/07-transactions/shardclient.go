package transactions

import (
	"context"
	"errors"

	"distlabs/labrpc"
)

// A ShardClient runs transactions on a sharded store. Its methods may be called by several goroutines at once.
type ShardClient struct {
	node   *labrpc.Node
	layout Layout
}

// NewShardClient makes a client of a store. It returns at once.
func NewShardClient(node *labrpc.Node, layout Layout) *ShardClient {
	return &ShardClient{node: node, layout: layout}
}

// Run executes a transaction: it calls f and then Commit, and again after ErrAborted, until ctx ends. If f returns
// another error, Run aborts the transaction and returns that error. If f has called Commit itself and returns nil, Run does not call Commit: it goes by
// the error of that call.
//
// After nil, the transaction was committed exactly once, in the last call of f; its earlier calls have written nothing.
// After an error that wraps ErrOutcomeUnknown, it was committed once or never, or may still be. After any other error, it was not
// committed and never will be.
func (c *ShardClient) Run(ctx context.Context, f func(tx *ShardTx) error) error {
	// TODO(7D): call f with a transaction, and commit it.
	return errors.New("transactions: Run is not implemented")
}

// Begin begins a transaction. Its calls end when ctx ends. The caller must end it with Commit or Abort.
func (c *ShardClient) Begin(ctx context.Context) *ShardTx {
	return &ShardTx{client: c, ctx: ctx}
}

// A ShardTx is one transaction. It is for one goroutine.
type ShardTx struct {
	client *ShardClient
	ctx    context.Context
}

// Get returns the value of a key, and whether it has one. The transaction's own writes count.
//
// An error that wraps ErrAborted says that the transaction cannot be committed any more; otherwise it is ErrOver or the
// context's. After an error, call Abort.
func (tx *ShardTx) Get(key string) (value string, found bool, err error) {
	// TODO(7D): ask the key's group.
	return "", false, errors.New("transactions: Get is not implemented")
}

// Put writes a key. Other transactions see it only when the transaction has been committed. Its errors are the errors of Get.
func (tx *ShardTx) Put(key, value string) error {
	// TODO(7D): remember the write until Commit.
	return errors.New("transactions: Put is not implemented")
}

// Abort ends the transaction without effect. If it has ended already, Abort does nothing.
func (tx *ShardTx) Abort() {
	// TODO(7D): what have other groups kept for it?
}

// Commit ends the transaction: all its writes take effect, or none. Its errors are the errors of Run, and ErrOver if the
// transaction has ended already.
func (tx *ShardTx) Commit() error {
	// TODO(7D): in which group, and at which instant, is the transaction committed?
	return errors.New("transactions: Commit is not implemented")
}
