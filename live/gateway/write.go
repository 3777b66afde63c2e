package gateway

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	replication "distlabs/labs/05-replication"
)

// An update is what a request wants to do to a key.
type update struct {
	do    updateKind
	value string
	lease int64
	keep  bool // the key's lease, whichever it is
}

type updateKind int

const (
	nothing updateKind = iota
	put
	remove // only if the key has not changed since it was looked at
)

// errConflict: the key has changed since it was looked at.
var errConflict = errors.New("live: the key has changed")

// update changes one key. decide is asked what to do to the key as it is, again and again until the key has not changed meanwhile: the
// store checks and changes in one step (rule 24). decide may be shown a key that is no longer so; if it then decides for
// nothing, the caller must not take that for the truth.
func (g *Gateway) update(ctx context.Context, key string, decide func(k kv) (update, error)) (c change, err error) {
	k, marked := g.look(key)
	for {
		if marked { // deleted, and about to go from the store too
			pause(ctx, markPause)
		} else {
			u, err := decide(k)
			if err != nil || u.do == nothing {
				return change{}, err
			}
			c, err = g.tryUpdate(ctx, k, key, u)
			if !errors.Is(err, errConflict) {
				return c, err
			}
		}
		if k, marked, err = g.ask(ctx, key); err != nil {
			return change{}, err
		}
	}
}

// markPause is how long to wait before the next look at a marked key.
const markPause = 20 * time.Millisecond

// tryUpdate does it if the key is still k.
func (g *Gateway) tryUpdate(ctx context.Context, k kv, key string, u update) (change, error) {
	if u.do == remove {
		if k.Lease == 0 {
			return change{}, unimplemented("a Txn that compares a key and deletes it, unless the key has a lease, is not possible")
		}
		revision, err := g.withLease(ctx, leaseRequest{Op: leaseRemove, ID: k.Lease, Key: key, At: k.Mod})
		return change{Revision: revision, Key: key, Before: k}, err
	}
	if u.keep {
		u.lease = k.Lease
	}
	after := kv{Key: key, Value: u.value, Version: k.Version + 1, Lease: u.lease}
	var err error
	switch {
	case k.Mod == 0 && u.lease != 0:
		after.Mod, err = g.withLease(ctx, leaseRequest{Op: leaseCreate, ID: u.lease, Key: key, Data: encodeValue(u.value, u.lease)})
	case k.Lease != u.lease:
		return change{}, unimplemented("to give a key that exists a lease, or to take the lease from it, is not possible: delete the key first")
	default:
		err = g.pool.use(ctx, func(c *replication.Client) (err error) {
			if k.Mod == 0 {
				after.Mod, err = c.Create(ctx, key, encodeValue(u.value, 0))
			} else {
				after.Mod, err = c.CompareAndSet(ctx, key, encodeValue(u.value, 0), k.Mod)
			}
			return err
		})
	}
	if errors.Is(err, replication.ErrExists) || errors.Is(err, replication.ErrConflict) {
		err = errConflict
	}
	if err != nil {
		return change{}, err
	}
	after.Create = k.Create
	if k.Mod == 0 {
		after.Create = after.Mod
	}
	g.learn(after)
	return change{Revision: after.Mod, Key: key, Before: k, After: after}, nil
}

// checkKey refuses keys that cannot be written.
func checkKey(key []byte) error {
	switch {
	case len(key) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case strings.HasPrefix(string(key), hidden):
		return status.Errorf(codes.InvalidArgument, "live: keys that begin with %q are the gateway's own", hidden)
	}
	return nil
}

func checkPut(r *etcdserverpb.PutRequest) error {
	switch {
	case r.IgnoreValue:
		return unimplemented("Put with ignore_value is not possible")
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	}
	return checkKey(r.Key)
}

func putOf(r *etcdserverpb.PutRequest) update {
	return update{do: put, value: string(r.Value), lease: r.Lease, keep: r.IgnoreLease}
}

// Put implements etcd's KV service.
func (g *Gateway) Put(ctx context.Context, r *etcdserverpb.PutRequest) (*etcdserverpb.PutResponse, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	c, err := g.update(ctx, string(r.Key), func(kv) (update, error) { return putOf(r), nil })
	if err != nil {
		return nil, failure(err)
	}
	response := &etcdserverpb.PutResponse{Header: g.header(c.Revision)}
	if r.PrevKv {
		response.PrevKv = c.Before.proto()
	}
	return response, nil
}

func checkDelete(r *etcdserverpb.DeleteRangeRequest) error {
	if len(r.RangeEnd) > 0 {
		return unimplemented("DeleteRange of more than one key is not possible: the store deletes single keys")
	}
	return checkKey(r.Key)
}

// DeleteRange implements etcd's KV service, for one key.
func (g *Gateway) DeleteRange(ctx context.Context, r *etcdserverpb.DeleteRangeRequest) (*etcdserverpb.DeleteRangeResponse, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	c, revision, err := g.delete(ctx, string(r.Key))
	if err != nil {
		return nil, failure(err)
	}
	return deleted(r, c, g.header(revision)), nil
}

func deleted(r *etcdserverpb.DeleteRangeRequest, c change, header *etcdserverpb.ResponseHeader) *etcdserverpb.DeleteRangeResponse {
	response := &etcdserverpb.DeleteRangeResponse{Header: header}
	if c.Before.Mod != 0 {
		response.Deleted = 1
		if r.PrevKv {
			response.PrevKvs = []*mvccpb.KeyValue{c.Before.proto()}
		}
	}
	return response
}

// delete deletes a key, whatever its value. The store does not say whether there was one: the mirror does, once it has
// reached a revision after the deletion. The change is zero if there was no key.
func (g *Gateway) delete(ctx context.Context, key string) (c change, revision int, err error) {
	before := g.mirror.revision()
	err = g.pool.use(ctx, func(c *replication.Client) error { return c.Delete(ctx, key) })
	if err != nil {
		return change{}, 0, err
	}
	now, err := g.fresh(ctx)
	if err != nil {
		return change{}, 0, err
	}
	changes, _, _, ok := g.mirror.since(key, "", before+1)
	if !ok {
		return change{}, 0, status.Error(codes.Unavailable, "live: the key is deleted; whether there was one, this gateway cannot tell any more")
	}
	for _, found := range changes {
		if found.After.Mod == 0 {
			c = found
		}
	}
	return c, now, nil
}

// Compact implements etcd's KV service.
func (g *Gateway) Compact(context.Context, *etcdserverpb.CompactionRequest) (*etcdserverpb.CompactionResponse, error) {
	return nil, unimplemented("Compact is not possible: the store forgets by itself")
}
