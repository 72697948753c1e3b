package difftest

import (
	_ "github.com/rpcx-go/rpcx/testdata/gen/large"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/edition2023"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/edition2023hybrid"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/edition2023opaque"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/edition2024"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/edition2024open"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/extensions"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/extensionsopaque"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/mixed"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/names"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/nameshybrid"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/namesopaque"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/proto2"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/proto2opaque"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/proto3"
	_ "github.com/rpcx-go/rpcx/testdata/zoo/proto3opaque"
)
