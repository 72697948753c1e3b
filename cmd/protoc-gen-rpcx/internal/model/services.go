package model

import (
	"slices"

	"google.golang.org/protobuf/compiler/protogen"
)

// serviceNames are the Go names of what is generated for one service.
type serviceNames struct {
	// base is the service's name in Go, from which the others are made.
	base                            string
	nameConst                       string
	client, newClient, clientStruct string
	server, register, unimplemented string
	methods                         []methodNames // in the order of the service
	fake, fakeClient                string
	sharded, newSharded             string // empty if no method is split
}

// methodNames are the Go names of what is generated for one method.
type methodNames struct {
	method, procedureConst, descriptor string
	keyFunc, elementKey                string // empty without a route, and without elements that have keys
	fakeFunc, fakeCalls, fakeRecorder  string
}

// sharedInfix marks the names in a package that is shared with messages, so
// that they differ from those of protoc-gen-go-grpc.
const sharedInfix = "RPCX"

// nameService claims the names of the service itself. All of them change
// together if one is taken, so that they stay recognizable as a family.
func (m *Model) nameService(service *protogen.Service, pkg *scope) *serviceNames {
	base := service.GoName
	if m.opts.PackageSuffix == "" {
		base += sharedInfix
	}
	for {
		n := &serviceNames{
			base:          base,
			nameConst:     base + "Name",
			client:        base + "Client",
			newClient:     "New" + base + "Client",
			clientStruct:  unexport(base) + "Client",
			server:        base + "Server",
			register:      "Register" + base + "Server",
			unimplemented: "Unimplemented" + base + "Server",
		}
		if pkg.claimAll(n.nameConst, n.client, n.newClient, n.clientStruct, n.server, n.register, n.unimplemented) {
			return n
		}
		base += "_"
	}
}

// nameMethods claims the names of the service's methods.
func (n *serviceNames) nameMethods(service *protogen.Service, pkg *scope) {
	methods := newScope(nil)
	for _, method := range service.Methods {
		// Different names in the proto, as get_user and GetUser, may be
		// one name in Go.
		name := methods.claim(method.GoName)
		n.methods = append(n.methods, methodNames{
			method:         name,
			procedureConst: pkg.claim(n.base + name + "Procedure"),
			descriptor:     pkg.claim(unexport(n.base) + name),
		})
	}
}

// nameOptions claims the names of what options of the service's methods add.
// They come last, so that an option changes no other name.
func (n *serviceNames) nameOptions(service *protogen.Service, pkg *scope) {
	if splits(service) {
		base := n.base
		for !pkg.claimAll(base+"Sharded", "New"+base+"Sharded") {
			base += "_"
		}
		n.sharded, n.newSharded = base+"Sharded", "New"+base+"Sharded"
	}
	for i, method := range service.Methods {
		options, names := optionsOf(method), &n.methods[i]
		if options.GetRoute() != "" {
			names.keyFunc = pkg.claim(names.descriptor + "Key")
		}
		if options.GetShard().GetKey() != "" {
			names.elementKey = pkg.claim(names.descriptor + "ElementKey")
		}
	}
}

// splits reports whether requests of a method of service are split.
func splits(service *protogen.Service) bool {
	return slices.ContainsFunc(service.Methods, func(m *protogen.Method) bool { return optionsOf(m).GetShard() != nil })
}

// nameFake claims the names of the service's fake and of its members. The
// methods of the service keep their names, which the server's interface fixes.
func (n *serviceNames) nameFake(service *protogen.Service, pkg *scope) {
	n.fake = pkg.claim(service.GoName)
	members := newScope(nil)
	for _, method := range n.methods {
		members.reserve(method.method)
	}
	n.fakeClient = members.claim("Client")
	for i := range n.methods {
		method := &n.methods[i]
		method.fakeFunc = members.claim(method.method + "Func")
		method.fakeCalls = members.claim(method.method + "Calls")
		method.fakeRecorder = members.claim(unexport(method.method) + "Calls")
	}
}
