package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	profilesv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1"
	"github.com/rpcx-go/rpcx/examples/cluster/gen/profiles/v1/profilesv1rpcx"
	usersv1 "github.com/rpcx-go/rpcx/examples/cluster/gen/users/v1"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
)

const (
	workers   = 8
	callEvery = time.Millisecond // that each worker pauses between its calls
	saveEvery = 5                // of so many calls of a worker one saves
)

// load is workers that show and save users.
type load struct {
	client profilesv1rpcx.ProfilesClient
	ids    []string
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu sync.Mutex
	tally
}

// tally is what became of the calls.
type tally struct {
	calls, saves int
	saved        map[string]string // the name that each user was last given
	failures     []failure
	slowest      time.Duration
}

type failure struct {
	at  time.Time
	err error
}

// startLoad has workers show and save the users, each its own ones, until end
// is called.
func startLoad(ctx context.Context, client profilesv1rpcx.ProfilesClient, ids []string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{client: client, ids: ids, cancel: cancel, tally: tally{saved: map[string]string{}}}
	for w := range workers {
		l.all.Go(func() { l.work(ctx, w) })
	}
	return l
}

// end lets the calls that run come to their end and returns what became of all.
func (l *load) end() tally {
	l.cancel()
	l.all.Wait()
	return l.tally
}

func (l *load) work(ctx context.Context, worker int) {
	for n := 0; ctx.Err() == nil; n++ {
		id := l.ids[(worker+n*workers)%len(l.ids)]
		name := ""
		if n%saveEvery == 0 {
			name = fmt.Sprintf("user %s, saved in round %d", id, n)
		}
		l.call(id, name)
		select {
		case <-time.After(callEvery):
		case <-ctx.Done():
		}
	}
}

// call shows a user, or saves it if it gets a name.
func (l *load) call(id, name string) {
	var err error
	began := time.Now()
	if name == "" {
		_, err = l.client.Show(context.Background(), &profilesv1.ShowRequest{Id: id}, rpcx.WithTimeout(patience))
	} else {
		user := &usersv1.User{Id: id, Name: name}
		_, err = l.client.Save(context.Background(), &profilesv1.SaveRequest{User: user}, rpcx.WithTimeout(patience))
	}
	now := time.Now()

	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	l.slowest = max(l.slowest, now.Sub(began))
	switch {
	case err != nil:
		l.failures = append(l.failures, failure{now, err})
	case name != "":
		l.saves++
		l.saved[id] = name
	}
}

// lost returns how many users are not what they were last saved as.
func lost(ctx context.Context, client profilesv1rpcx.ProfilesClient, saved map[string]string) (int, error) {
	n := 0
	for id, name := range saved {
		res, err := client.Show(ctx, &profilesv1.ShowRequest{Id: id, Latest: true})
		if err != nil {
			return 0, err
		}
		if res.GetUser().GetName() != name {
			n++
		}
	}
	return n, nil
}
