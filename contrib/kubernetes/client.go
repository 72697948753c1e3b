package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// timeout bounds each request but the watch itself, and how long a watch may go on
	// after its time.
	timeout = 30 * time.Second
	// maxFile bounds the files of credentials, and maxErrorText what the server says
	// of an error.
	maxFile      = 1 << 20
	maxErrorText = 1 << 10
	// maxRetryAfter bounds how long the server may have clients wait.
	maxRetryAfter = time.Minute
)

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// newClient returns a client of the API server. It uses no proxy and follows no
// redirects, which could take the token elsewhere.
func newClient(c Config) *http.Client {
	dial := c.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	t := &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return c.dialTLS(ctx, dial, network, addr)
		},
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		IdleConnTimeout:        time.Minute,
		ResponseHeaderTimeout:  timeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dialTLS connects with the authorities that CAFile has now.
func (c *Config) dialTLS(ctx context.Context, dial dialer, network, addr string) (net.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	if c.CAFile != "" {
		var err error
		if config.RootCAs, err = readCAs(c.CAFile); err != nil {
			return nil, err
		}
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config.ServerName = host
	}
	if config.NextProtos == nil {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func readCAs(file string) (*x509.CertPool, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in PEM in it", file)
	}
	return pool, nil
}

// readFile returns what is in a file that is not too large.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", file, maxFile)
	}
	return text, err
}

// token returns the token as it is now, "" if there is none.
func (c *Config) token() (string, error) {
	if c.TokenFile == "" {
		return c.Token, nil
	}
	text, err := readFile(c.TokenFile)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s: there is no token in it", c.TokenFile)
	}
	return token, nil
}

// refusal is an answer other than 200.
type refusal struct {
	code       int
	message    string
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s", r.code, http.StatusText(r.code), r.message))
}

// gone reports whether err says that a version or a page is too old to go on from.
func gone(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.code == http.StatusGone
}

// get asks the server. If it does not take the token, and there is another one
// by now, that is tried, too. The caller closes the body.
func (r *Resolver) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	token, err := r.config.token()
	if err != nil {
		return nil, err
	}
	body, err := r.getWith(ctx, path, query, token)
	var refused *refusal
	if errors.As(err, &refused) && refused.code == http.StatusUnauthorized {
		if again, readErr := r.config.token(); readErr == nil && again != token {
			return r.getWith(ctx, path, query, again)
		}
	}
	return body, err
}

func (r *Resolver) getWith(ctx context.Context, path string, query url.Values, token string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "rpcx-address")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		var text *url.Error // which repeats the whole URL
		if errors.As(err, &text) {
			err = text.Err
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 16*maxErrorText))
	refused := &refusal{code: resp.StatusCode, message: string(text)}
	var status status
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		refused.message = status.Message
	}
	refused.message = refused.message[:min(len(refused.message), maxErrorText)]
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		refused.retryAfter = min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
	}
	return nil, refused
}

// bounded fails when more than most bytes are read between two calls of reset.
type bounded struct {
	io.Reader
	left, most int64
}

func newBounded(r io.Reader, most int64) *bounded { return &bounded{r, most, most} }

func (b *bounded) reset() { b.left = b.most }

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
