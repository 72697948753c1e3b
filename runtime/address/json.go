package address

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// MaxEndpointJSON is the largest form of an endpoint in JSON that is read or
// written, in bytes: what a registry holds is others' input.
const MaxEndpointJSON = 16 << 10

// endpointFields is the form of an Endpoint in JSON.
type endpointFields struct {
	Address  string            `json:"address"`
	Weight   uint32            `json:"weight,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	Region   string            `json:"region,omitempty"`
	Role     string            `json:"role,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Protocol string            `json:"protocol,omitempty"`
	Name     string            `json:"name,omitempty"`
}

// MarshalJSON returns the endpoint in the form that File and registries use, an
// object with the fields address, weight, zone, region, role, tags, protocol and
// name, without those that are empty. It fails if that has more than
// MaxEndpointJSON bytes, or if Parse would not take the address.
func (e Endpoint) MarshalJSON() ([]byte, error) {
	address := e.Addr
	if same, err := Parse(address); err != nil || same.ID() != e.ID() {
		address = e.String() // a socket, or a host that has the name of a scheme
		if _, err := Parse(address); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(endpointFields{address, e.Weight, e.Zone, e.Region, e.Role, e.Tags, e.Protocol, e.Name})
	if len(data) > MaxEndpointJSON {
		return nil, tooLarge(len(data))
	}
	return data, err
}

// UnmarshalJSON sets the endpoint to what MarshalJSON returned, or to an address
// that is just a string. Fields that it does not know are skipped, as newer
// programs may write them. It fails for more than MaxEndpointJSON bytes and for
// addresses that Parse does not take, and leaves e as it is then.
func (e *Endpoint) UnmarshalJSON(data []byte) error {
	if len(data) > MaxEndpointJSON {
		return tooLarge(len(data))
	}
	read, _, err := parseEndpoint(data, false)
	if err == nil {
		*e = read
	}
	return err
}

func tooLarge(size int) error {
	return fmt.Errorf("an endpoint of %d bytes of JSON is too large, at most %d will do", size, MaxEndpointJSON)
}

// Validate says why clients on other machines could not connect to the endpoint, if
// that can be told by looking at it: Parse does not take the address, the host is
// missing or stands for all interfaces, the port is 0. Registrars refuse to put such
// an endpoint in. Sockets of the network "unix" are valid.
func (e Endpoint) Validate() error {
	if _, err := Parse(e.String()); err != nil || e.Network != "tcp" {
		return err
	}
	host, service, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return err
	}
	ip, ipErr := netip.ParseAddr(host)
	switch port, err := net.LookupPort("tcp", service); {
	case host == "":
		return fmt.Errorf("endpoint %q: the host is missing", e.Addr)
	case ipErr == nil && ip.Unmap().IsUnspecified():
		return fmt.Errorf("endpoint %q: the host stands for all interfaces, want one that clients can connect to", e.Addr)
	case err != nil || port == 0:
		return fmt.Errorf("endpoint %q: want a port that clients can connect to", e.Addr)
	}
	return nil
}

// parseEndpoint returns an endpoint, or an error and where in data it is. If strict is
// set a field that is not known is an error.
func parseEndpoint(data []byte, strict bool) (Endpoint, int, error) {
	var f endpointFields
	var err error
	dec := json.NewDecoder(bytes.NewReader(data))
	if strict {
		dec.DisallowUnknownFields()
	}
	if bytes.HasPrefix(data, []byte(`"`)) {
		err = dec.Decode(&f.Address)
	} else {
		err = dec.Decode(&f)
	}
	if err != nil {
		return fieldError(data, err)
	}
	e, err := Parse(f.Address)
	if err != nil {
		return Endpoint{}, 0, err
	}
	e.Weight, e.Zone, e.Region, e.Role = f.Weight, f.Zone, f.Region, f.Role
	e.Tags, e.Protocol, e.Name = f.Tags, f.Protocol, f.Name
	return e, 0, nil
}

// fieldError says what is wrong with a field, and where in data the field is.
func fieldError(data []byte, err error) (Endpoint, int, error) {
	where := func(quoted string) int { return max(0, bytes.Index(data, []byte(quoted))) }
	var wrong *json.UnmarshalTypeError
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		const known = "have: address, name, protocol, region, role, tags, weight, zone"
		return Endpoint{}, where(field), fmt.Errorf("field %s is not known (%s)", field, known)
	}
	switch {
	case !errors.As(err, &wrong):
		return Endpoint{}, 0, err
	case wrong.Field == "":
		return Endpoint{}, 0, fmt.Errorf("want an address or an object, not %s", wrong.Value)
	}
	field, _, _ := strings.Cut(wrong.Field, ".")
	return Endpoint{}, where(strconv.Quote(field)), fmt.Errorf("field %q: want a %s, not %s", field, wrong.Type, wrong.Value)
}
