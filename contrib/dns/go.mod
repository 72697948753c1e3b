module github.com/rpcx-go/rpcx/contrib/dns

go 1.26.0

replace github.com/rpcx-go/rpcx => ../../

require (
	github.com/miekg/dns v1.1.73
	github.com/rpcx-go/rpcx v0.0.0-00010101000000-000000000000
	go.uber.org/goleak v1.3.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
