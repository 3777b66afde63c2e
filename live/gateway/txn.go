package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A txn is a transaction that the store can execute: in each branch it writes at most one key, and then the comparisons
// are all about that key; or it writes none.
type txn struct {
	*etcdserverpb.TxnRequest
	written string // the one key; "" for none
}

// Txn implements etcd's KV service.
func (g *Gateway) Txn(ctx context.Context, r *etcdserverpb.TxnRequest) (*etcdserverpb.TxnResponse, error) {
	t, err := checkTxn(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if t.written != "" {
		response, err := g.writeTxn(ctx, t)
		if !errors.Is(err, errReadOnly) {
			return response, failure(err)
		}
	}
	return g.readTxn(ctx, t)
}

// errReadOnly: as things are, the transaction changes nothing.
var errReadOnly = errors.New("live: nothing to write")

const maxOps = 128 // as etcd has it

func checkTxn(r *etcdserverpb.TxnRequest) (txn, error) {
	if len(r.Compare) > maxOps || len(r.Success) > maxOps || len(r.Failure) > maxOps {
		return txn{}, rpctypes.ErrGRPCTooManyOps
	}
	t := txn{TxnRequest: r}
	for _, branch := range [][]*etcdserverpb.RequestOp{r.Success, r.Failure} {
		writes := 0
		for _, op := range branch {
			key, err := checkOp(op)
			if err != nil {
				return txn{}, err
			}
			if key == nil {
				continue
			}
			if writes++; writes > 1 || t.written != "" && t.written != string(key) {
				return txn{}, unimplemented("a Txn that writes more than one key, or one key twice, is not possible")
			}
			t.written = string(key)
		}
	}
	for _, c := range r.Compare {
		switch {
		case len(c.Key) == 0:
			return txn{}, rpctypes.ErrGRPCEmptyKey
		case t.written != "" && (string(c.Key) != t.written || len(c.RangeEnd) > 0):
			return txn{}, unimplemented("a Txn that writes one key and compares another is not possible: the store checks and changes one key in one step")
		}
	}
	return t, nil
}

// checkOp returns the key that an operation writes, if it writes one.
func checkOp(op *etcdserverpb.RequestOp) (key []byte, err error) {
	switch r := op.Request.(type) {
	case *etcdserverpb.RequestOp_RequestRange:
		return nil, checkRange(r.RequestRange)
	case *etcdserverpb.RequestOp_RequestPut:
		return r.RequestPut.Key, checkPut(r.RequestPut)
	case *etcdserverpb.RequestOp_RequestDeleteRange:
		return r.RequestDeleteRange.Key, checkDelete(r.RequestDeleteRange)
	}
	return nil, unimplemented("a Txn within a Txn is not possible")
}

// writeTxn decides, and writes, on the state of the one key. It returns errReadOnly if the key, which may have changed by now, leads to
// a branch without a write.
func (g *Gateway) writeTxn(ctx context.Context, t txn) (*etcdserverpb.TxnResponse, error) {
	if len(t.Compare) == 0 {
		if op := writeOf(t.Success); op.GetRequestDeleteRange() != nil {
			c, revision, err := g.delete(ctx, t.written)
			if err != nil || c.Revision == 0 {
				return nil, cmp.Or(err, errReadOnly)
			}
			_ = revision
			return g.respond(ctx, t, true, c)
		}
	}
	holds := false
	c, err := g.update(ctx, t.written, func(k kv) (update, error) {
		holds = true
		for _, compare := range t.Compare {
			holds = holds && compareKey(compare, k)
		}
		op := writeOf(t.branch(holds))
		switch {
		case op.GetRequestPut() != nil:
			return putOf(op.GetRequestPut()), nil
		case op.GetRequestDeleteRange() != nil && k.Mod != 0:
			return update{do: remove}, nil
		}
		return update{}, errReadOnly
	})
	if err != nil {
		return nil, err
	}
	return g.respond(ctx, t, holds, c)
}

func (t txn) branch(holds bool) []*etcdserverpb.RequestOp {
	if holds {
		return t.Success
	}
	return t.Failure
}

// writeOf returns the operation that writes, or nil.
func writeOf(branch []*etcdserverpb.RequestOp) *etcdserverpb.RequestOp {
	for _, op := range branch {
		if op.GetRequestRange() == nil {
			return op
		}
	}
	return nil
}

// readTxn decides and reads at one revision. If the branch turns out to write after all, the transaction begins again.
func (g *Gateway) readTxn(ctx context.Context, t txn) (*etcdserverpb.TxnResponse, error) {
	for {
		now, err := g.fresh(ctx)
		if err != nil {
			return nil, failure(err)
		}
		holds := true
		for _, compare := range t.Compare {
			found, ok := g.mirror.at(string(compare.Key), string(compare.RangeEnd), now)
			if !ok {
				return nil, rpctypes.ErrGRPCCompacted
			}
			if len(found) == 0 {
				found = []kv{{}}
			}
			holds = holds && !slices.ContainsFunc(found, func(k kv) bool { return !compareKey(compare, k) })
		}
		if op := writeOf(t.branch(holds)); op != nil {
			found, _ := g.mirror.at(t.written, "", now)
			if op.GetRequestPut() != nil || len(found) > 0 {
				response, err := g.writeTxn(ctx, t)
				if errors.Is(err, errReadOnly) {
					continue
				}
				return response, failure(err)
			}
		}
		return g.respond(ctx, t, holds, change{Revision: now})
	}
}

// respond makes the response of a branch that has made a change, or none: reads before the write see the state before it.
func (g *Gateway) respond(ctx context.Context, t txn, holds bool, c change) (*etcdserverpb.TxnResponse, error) {
	response := &etcdserverpb.TxnResponse{Header: g.header(c.Revision), Succeeded: holds}
	at := c.Revision
	if c.Key != "" {
		at = c.Revision - 1
	}
	for _, op := range t.branch(holds) {
		var out etcdserverpb.ResponseOp
		switch r := op.Request.(type) {
		case *etcdserverpb.RequestOp_RequestRange:
			found, err := g.readAt(ctx, r.RequestRange, at)
			if err != nil {
				return nil, err
			}
			out.Response = &etcdserverpb.ResponseOp_ResponseRange{ResponseRange: found}
		case *etcdserverpb.RequestOp_RequestPut:
			at = c.Revision
			done := &etcdserverpb.PutResponse{Header: g.header(c.Revision)}
			if r.RequestPut.PrevKv {
				done.PrevKv = c.Before.proto()
			}
			out.Response = &etcdserverpb.ResponseOp_ResponsePut{ResponsePut: done}
		case *etcdserverpb.RequestOp_RequestDeleteRange:
			at = c.Revision
			out.Response = &etcdserverpb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: deleted(r.RequestDeleteRange, c, g.header(c.Revision))}
		}
		response.Responses = append(response.Responses, &out)
	}
	return response, nil
}

