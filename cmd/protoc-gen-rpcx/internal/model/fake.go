package model

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// Fake returns the file of fakes of file's services. It names every identifier
// through ident.
func (m *Model) Fake(file *protogen.File, ident Ident) *File {
	out := m.outputs[file]
	f := m.header(file, out.Fake)
	f.PackageDoc = doc("Package " + f.Package + " has fakes of the services of " + f.Source + ", for tests.")
	f.nameRuntime(file, ident)
	// The bodies of a fake's methods name packages beside variables, so a
	// variable may not have the name of an import.
	imports := newScope(nil)
	noting := func(id protogen.GoIdent) string {
		text := ident(id)
		if name, _, found := strings.Cut(text, "."); found {
			imports.reserve(name)
		}
		return text
	}
	for _, service := range file.Services {
		f.Services = append(f.Services, m.fakeService(file, service, out.Stub, noting))
	}
	self, srv := imports.claim("f"), imports.claim("srv")
	for _, s := range f.Services {
		s.Self, s.Srv = self, srv
	}
	return f
}

func (m *Model) fakeService(file *protogen.File, service *protogen.Service, stub OutputFile, ident Ident) *Service {
	names := m.services[service]
	s := &Service{
		FullName:       string(service.Desc.FullName()),
		Deprecation:    paragraph(serviceDeprecation(file, service, "")),
		Fake:           names.fake,
		FakeClient:     names.fakeClient,
		ClientIdent:    ident(stub.ImportPath.Ident(names.client)),
		NewClientIdent: ident(stub.ImportPath.Ident(names.newClient)),
		ServerIdent:    ident(stub.ImportPath.Ident(names.server)),
		RegisterIdent:  ident(stub.ImportPath.Ident(names.register)),
		Local:          ident(rpcxtestPackage.Ident("Local")),
		Registrar:      ident(rpcxPackage.Ident("Registrar")),
	}
	for i, method := range service.Methods {
		s.Methods = append(s.Methods, fakeMethod(s, method, &names.methods[i], ident))
	}
	return s
}

func fakeMethod(s *Service, method *protogen.Method, names *methodNames, ident Ident) *Method {
	m := signatures(s, method, names, ident)
	m.FakeFunc, m.FakeCalls, m.FakeRecorder = names.fakeFunc, names.fakeCalls, names.fakeRecorder
	m.FakeDoc = doc(m.Name + " calls " + s.Fake + "." + m.FakeFunc + ".")
	if kindOf(method).takesRequest() {
		m.Recorded, m.CallsFunc = "req", "Calls"
		m.CallsType = "[]*" + m.Request
		m.CallsDoc = "the requests that " + m.Name + " has received"
		m.RecorderType = ident(rpcxtestPackage.Ident("Recorder")) + "[*" + m.Request + "]"
	} else {
		m.Recorded, m.CallsFunc, m.CallsType = "struct{}{}", "Count", "int"
		m.CallsDoc = "how often " + m.Name + " has been called"
		m.RecorderType = ident(rpcxtestPackage.Ident("Recorder")) + "[struct{}]"
	}
	m.UnsetError = ident(statusPackage.Ident("New")) + "(" + ident(statusPackage.Ident("Unimplemented")) + ", " +
		strconv.Quote(s.Fake+"."+m.FakeFunc+" is not set") + ")"
	return m
}
