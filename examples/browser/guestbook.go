package main

import (
	"context"
	"sync"

	guestbookv1 "github.com/rpcx-go/rpcx/examples/browser/gen/guestbook/v1"
	"github.com/rpcx-go/rpcx/examples/browser/gen/guestbook/v1/guestbookv1rpcx"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
)

// kept is how many entries the guest book keeps: the latest.
const kept = 100

// guestbook implements guestbookv1rpcx.GuestbookServer. Its methods are called
// concurrently.
type guestbook struct {
	mu      sync.Mutex
	count   uint32               // of entries that were ever written
	entries []*guestbookv1.Entry // the latest; they never change
	written chan struct{}        // closed, and replaced, with each entry
}

var _ guestbookv1rpcx.GuestbookServer = (*guestbook)(nil)

func newGuestbook() *guestbook { return &guestbook{written: make(chan struct{})} }

// Sign adds an entry.
func (g *guestbook) Sign(_ context.Context, req *guestbookv1.SignRequest) (*guestbookv1.SignResponse, error) {
	for _, field := range []struct{ name, value string }{{"guest", req.GetGuest()}, {"text", req.GetText()}} {
		if field.value == "" {
			blank, err := status.New(status.InvalidArgument, "an entry needs a name and a text").
				WithDetails(&guestbookv1.Blank{Field: field.name})
			if err != nil {
				return nil, err
			}
			return nil, blank
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	entry := &guestbookv1.Entry{Number: g.count, Guest: req.GetGuest(), Text: req.GetText()}
	if len(g.entries) == kept {
		g.entries = g.entries[1:]
	}
	g.entries = append(g.entries, entry)
	close(g.written)
	g.written = make(chan struct{})
	return &guestbookv1.SignResponse{Entry: entry}, nil
}

// Count says how many entries there are.
func (g *guestbook) Count(context.Context, *guestbookv1.CountRequest) (*guestbookv1.CountResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &guestbookv1.CountResponse{Count: g.count}, nil
}

// Read sends entries until the caller goes away.
func (g *guestbook) Read(ctx context.Context, _ *guestbookv1.ReadRequest, stream rpcx.ServerStreamingServer[guestbookv1.ReadResponse]) error {
	var sent uint32 // the number of the last entry that was sent
	for {
		entries, written := g.after(sent)
		for _, entry := range entries {
			if err := stream.Send(&guestbookv1.ReadResponse{Entry: entry}); err != nil {
				return err
			}
			sent = entry.GetNumber()
		}
		select {
		case <-written:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// after returns copies of the references to those entries that are kept and have
// a number above n, and what will be closed with the next one.
func (g *guestbook) after(n uint32) ([]*guestbookv1.Entry, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	newer := min(int(g.count-n), len(g.entries))
	from := len(g.entries) - newer
	return g.entries[from:len(g.entries):len(g.entries)], g.written
}
