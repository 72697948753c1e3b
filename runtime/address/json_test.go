package address

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEndpointJSON(t *testing.T) {
	for _, test := range []struct {
		endpoint Endpoint
		text     string
	}{
		{Endpoint{Network: "tcp", Addr: "a:1"}, `{"address":"a:1"}`},
		{Endpoint{Network: "tcp", Addr: "unix:1"}, `{"address":"tcp://unix:1"}`},
		{Endpoint{Network: "unix", Addr: "x"}, `{"address":"unix://x"}`},
		{Endpoint{Network: "tcp", Addr: "[::1]:1", Weight: math.MaxUint32}, `{"address":"[::1]:1","weight":4294967295}`},
		{
			Endpoint{
				Network: "unix", Addr: "/run/x", Weight: 3, Zone: "z", Region: "r", Role: "leader",
				Tags: map[string]string{"b": "1", "a": "\"<"}, Protocol: "grpc", Name: "n",
			},
			`{"address":"unix:///run/x","weight":3,"zone":"z","region":"r","role":"leader",` +
				`"tags":{"a":"\"\u003c","b":"1"},"protocol":"grpc","name":"n"}`,
		},
	} {
		data, err := json.Marshal(test.endpoint)
		if err != nil || string(data) != test.text {
			t.Errorf("got %s, %v\nwant %s", data, err, test.text)
		}
		var got Endpoint
		if err := json.Unmarshal(data, &got); err != nil || !got.equal(test.endpoint) {
			t.Errorf("%s: %v\n%s", data, err, cmp.Diff(test.endpoint, got))
		}
	}
}

func TestEndpointFromJSON(t *testing.T) {
	for text, want := range map[string]string{
		`"a:1"`:                            "tcp://a:1",
		`{"address": "a:1", "since": [1]}`: "tcp://a:1", // a newer program's
		`null`:                             "target",
		`{}`:                               "target",
		`"a"`:                              "want host:port",
		`["a:1"]`:                          "want an address or an object, not array",
		`{"address": "http://a:1"}`:        `scheme "http"`,
		`{"address": "a:1", "weight": -1}`: `field "weight": want a uint32, not number -1`,
		`{"address": "a:1", "tags": [1]}`:  `field "tags"`,
		`{"address": "a:1"`:                "unexpected end",
		`{"address": "a:1", "zone": "` + strings.Repeat("z", MaxEndpointJSON) + `"}`: "too large",
	} {
		e := Endpoint{Network: "tcp", Addr: "before:1"}
		err := json.Unmarshal([]byte(text), &e)
		if strings.HasPrefix(want, "tcp") {
			if err != nil || e.String() != want {
				t.Errorf("%s: got %v, %v; want %s", text, e, err, want)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) || e.Addr != "before:1" {
			t.Errorf("%.50s: got %v, %v; want %s", text, e, err, want)
		}
	}
}

func TestEndpointToJSONErrors(t *testing.T) {
	for want, e := range map[string]Endpoint{
		"want host:port": {Network: "tcp", Addr: "a"},
		`scheme "udp"`:   {Network: "udp", Addr: "a:1"},
		"too large":      {Network: "tcp", Addr: "a:1", Zone: strings.Repeat("z", MaxEndpointJSON)},
	} {
		if data, err := json.Marshal(e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+.20v: got %.20s, %v; want %s", e, data, err, want)
		}
	}
}

func TestEndpointValidate(t *testing.T) {
	for target, want := range map[string]string{
		"a.internal:7000":       "",
		"10.0.0.1:https":        "",
		"[::1]:7000":            "",
		"unix:///run/x":         "",
		":7000":                 "the host is missing",
		"0.0.0.0:7000":          "all interfaces",
		"[::]:7000":             "all interfaces",
		"[::ffff:0.0.0.0]:7000": "all interfaces",
		"a:0":                   "want a port",
	} {
		e, err := Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", target, err, want)
		}
	}
	if err := (Endpoint{Network: "quic", Addr: "a:1"}).Validate(); err == nil {
		t.Error("a network that is not known is valid")
	}
	if err := (Endpoint{}).Validate(); err == nil {
		t.Error("no endpoint is valid")
	}
}
