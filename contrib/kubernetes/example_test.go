package kubernetes_test

import (
	"fmt"

	"github.com/rpcx-go/rpcx/contrib/kubernetes"
	"github.com/rpcx-go/rpcx/runtime/address"
)

// In a pod InCluster says where the API server is; elsewhere a proxy will do, as
// that of "kubectl proxy".
func ExampleNew() {
	config, err := kubernetes.InCluster()
	if err != nil {
		config = kubernetes.Config{Server: "http://127.0.0.1:8001", Namespace: "shop"}
	}
	resolver, err := kubernetes.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	schemes := address.Builtin().With("kubernetes", resolver)

	_, err = schemes.Resolve("kubernetes:///users.shop:grpc")
	fmt.Println(err)
	_, err = schemes.Resolve("kubernetes:///users.shop:70000")
	fmt.Println(err)
	// Output:
	// <nil>
	// target "kubernetes:///users.shop:70000": 70000 is not a port to connect to
}
