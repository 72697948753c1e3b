package consul

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"
)

// maxErrorText is how much of the text of an error is read.
const maxErrorText = 1 << 10

// client is a client of an agent whose answers are bounded.
type client struct {
	*api.Client
	http *http.Client
	addr string
}

func newClient(given *api.Config, maxAnswer int64) (*client, error) {
	config := api.Config{}
	if given != nil {
		config = *given
	}
	if config.HttpClient != nil {
		own := *config.HttpClient
		config.HttpClient = &own
	}
	made, err := api.NewClient(&config)
	if err != nil {
		return nil, err
	}
	c := config.HttpClient // which NewClient has filled in, and the client uses
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	c.Transport = bounded{c.Transport, maxAnswer}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // it would take the token elsewhere
	return &client{made, c, config.Scheme + "://" + config.Address}, nil
}

// idle closes connections that nobody uses.
func (c *client) idle() { c.http.CloseIdleConnections() }

// bounded bounds the bodies of answers.
type bounded struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		resp.Body = &boundedBody{resp.Body, b.most, b.most}
	} else {
		resp.Body = &cutBody{io.LimitReader(resp.Body, maxErrorText), resp.Body}
	}
	return resp, nil
}

// CloseIdleConnections is for http.Client.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// boundedBody fails when it is too large.
type boundedBody struct {
	io.ReadCloser
	left, most int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	return n, err
}

// cutBody ends where its Reader ends.
type cutBody struct {
	io.Reader
	io.Closer
}

// code returns the status that the agent answered with, 0 if it did not answer.
func code(err error) int {
	var status api.StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

// query is what is asked of the health of a service.
type query struct {
	name    string
	tags    []string
	passing bool
	options api.QueryOptions
}

// health asks for the instances of a service. With an index it waits until they
// change, but for wait at most.
func (c *client) health(ctx context.Context, q query, index uint64, wait time.Duration) ([]*api.ServiceEntry, uint64, error) {
	if index == 0 {
		wait = 0
	}
	ctx, cancel := context.WithTimeout(ctx, wait+wait/16+timeout)
	defer cancel()
	q.options.WaitIndex, q.options.WaitTime = index, wait
	found, meta, err := c.Health().ServiceMultipleTags(q.name, q.tags, q.passing, q.options.WithContext(ctx))
	if err != nil {
		return nil, 0, c.because(ctx, err)
	}
	return found, meta.LastIndex, nil
}

// because adds the agent and, if time ran out, that.
func (c *client) because(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	return fmt.Errorf("agent %s: %w", c.addr, err)
}

// do bounds what f asks of the agent.
func (c *client) do(ctx context.Context, f func(*api.QueryOptions) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := f(new(api.QueryOptions).WithContext(ctx)); err != nil {
		return c.because(ctx, err)
	}
	return nil
}
