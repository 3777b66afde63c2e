package gateway

import (
	"cmp"
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Range implements etcd's KV service.
func (g *Gateway) Range(ctx context.Context, r *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	key, end := string(r.Key), string(r.RangeEnd)
	if r.Revision > 0 || r.Serializable || end != "" {
		return g.rangeOf(ctx, r)
	}
	// One key at the present revision: a read of the store itself.
	before := g.atLeast()
	k, marked, err := g.ask(ctx, key)
	if err != nil {
		return nil, failure(err)
	}
	var found []kv
	if k.Mod != 0 && !marked {
		found = []kv{k}
	}
	return g.answer(r, found, max(before, k.Mod)), nil
}

// rangeOf answers from the mirror, once that is as new as the request asks for.
func (g *Gateway) rangeOf(ctx context.Context, r *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	now := g.mirror.revision()
	if !r.Serializable && (r.Revision == 0 || storeRevision(r.Revision) > now) {
		var err error
		if now, err = g.fresh(ctx); err != nil {
			return nil, failure(err)
		}
	}
	at := now
	if r.Revision > 0 {
		at = storeRevision(r.Revision)
	}
	if at > now {
		return nil, rpctypes.ErrGRPCFutureRev
	}
	found, ok := g.mirror.at(string(r.Key), string(r.RangeEnd), at)
	if !ok {
		return nil, rpctypes.ErrGRPCCompacted
	}
	return g.answer(r, found, now), nil
}

func checkRange(r *etcdserverpb.RangeRequest) error {
	_, order := etcdserverpb.RangeRequest_SortOrder_name[int32(r.SortOrder)]
	_, target := etcdserverpb.RangeRequest_SortTarget_name[int32(r.SortTarget)]
	switch {
	case len(r.Key) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case !order || !target:
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

// answer filters, sorts and cuts what was found, in etcd's order. found is sorted by key.
func (g *Gateway) answer(r *etcdserverpb.RangeRequest, found []kv, revision int) *etcdserverpb.RangeResponse {
	response := &etcdserverpb.RangeResponse{Header: g.header(revision), Count: int64(len(found))}
	if r.CountOnly {
		return response
	}
	found = slices.DeleteFunc(found, func(k kv) bool {
		mod, create := etcdRevision(k.Mod), etcdRevision(k.Create)
		return r.MinModRevision != 0 && mod < r.MinModRevision || r.MaxModRevision != 0 && mod > r.MaxModRevision ||
			r.MinCreateRevision != 0 && create < r.MinCreateRevision || r.MaxCreateRevision != 0 && create > r.MaxCreateRevision
	})
	slices.SortStableFunc(found, func(a, b kv) int {
		c := 0
		switch r.SortTarget {
		case etcdserverpb.RangeRequest_VERSION:
			c = cmp.Compare(a.Version, b.Version)
		case etcdserverpb.RangeRequest_CREATE:
			c = cmp.Compare(a.Create, b.Create)
		case etcdserverpb.RangeRequest_MOD:
			c = cmp.Compare(a.Mod, b.Mod)
		case etcdserverpb.RangeRequest_VALUE:
			c = cmp.Compare(a.Value, b.Value)
		default:
			c = cmp.Compare(a.Key, b.Key)
		}
		if r.SortOrder == etcdserverpb.RangeRequest_DESCEND {
			c = -c
		}
		return c
	})
	if r.Limit > 0 && int64(len(found)) > r.Limit {
		found, response.More = found[:r.Limit], true
	}
	for _, k := range found {
		p := k.proto()
		if r.KeysOnly {
			p.Value = nil
		}
		response.Kvs = append(response.Kvs, p)
	}
	return response
}

// proto is the key as etcd has it on the wire; nil if there is none.
func (k kv) proto() *mvccpb.KeyValue {
	if k.Mod == 0 {
		return nil
	}
	return &mvccpb.KeyValue{
		Key: []byte(k.Key), Value: []byte(k.Value), Version: int64(k.Version), Lease: k.Lease,
		CreateRevision: etcdRevision(k.Create), ModRevision: etcdRevision(k.Mod),
	}
}
