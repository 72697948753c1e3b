package model

import "google.golang.org/protobuf/compiler/protogen"

// Module is the module path of rpcx. Generated code names no package of ours
// but those below.
const Module = "github.com/rpcx-go/rpcx"

const (
	contextPackage  = protogen.GoImportPath("context")
	rpcxPackage     = protogen.GoImportPath(Module + "/runtime/rpcx")
	rpcxtestPackage = protogen.GoImportPath(Module + "/runtime/rpcxtest")
	fanoutPackage   = protogen.GoImportPath(Module + "/runtime/fanout")
	statusPackage   = protogen.GoImportPath(Module + "/runtime/status")
	wirePackage     = protogen.GoImportPath(Module + "/runtime/wire")
	foreignPackage  = protogen.GoImportPath(Module + "/runtime/wire/foreign")
	knownPackage    = protogen.GoImportPath(Module + "/runtime/wire/known")
)

// version is the version of generated code. The runtime has a constant for each
// version that it supports; a change of the generated text that needs something
// new of the runtime takes the next one.
const version = "1"

var (
	versionConst     = rpcxPackage.Ident("SupportsGenerated" + version)
	glueVersionConst = wirePackage.Ident("SupportsGenerated" + version)
)
