package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"buf.build/go/protoyaml"

	conformancev1 "github.com/rpcx-go/rpcx/conformance/gen"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, output string
		want         summary
		found        bool
	}{
		{"good", "Total cases: 5554\n5554 passed, 0 failed\n", summary{cases: 5554}, true},
		{"a failure", "FAILED: x:\n\tno\n\n\nTotal cases: 3\n2 passed, 1 failed\n", summary{3, 1}, true},
		{"lost", "Total cases: 3\n2 passed, 0 failed\n", summary{3, 1}, true},
		{"not run", "Total cases: 3\n3 passed, 0 failed\nAnother 2 could not be run due to client timing out or exiting prematurely.\n", summary{5, 2}, true},
		{"expected", "Total cases: 3\n3 passed, 0 failed\n(Another 1 failed as expected due to being known failures/flakes.)\n", summary{3, 1}, true},
		{"aborted", "panic: x\n", summary{}, false},
	} {
		got, found := parse([]byte(test.output))
		if got != test.want || found != test.found {
			t.Errorf("%s: %+v, %v, want %+v, %v", test.name, got, found, test.want, test.found)
		}
	}
}

func TestArguments(t *testing.T) {
	p := &programs{"/bin"}
	for _, test := range []struct {
		name string
		role role
		want string
	}{
		{"server", role{server: []string{"server"}}, "--mode server --conf c --max-servers 2 --parallel 8 --test-file s --run r -- /bin/server"},
		{"client", role{client: []string{"client", "-x"}}, "--mode client --conf c --max-servers 2 --test-file s --run r -- /bin/client -x"},
		{"both", role{client: []string{"client"}, server: []string{"server", "-native"}},
			"--mode both --conf c --max-servers 2 --test-file s --run r -- /bin/client ---- /bin/server -native"},
	} {
		if got := strings.Join(p.arguments(test.role, "c", []string{"s"}, "r"), " "); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestNeutral(t *testing.T) {
	const suite = `
name: Some
mode: TEST_MODE_SERVER
reliesOnMessageReceiveLimit: true
testCases:
- request:
    testName: plain
    requestMessages:
    - "@type": type.googleapis.com/connectrpc.conformance.v1.UnaryRequest
      responseDefinition: {responseDelayMs: 5}
- request:
    testName: without-messages
- request:
    testName: raw-request
    rawRequest: {verb: POST}
- request:
    testName: raw-answer
    requestMessages:
    - "@type": type.googleapis.com/connectrpc.conformance.v1.UnaryRequest
      responseDefinition: {rawResponse: {statusCode: 418}}
- request:
    testName: raw-stream
    requestMessages:
    - "@type": type.googleapis.com/connectrpc.conformance.v1.BidiStreamRequest
      responseDefinition: {rawResponse: {statusCode: 418}}
`
	text, err := neutral([]byte(suite))
	if err != nil {
		t.Fatal(err)
	}
	got := new(conformancev1.TestSuite)
	if err := protoyaml.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range got.TestCases {
		names = append(names, c.GetRequest().GetTestName())
	}
	if want := []string{"plain", "without-messages"}; !slices.Equal(names, want) || got.Mode != 0 || !got.ReliesOnMessageReceiveLimit {
		t.Errorf("cases %q, want %q, in %v", names, want, got)
	}

	if text, err := neutral([]byte("name: Raw\ntestCases:\n- request: {testName: raw, rawRequest: {verb: GET}}\n")); text != nil || err != nil {
		t.Errorf("a suite without neutral cases: %s, %v", text, err)
	}
	if _, err := neutral([]byte("nonsense: 1\n")); err == nil {
		t.Error("takes a file that is no suite")
	}
}

// TestPairs holds pairs.yaml to its promise.
func TestPairs(t *testing.T) {
	read := func(name string) *conformancev1.Config {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := new(conformancev1.Config)
		if err := protoyaml.Unmarshal(text, c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	type combination [5]string // version, protocol, codec, compression, TLS
	all := func(f *conformancev1.Features) []combination {
		var out []combination
		for _, v := range f.Versions {
			for _, p := range f.Protocols {
				for _, codec := range f.Codecs {
					for _, compression := range f.Compressions {
						for _, tls := range []string{"TLS", "plain"} {
							if p == conformancev1.Protocol_PROTOCOL_GRPC && v == conformancev1.HTTPVersion_HTTP_VERSION_1 {
								continue
							}
							out = append(out, combination{v.String(), p.String(), codec.String(), compression.String(), tls})
						}
					}
				}
			}
		}
		return out
	}
	type pair struct {
		i, j int
		a, b string
	}
	pairs := func(combinations []combination) map[pair]bool {
		out := map[pair]bool{}
		for _, c := range combinations {
			for j := range c {
				for i := range j {
					out[pair{i, j, c[i], c[j]}] = true
				}
			}
		}
		return out
	}
	short := read("pairs.yaml")
	tested := all(short.Features)
	for _, c := range short.IncludeCases {
		tls := "plain"
		if c.GetUseTls() {
			tls = "TLS"
		}
		tested = append(tested, combination{c.Version.String(), c.Protocol.String(), c.Codec.String(), c.Compression.String(), tls})
	}
	got := pairs(tested)
	for p := range pairs(all(read("http.yaml").Features)) {
		if !got[p] {
			t.Errorf("%s with %s is missing", p.a, p.b)
		}
	}
}
