// Package kubernetes finds the pods behind a service of Kubernetes, by listing and
// watching its EndpointSlices over HTTPS, and needs no client library for that:
//
//	config, err := kubernetes.InCluster()
//	...
//	resolver, err := kubernetes.New(config)
//	...
//	schemes := address.Builtin().With("kubernetes", resolver)
//
// Targets are
//
//	kubernetes:///users.shop:grpc  the port of that name of service users in namespace shop
//	kubernetes:///users.shop:7000  the port of that number, as the pods have it
//	kubernetes:///users.shop       the only port
//	kubernetes:///users:grpc       in Config.Namespace
//
// The service account needs leave to list and watch endpointslices of the API group
// discovery.k8s.io in the namespaces of the services.
//
// # What a slice says of an endpoint
//
// An endpoint is of use if it is ready or, if none is ready, if it still serves while
// it terminates. Its zone is the Endpoint's; its node and its pod are the tags node
// and pod. The Endpoint's Name, which a certificate has to be for, is
// "users.shop.svc". A pod with an IPv4 and an IPv6 address is one endpoint, that with
// IPv4. What several slices have is one endpoint, too, and ready if one of them says so.
package kubernetes

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// Defaults of Config.
const (
	DefaultWatch        = 5 * time.Minute
	DefaultPage         = 250
	DefaultMaxEndpoints = 10_000
	DefaultMaxAnswer    = 32 << 20
)

// Config says where the API server is and how to talk to it.
type Config struct {
	// Server is its URL, "https://10.0.0.1:6443". "http" will do for a proxy on the
	// same machine that adds credentials, as kubectl's does; tokens are not sent then.
	Server string
	// CAFile holds the certificates, in PEM, that its certificate is signed by. It is
	// read with each connection. Without it those of TLS or of the system count.
	CAFile string
	// TokenFile holds the bearer token. It is read with each request, as it is
	// replaced before it expires. Token is one that stays.
	TokenFile, Token string
	// TLS is for all else, such as a client's certificate; nil will do. It is cloned.
	TLS *tls.Config
	// Namespace is that of targets which name none.
	Namespace string
	// Family is "ip4" or "ip6" if only these addresses are of use, "" for both.
	Family string
	// Watch is how long a watch is open before it is opened again, DefaultWatch if it
	// is zero, and up to twice that at random.
	Watch time.Duration
	// Page is how many slices are asked for at once, DefaultPage if it is zero.
	Page int
	// MaxEndpoints is how many endpoints a service may have, DefaultMaxEndpoints if it
	// is zero. Those beyond are left out and reported.
	MaxEndpoints int
	// MaxAnswer is how many bytes an answer, or an event of a watch, may have,
	// DefaultMaxAnswer if it is zero. A larger one is an error.
	MaxAnswer int64
	// OnError is told of slices and endpoints that are skipped because they are broken
	// or too many. It may be called concurrently, and has to return soon. nil logs
	// warnings by slog's default logger.
	OnError func(error)

	dial  dialer        // nil but in tests
	first time.Duration // between attempts, firstPause if it is zero
}

// account is where a pod has its credentials.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster returns the Config of a pod with a service account, and an error if the
// process does not run in one.
func InCluster() (Config, error) { return inCluster(account) }

func inCluster(dir string) (Config, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return Config{}, errors.New("kubernetes: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set: the process does not run in a pod")
	}
	c := Config{
		Server:    "https://" + net.JoinHostPort(host, port),
		CAFile:    filepath.Join(dir, "ca.crt"),
		TokenFile: filepath.Join(dir, "token"),
	}
	if _, err := readFile(c.TokenFile); err != nil {
		return Config{}, fmt.Errorf("kubernetes: the service account's token: %w", err)
	}
	namespace, err := readFile(filepath.Join(dir, "namespace"))
	if err != nil {
		return Config{}, fmt.Errorf("kubernetes: the pod's namespace: %w", err)
	}
	c.Namespace = strings.TrimSpace(string(namespace))
	return c, nil
}

// Resolver is an address.Resolver. It may be used concurrently.
type Resolver struct {
	config Config
	server string // without "/" at the end
	http   *http.Client
}

var _ address.Resolver = (*Resolver)(nil)

// New returns a Resolver that asks the API server of the Config. It connects to
// nothing yet, and returns an error if a field is wrong or CAFile cannot be read.
func New(c Config) (*Resolver, error) {
	if err := c.setDefaults(); err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	return &Resolver{config: c, server: strings.TrimSuffix(c.Server, "/"), http: newClient(c)}, nil
}

func (c *Config) setDefaults() error {
	u, err := url.Parse(c.Server)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("Config.Server is %q, want a URL, as in \"https://10.0.0.1:6443\"", u.Redacted())
	case u.Scheme == "http" && (c.TokenFile != "" || c.Token != ""):
		return fmt.Errorf("Config.Server is %q: a token is not sent without TLS", c.Server)
	case c.TokenFile != "" && c.Token != "":
		return errors.New("Config.Token and Config.TokenFile are both set")
	case c.Namespace != "" && !isLabel(c.Namespace):
		return fmt.Errorf("Config.Namespace: %q is not the name of a namespace", c.Namespace)
	case c.Family != "" && c.Family != "ip4" && c.Family != "ip6":
		return fmt.Errorf("Config.Family is %q, want \"ip4\", \"ip6\" or \"\"", c.Family)
	case c.Watch < 0 || c.Page < 0 || c.MaxEndpoints < 0 || c.MaxAnswer < 0:
		return errors.New("a field of Config is negative")
	}
	if c.CAFile != "" {
		if _, err := readCAs(c.CAFile); err != nil {
			return err
		}
	}
	if c.Watch == 0 {
		c.Watch = DefaultWatch
	}
	if c.Page == 0 {
		c.Page = DefaultPage
	}
	if c.MaxEndpoints == 0 {
		c.MaxEndpoints = DefaultMaxEndpoints
	}
	if c.MaxAnswer == 0 {
		c.MaxAnswer = DefaultMaxAnswer
	}
	if c.first == 0 {
		c.first = firstPause
	}
	if c.OnError == nil {
		c.OnError = func(err error) { slog.Warn("addressing by kubernetes", "error", err) }
	}
	return nil
}
