package gateway

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
)

// A watchStream is one client's stream, with several watches.
type watchStream struct {
	g      *Gateway
	stream grpc.BidiStreamingServer[etcdserverpb.WatchRequest, etcdserverpb.WatchResponse]
	ctx    context.Context
	all    sync.WaitGroup

	sending sync.Mutex

	mu     sync.Mutex
	next   int64
	cancel map[int64]context.CancelFunc
}

// Watch implements etcd's Watch service.
func (g *Gateway) Watch(stream grpc.BidiStreamingServer[etcdserverpb.WatchRequest, etcdserverpb.WatchResponse]) error {
	ctx, stop := context.WithCancel(stream.Context())
	w := &watchStream{g: g, stream: stream, ctx: ctx, cancel: map[int64]context.CancelFunc{}}
	defer w.all.Wait()
	defer stop()
	defer context.AfterFunc(g.node.Context(), stop)()
	for {
		r, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch r := r.RequestUnion.(type) {
		case *etcdserverpb.WatchRequest_CreateRequest:
			err = w.create(r.CreateRequest)
		case *etcdserverpb.WatchRequest_CancelRequest:
			w.end(r.CancelRequest.WatchId)
			err = w.send(&etcdserverpb.WatchResponse{WatchId: r.CancelRequest.WatchId, Canceled: true, Header: g.header(g.mirror.revision())})
		case *etcdserverpb.WatchRequest_ProgressRequest:
			err = unimplemented("a request for the progress of watches is not possible")
		}
		if err != nil {
			return err
		}
	}
}

func (w *watchStream) send(r *etcdserverpb.WatchResponse) error {
	w.sending.Lock()
	defer w.sending.Unlock()
	return w.stream.Send(r)
}

// end ends a watch, if there is one of that number.
func (w *watchStream) end(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if cancel := w.cancel[id]; cancel != nil {
		cancel()
		delete(w.cancel, id)
	}
}

// create begins a watch.
func (w *watchStream) create(r *etcdserverpb.WatchCreateRequest) error {
	now := w.g.atLeast()
	from := now + 1
	if r.StartRevision > 0 {
		from = max(1, storeRevision(r.StartRevision))
	}
	w.mu.Lock()
	id := r.WatchId
	if id == 0 {
		for w.next++; w.cancel[w.next] != nil; w.next++ {
		}
		id = w.next
	}
	taken := w.cancel[id] != nil
	ctx, cancel := context.WithCancel(w.ctx)
	if !taken {
		w.cancel[id] = cancel
	}
	w.mu.Unlock()
	header := w.g.header(now)
	if taken {
		defer cancel()
		return w.send(&etcdserverpb.WatchResponse{Header: header, WatchId: -1, Created: true, Canceled: true, CancelReason: fmt.Sprintf("live: this stream has a watch %d", id)})
	}
	if err := w.send(&etcdserverpb.WatchResponse{Header: header, WatchId: id, Created: true}); err != nil {
		cancel()
		return err
	}
	w.all.Go(func() {
		defer cancel()
		defer w.end(id)
		w.run(ctx, id, r, from)
	})
	return nil
}

// run sends what changes from a revision on.
func (w *watchStream) run(ctx context.Context, id int64, r *etcdserverpb.WatchCreateRequest, from int) {
	for ctx.Err() == nil {
		changes, reached, moved, ok := w.g.mirror.since(string(r.Key), string(r.RangeEnd), from)
		if !ok {
			_ = w.send(&etcdserverpb.WatchResponse{
				Header: w.g.header(w.g.mirror.revision()), WatchId: id, Canceled: true, CompactRevision: etcdRevision(reached) + 1,
				CancelReason: "etcdserver: mvcc: required revision has been compacted",
			})
			return
		}
		var events []*mvccpb.Event
		for _, c := range changes {
			if e := eventOf(c, r); e != nil {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			if w.send(&etcdserverpb.WatchResponse{Header: w.g.header(reached), WatchId: id, Events: events}) != nil {
				return
			}
		}
		from = max(from, reached+1)
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
}

// eventOf is a change as the watch's client wants it, or nil.
func eventOf(c change, r *etcdserverpb.WatchCreateRequest) *mvccpb.Event {
	e := &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: c.After.proto()}
	without := etcdserverpb.WatchCreateRequest_NOPUT
	if c.After.Mod == 0 {
		e.Type, without = mvccpb.Event_DELETE, etcdserverpb.WatchCreateRequest_NODELETE
		e.Kv = &mvccpb.KeyValue{Key: []byte(c.Key), ModRevision: etcdRevision(c.Revision)}
	}
	if slices.Contains(r.Filters, without) {
		return nil
	}
	if r.PrevKv {
		e.PrevKv = c.Before.proto()
	}
	return e
}