// readAt answers a range at a revision that is, or will soon be, in the mirror.
func (g *Gateway) readAt(ctx context.Context, r *etcdserverpb.RangeRequest, revision int) (*etcdserverpb.RangeResponse, error) {
	if err := g.mirror.wait(ctx, revision); err != nil {
		return nil, failure(err)
	}
	at := revision
	if r.Revision > 0 {
		if at = storeRevision(r.Revision); at > revision {
			return nil, rpctypes.ErrGRPCFutureRev
		}
	}
	found, ok := g.mirror.at(string(r.Key), string(r.RangeEnd), at)
	if !ok {
		return nil, rpctypes.ErrGRPCCompacted
	}
	return g.answer(r, found, revision), nil
}

// compareKey reports whether a comparison holds for a key; a key that does not exist has zeros everywhere, and no value.
func compareKey(c *etcdserverpb.Compare, k kv) bool {
	order := 0
	switch c.Target {
	case etcdserverpb.Compare_VERSION:
		order = cmp.Compare(int64(k.Version), c.GetVersion())
	case etcdserverpb.Compare_CREATE:
		order = cmp.Compare(revisionOrZero(k.Create), c.GetCreateRevision())
	case etcdserverpb.Compare_MOD:
		order = cmp.Compare(revisionOrZero(k.Mod), c.GetModRevision())
	case etcdserverpb.Compare_LEASE:
		order = cmp.Compare(k.Lease, c.GetLease())
	case etcdserverpb.Compare_VALUE:
		if k.Mod == 0 {
			return false
		}
		order = bytes.Compare([]byte(k.Value), c.GetValue())
	default:
		return false
	}
	switch c.Result {
	case etcdserverpb.Compare_EQUAL:
		return order == 0
	case etcdserverpb.Compare_NOT_EQUAL:
		return order != 0
	case etcdserverpb.Compare_GREATER:
		return order > 0
	case etcdserverpb.Compare_LESS:
		return order < 0
	}
	return false
}

func revisionOrZero(revision int) int64 {
	if revision == 0 {
		return 0
	}
	return etcdRevision(revision)
}
