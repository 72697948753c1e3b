package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpcx-go/rpcx/runtime/address"
)

// known returns slices by their JSON without metadata, named a, b and so on.
func known(t *testing.T, texts ...string) *sliceSet {
	t.Helper()
	s := newSliceSet()
	for i, text := range texts {
		if err := s.put(json.RawMessage(object{name: string(rune('a' + i)), text: text}.json())); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func resolve(t *testing.T, c Config, target string) *source {
	t.Helper()
	c.Server = "https://api.test"
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := address.Schemes{"kubernetes": r}.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*source)
}

func of(addressType, ports, endpoints string) string {
	return fmt.Sprintf(`"addressType": %q, "ports": [%s], "endpoints": [%s]`, addressType, ports, endpoints)
}

const grpc = `{"name": "grpc", "protocol": "TCP", "port": 7000}`

func TestEndpoints(t *testing.T) {
	one := func(addr, rest string) string {
		if rest != "" {
			rest = ", " + rest
		}
		return fmt.Sprintf(`{"addresses": [%q]%s}`, addr, rest)
	}
	conditions := func(ready, serving, terminating string) string {
		return fmt.Sprintf(`"conditions": {"ready": %s, "serving": %s, "terminating": %s}`, ready, serving, terminating)
	}
	pod := func(uid string) string {
		return fmt.Sprintf(`"targetRef": {"kind": "Pod", "name": "users-%s", "uid": %q}`, uid, uid)
	}
	ready, leaving, sick := conditions("true", "true", "false"), conditions("false", "true", "true"), conditions("false", "false", "false")
	for name, test := range map[string]struct {
		slices  []string
		target  string // what follows the service
		config  Config
		want    string
		skipped string
	}{
		"no slices": {nil, ":grpc", Config{}, "", ""},
		"conditions": {[]string{of("IPv4", grpc, strings.Join([]string{
			one("10.0.0.1", ready), one("10.0.0.2", leaving), one("10.0.0.3", sick), one("10.0.0.4", conditions("null", "null", "null")), one("10.0.0.5", ""),
		}, ","))}, ":grpc", Config{}, "10.0.0.1:7000 10.0.0.4:7000 10.0.0.5:7000", ""},
		"only those that leave": {[]string{of("IPv4", grpc, one("10.0.0.1", leaving)+","+one("10.0.0.2", sick)+","+one("10.0.0.3", conditions("false", "false", "true")))}, ":grpc", Config{}, "10.0.0.1:7000", ""},
		"in two slices":         {[]string{of("IPv4", grpc, one("10.0.0.1", sick)), of("IPv4", grpc, one("10.0.0.1", ready)), of("IPv4", grpc, one("10.0.0.1", leaving))}, ":grpc", Config{}, "10.0.0.1:7000", ""},
		"both families": {[]string{
			of("IPv4", grpc, one("10.0.0.1", pod("a"))+","+one("10.0.0.2", sick+","+pod("b"))),
			of("IPv6", grpc, one("fd00::1", pod("a"))+","+one("fd00::2", pod("b"))+","+one("fd00::3", "")),
		}, ":grpc", Config{}, "10.0.0.1:7000 [fd00::2]:7000 [fd00::3]:7000", ""},
		"IPv6 only": {[]string{of("IPv4", grpc, one("10.0.0.1", pod("a"))), of("IPv6", grpc, one("fd00::1", pod("a")))}, ":grpc", Config{Family: "ip6"}, "[fd00::1]:7000", ""},
		"IPv4 only": {[]string{of("IPv4", grpc, one("10.0.0.1", pod("a"))), of("IPv6", grpc, one("fd00::1", pod("a"))+","+one("fd00::2", pod("b")))}, ":grpc", Config{Family: "ip4"}, "10.0.0.1:7000", ""},
		"names":     {[]string{of("FQDN", grpc, one("a.x", ""))}, ":grpc", Config{Family: "ip4"}, "a.x:7000", ""},
		"the number of a name differs": {[]string{
			of("IPv4", grpc, one("10.0.0.1", "")), of("IPv4", `{"name": "grpc", "port": 7001}`, one("10.0.0.2", "")), of("IPv4", `{"name": "http", "port": 80}`, one("10.0.0.3", "")),
		}, ":grpc", Config{}, "10.0.0.1:7000 10.0.0.2:7001", ""},
		"by number":              {[]string{of("IPv4", `{"name": "http", "port": 80},`+grpc, one("10.0.0.1", ""))}, ":80", Config{}, "10.0.0.1:80", ""},
		"by number, any":         {[]string{of("IPv4", ``, one("10.0.0.1", "")), of("IPv4", `{}`, one("10.0.0.2", ""))}, ":80", Config{}, "10.0.0.1:80 10.0.0.2:80", ""},
		"the only one":           {[]string{of("IPv4", `{"name": "dns", "protocol": "UDP", "port": 53},`+grpc, one("10.0.0.1", ""))}, "", Config{}, "10.0.0.1:7000", ""},
		"no such name":           {[]string{of("IPv4", `{"port": 80, "protocol": "UDP"},`+grpc, one("10.0.0.1", ""))}, ":http", Config{}, "error: the service has no port http for TCP that pods listen on (have: 80 UDP, grpc=7000)", ""},
		"no such number":         {[]string{of("IPv4", grpc, one("10.0.0.1", ""))}, ":80", Config{}, "error: the service has no port 80 for TCP that pods listen on (have: grpc=7000)", ""},
		"not TCP":                {[]string{of("IPv4", `{"name": "dns", "protocol": "UDP", "port": 53}`, one("10.0.0.1", ""))}, ":dns", Config{}, "error: the service has no port dns for TCP that pods listen on (have: dns=53 UDP)", ""},
		"not just one":           {[]string{of("IPv4", `{"name": "http", "port": 80},`+grpc, one("10.0.0.1", ""))}, "", Config{}, "error: the target has no port, and the service not just one for TCP (have: grpc=7000, http=80)", ""},
		"a port that is none":    {[]string{of("IPv4", `{"name": "grpc", "port": 70000}, {"name": "grpc"}`, one("10.0.0.1", ""))}, ":grpc", Config{}, "error: the service has no port grpc for TCP that pods listen on (have: grpc=70000, grpc=any)", ""},
		"broken ones":            {[]string{of("IPv4", grpc, strings.Join([]string{`{}`, one("x", ""), one("fd00::1", ""), one("0.0.0.0", ""), one("10.0.0.1", "")}, ",")), of("IPv5", grpc, one("10.0.0.2", ""))}, ":grpc", Config{}, "10.0.0.1:7000", `5 endpoints are broken and skipped: slice "a": endpoint 0: it has no address`},
		"too many":               {[]string{of("IPv4", grpc, one("10.0.0.3", "")+","+one("10.0.0.1", "")+","+one("10.0.0.2", ""))}, ":grpc", Config{MaxEndpoints: 2}, "10.0.0.1:7000 10.0.0.2:7000", "3 endpoints are too many, only 2 are used"},
		"the first address only": {[]string{of("IPv4", grpc, `{"addresses": ["10.0.0.1", "10.0.0.2"]}`)}, ":grpc", Config{}, "10.0.0.1:7000", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, skipped, err := resolve(t, test.config, "kubernetes:///users.shop"+test.target).endpoints(known(t, test.slices...))
			var got []string
			for _, e := range found {
				got = append(got, e.Addr)
			}
			if err != nil {
				got = append(got, "error: "+err.Error())
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if skipped == nil {
				skipped = errors.New("")
			}
			if skipped.Error() != test.skipped {
				t.Errorf("skipped: got %q, want %q", skipped, test.skipped)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	s := resolve(t, Config{}, "kubernetes:///users.shop:grpc")
	found, _, err := s.endpoints(known(t, of("IPv4", grpc,
		`{"addresses": ["10.0.0.1"], "nodeName": "n1", "zone": "a", "targetRef": {"kind": "Pod", "name": "users-1"}}, {"addresses": ["10.0.0.2"], "targetRef": {"kind": "Other", "name": "x"}}`)))
	want := []address.Endpoint{
		{Network: "tcp", Addr: "10.0.0.1:7000", Zone: "a", Name: "users.shop.svc", Tags: map[string]string{"node": "n1", "pod": "users-1"}},
		{Network: "tcp", Addr: "10.0.0.2:7000", Name: "users.shop.svc"},
	}
	if diff := cmp.Diff(want, found); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

// TestBounds: slices cannot grow without bounds.
func TestBounds(t *testing.T) {
	s := newSliceSet()
	if err := s.put(json.RawMessage(object{name: "a", text: of("IPv4", grpc, strings.Repeat("{},", maxInSlice)+"{}")}.json())); err == nil || !strings.Contains(err.Error(), `slice "a" is broken and skipped: it has 1001 endpoints`) {
		t.Errorf("got %v", err)
	}
	for _, text := range []string{`7`, `{}`, `{"metadata": {"name": 7}}`, ``} {
		if err := s.put(json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), "is broken and skipped") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	for i := range maxSlices + 1 {
		err := s.put(json.RawMessage(object{name: fmt.Sprint(i), text: of("IPv4", grpc, "")}.json()))
		if (err == nil) != (i < maxSlices) || err != nil && !errors.Is(err, errTooMany) {
			t.Errorf("%d: got %v", i, err)
		}
	}
	if err := s.put(json.RawMessage(object{name: "0", text: of("IPv4", grpc, "")}.json())); err != nil {
		t.Errorf("one that is there: got %v", err)
	}
}

func TestTargets(t *testing.T) {
	r, err := New(Config{Server: "https://api.test"})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"kubernetes://api/users.shop:80":  "want a service",
		"kubernetes:///users.shop:80?a=b": "want a service",
		"kubernetes:///users:80":          "the namespace is missing",
		"kubernetes:///users.:80":         `not "users."`,
		"kubernetes:///.shop:80":          `not ".shop"`,
		"kubernetes:///users.shop.svc:80": `not "users.shop.svc"`,
		"kubernetes:///a/../b.shop:80":    `not "a/../b.shop"`,
		"kubernetes:///users.shop:":       `"" is not a port`,
		"kubernetes:///users.shop:-x":     `"-x" is not a port`,
		"kubernetes:///users.shop:HTTP":   `"HTTP" is not a port`,
		"kubernetes:///users.shop:0":      "0 is not a port to connect to",
		"kubernetes:///users.shop:70000":  "70000 is not a port to connect to",
	} {
		_, err := address.Schemes{"kubernetes": r}.Resolve(target)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), target) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	noPEM := write(t, dir, "ca.crt", "x")
	large := write(t, dir, "large.crt", strings.Repeat("x", maxFile+1))
	for want, c := range map[string]Config{
		`Config.Server is "", want a URL`:                     {},
		`Config.Server is "ftp://x", want a URL`:              {Server: "ftp://x"},
		`Config.Server is "https://a:xxxxx@x", want a URL`:    {Server: "https://a:b@x"},
		"a token is not sent without TLS":                     {Server: "http://x", Token: "t"},
		"Config.Token and Config.TokenFile are both set":      {Server: "https://x", Token: "t", TokenFile: "f"},
		`"a.b" is not the name of a namespace`:                {Server: "https://x", Namespace: "a.b"},
		`Config.Family is "ip5"`:                              {Server: "https://x", Family: "ip5"},
		"a field of Config is negative":                       {Server: "https://x", Page: -1},
		"no such file":                                        {Server: "https://x", CAFile: filepath.Join(dir, "none")},
		"ca.crt: no certificate in PEM in it":                 {Server: "https://x", CAFile: noPEM},
		fmt.Sprintf("large.crt: more than %d bytes", maxFile): {Server: "https://x", CAFile: large},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := InCluster(); err == nil || !strings.Contains(err.Error(), "does not run in a pod") {
		t.Errorf("got %v", err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	if _, err := inCluster(dir); err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "the service account's token") {
		t.Errorf("got %v", err)
	}
	write(t, dir, "token", "t")
	if _, err := inCluster(dir); err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "the pod's namespace") {
		t.Errorf("got %v", err)
	}
	write(t, dir, "namespace", "shop\n")
	c, err := inCluster(dir)
	if err != nil || c.Server != "https://[fd00::1]:443" || c.Namespace != "shop" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// FuzzSlice: nothing that a server sends makes the resolver fail.
func FuzzSlice(f *testing.F) {
	f.Add(object{name: "a", text: of("IPv4", grpc, `{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}`)}.json())
	f.Add(object{name: "a", text: of("IPv6", `{}`, `{"addresses": ["fd00::1"], "targetRef": {"uid": "x"}}, null`)}.json())
	f.Add(`{"metadata": null, "ports": [null], "endpoints": [null]}`)
	var sources []*source
	for _, port := range []string{"", ":grpc", ":80"} {
		r, err := New(Config{Server: "https://api.test", MaxEndpoints: 5})
		if err != nil {
			f.Fatal(err)
		}
		s, err := address.Schemes{"kubernetes": r}.Resolve("kubernetes:///users.shop" + port)
		if err != nil {
			f.Fatal(err)
		}
		sources = append(sources, s.(*source))
	}
	f.Fuzz(func(t *testing.T, text string) {
		known := newSliceSet()
		if known.put(json.RawMessage(text)) != nil {
			return
		}
		for _, s := range sources {
			found, _, err := s.endpoints(known)
			if err != nil && len(found) > 0 || len(found) > 5 {
				t.Errorf("%v, %v", found, err)
			}
			for _, e := range found {
				if err := e.Validate(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
