package etcd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// fake is an etcd that only lists and watches, and says nothing unless it is
// told to.
type fake struct {
	clientv3.KV      // what it does not have panics
	clientv3.Watcher // likewise

	mu       sync.Mutex
	revision int64
	kvs      []*mvccpb.KeyValue
	err      error // of Get
	deaf     bool  // does not answer RequestProgress
	refuse   error // of watches
	gets     int
	asked    int
	watches  []fakeWatch
}

type fakeWatch struct {
	ctx    context.Context
	from   int64
	events chan clientv3.WatchResponse
}

func newFake(t *testing.T) (*fake, *clientv3.Client) {
	f := &fake{revision: 100}
	client := clientv3.NewCtxClient(t.Context())
	client.KV, client.Watcher = f, f
	return f, client
}

// set makes these all that there is.
func (f *fake) set(addrs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kvs = nil
	slices.Sort(addrs)
	for _, a := range addrs {
		f.revision++
		f.kvs = append(f.kvs, &mvccpb.KeyValue{Key: []byte("/rpcx/users/" + a), Value: []byte(`"` + a + `"`), ModRevision: f.revision})
	}
}

func (f *fake) Get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	if f.err != nil {
		return nil, f.err
	}
	op := clientv3.OpGet(key, opts...)
	got := &clientv3.GetResponse{Header: &pb.ResponseHeader{Revision: f.revision}}
	for _, kv := range f.kvs {
		if string(kv.Key) >= key && string(kv.Key) < string(op.RangeBytes()) {
			got.Kvs = append(got.Kvs, kv)
		}
	}
	return got, nil
}

func (f *fake) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := fakeWatch{ctx, clientv3.OpGet(key, opts...).Rev(), make(chan clientv3.WatchResponse)}
	f.watches = append(f.watches, w)
	go func() {
		defer close(w.events)
		if f.refuse != nil {
			w.send(clientv3.WatchResponse{Header: &pb.ResponseHeader{}, Canceled: true, CancelReason: f.refuse.Error()})
			return
		}
		<-ctx.Done()
	}()
	return w.events
}

// send sends unless the watch has ended.
func (w fakeWatch) send(r clientv3.WatchResponse) {
	select {
	case w.events <- r:
	case <-w.ctx.Done():
	}
}

func (f *fake) RequestProgress(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.err != nil {
		return f.err
	}
	if !f.deaf {
		w, r := f.watches[len(f.watches)-1], f.revision
		go w.send(clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: r}})
	}
	return nil
}

// do changes or reads the fake.
func (f *fake) do(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

var errDown = errors.New("down")

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
