package model

import "google.golang.org/protobuf/compiler/protogen"

// Module is the module path of rpcx. Generated code names no package of ours
// but those below.
const Module = "github.com/rpcx-go/rpcx"

const (
	contextPackage  = protogen.GoImportPath("context")
	rpcxPackage     = protogen.GoImportPath(Module + "/runtime/rpcx")
	rpcxtestPackage = protogen.GoImportPath(Module + "/runtime/rpcxtest")
	statusPackage   = protogen.GoImportPath(Module + "/runtime/status")
)

// versionConst is the constant of the runtime that the generated code needs to
// be there. A change that needs a newer runtime names a new one.
var versionConst = rpcxPackage.Ident("SupportsGenerated1")
