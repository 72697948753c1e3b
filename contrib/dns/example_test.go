package dns_test

import (
	"fmt"
	"time"

	"github.com/rpcx-go/rpcx/contrib/dns"
	"github.com/rpcx-go/rpcx/runtime/address"
)

func ExampleResolver() {
	resolver := dns.Resolver{MaxTTL: time.Minute, Family: "ip4"}
	schemes := address.Builtin().With("dns", resolver).With("dns+srv", resolver)
	source, err := schemes.Resolve("dns:///_users._tcp.internal")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, ok := source.(address.Refresher) // a cluster asks for a look-up when servers cannot be reached
	fmt.Println(ok)
	_, err = schemes.Resolve("dns:///users.internal")
	fmt.Println(err)
	// Output:
	// true
	// target "dns:///users.internal": want host:port, as in "dns:///users.internal:7000": address users.internal: missing port in address
}
