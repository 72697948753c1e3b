package model

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	optionsv1 "github.com/rpcx-go/rpcx/proto/rpcx/options/v1"
)

// Ident returns the text that names a Go identifier in the file being
// generated, and has the file import the identifier's package.
type Ident func(protogen.GoIdent) string

// The numbers of the fields of FileDescriptorProto and its parts that paths of
// source positions are made of.
const (
	filePackage = 2
	fileOptions = 8
	fileSyntax  = 12
	fileEdition = 14

	goPackage = 11

	methodOptions = 4
)

// File is what the templates print: one generated file.
type File struct {
	Source       string // the proto's path
	License      []string
	PackageDoc   string
	Package      string
	Module       string
	Version      string // of the generated code
	VersionConst string
	Services     []*Service
}

// Service is a service, as the templates for stubs and fakes see it. Which of
// the expressions are there depends on the file.
type Service struct {
	FullName, QuotedName string
	NameConst            string
	Methods              []*Method
	Sharded              *Sharded // nil if no method is split
	// Deprecation is a paragraph to add to a comment, with the line break before it.
	Deprecation string

	ClientDoc, ServerDoc            string
	Client, NewClient, ClientStruct string
	Server, Register, Unimplemented string
	Caller, Registrar               string

	Fake, FakeClient                         string
	Self, Srv                                string // variables in the fake's methods
	ClientIdent, NewClientIdent, ServerIdent string
	RegisterIdent, Local                     string
}

// Method is a method, as the templates see it.
type Method struct {
	Owner                       *Service
	Name                        string
	Doc                         string
	ProcedureConst              string
	QuotedProcedure             string
	Descriptor, NewMethod, Spec string
	Request, Response           string
	ClientParams, ClientResults string
	ServerParams, ServerResults string
	ServerTypes                 string // the parameters without names
	ServerArgs                  string
	ServerZero                  string // what is returned before an error, with its comma
	Call, CallArgs              string
	Handler, ErrUnimplemented   string
	FakeDoc                     string
	FakeFunc, FakeCalls         string
	FakeRecorder, RecorderType  string
	Recorded, UnsetError        string
	CallsDoc, CallsType         string
	CallsFunc                   string
	Key                         *KeyFunc // nil without a route
}

// header fills in what stubs and fakes have in common.
func (m *Model) header(file *protogen.File, out OutputFile) *File {
	f := &File{Source: file.Desc.Path(), Package: string(out.Package), Module: Module, Version: version}
	locations := file.Desc.SourceLocations()
	for _, number := range []int32{fileSyntax, fileEdition, filePackage} {
		location := locations.ByPath(protoreflect.SourcePath{number})
		comments := slices.Clone(location.LeadingDetachedComments)
		if number != filePackage {
			comments = append(comments, location.LeadingComments)
		}
		for _, c := range comments {
			if text := doc(c); text != "" {
				f.License = append(f.License, text)
			}
		}
	}
	return f
}

// nameRuntime names the runtime before any package of messages is named, so
// that these yield if they have the same name.
func (f *File) nameRuntime(file *protogen.File, ident Ident) {
	f.VersionConst = ident(versionConst)
	for _, service := range file.Services {
		if len(service.Methods) > 0 {
			ident(contextPackage.Ident("Context"))
		}
		if splits(service) {
			ident(fanoutPackage.Ident("Conn"))
		}
	}
}

// Stub returns the file of stubs of file's services. It names every identifier
// through ident.
func (m *Model) Stub(file *protogen.File, ident Ident) (*File, error) {
	out := m.outputs[file].Stub
	f := m.header(file, out)
	if m.opts.PackageSuffix != "" {
		comment := file.Desc.SourceLocations().ByPath(protoreflect.SourcePath{filePackage}).LeadingComments
		f.PackageDoc = doc("Package "+f.Package+" has clients and servers for the services of "+f.Source+".", comment)
	}
	f.nameRuntime(file, ident)
	for _, service := range file.Services {
		s, err := m.stubService(file, service, ident)
		if err != nil {
			return nil, err
		}
		f.Services = append(f.Services, s)
	}
	return f, nil
}

func (m *Model) stubService(file *protogen.File, service *protogen.Service, ident Ident) (*Service, error) {
	names := m.services[service]
	fullName := string(service.Desc.FullName())
	s := &Service{
		FullName:      fullName,
		QuotedName:    strconv.Quote(fullName),
		NameConst:     names.nameConst,
		Client:        names.client,
		NewClient:     names.newClient,
		ClientStruct:  names.clientStruct,
		Server:        names.server,
		Register:      names.register,
		Unimplemented: names.unimplemented,
		Caller:        ident(rpcxPackage.Ident("Caller")),
		Registrar:     ident(rpcxPackage.Ident("Registrar")),
	}
	comment := commentOf(service.Comments)
	deprecated := serviceDeprecation(file, service, comment)
	s.ClientDoc = doc(names.client+" is a client for "+fullName+". Its methods may be called concurrently.", comment, deprecated)
	s.ServerDoc = doc(names.server+" is the server side of "+fullName+". Its methods are called concurrently.", comment, deprecated)
	s.Deprecation = paragraph(serviceDeprecation(file, service, ""))
	for i, method := range service.Methods {
		stub, err := stubMethod(file, s, method, &names.methods[i], ident)
		if err != nil {
			return nil, err
		}
		s.Methods = append(s.Methods, stub)
	}
	return s, sharded(file, s, service, names, ident)
}

// serviceDeprecation returns the paragraph that marks what belongs to the
// service as deprecated, if its option or that of its file says so.
func serviceDeprecation(file *protogen.File, service *protogen.Service, comment string) string {
	switch {
	case service.Desc.Options().(*descriptorpb.ServiceOptions).GetDeprecated():
		return deprecation(comment, "Marked as deprecated in "+file.Desc.Path()+".")
	case file.Proto.GetOptions().GetDeprecated():
		return deprecation(comment, "The file "+file.Desc.Path()+" is marked as deprecated.")
	}
	return ""
}

// paragraph returns text to follow a comment as a paragraph of it.
func paragraph(text string) string {
	if text == "" {
		return ""
	}
	return "\n//\n" + doc(text)
}

func stubMethod(file *protogen.File, s *Service, method *protogen.Method, names *methodNames, ident Ident) (*Method, error) {
	key, err := route(file, method, names, ident)
	if err != nil {
		return nil, err
	}
	spec, err := methodSpec(file, s, method, key, ident)
	if err != nil {
		return nil, err
	}
	m := signatures(s, method, names, ident)
	m.Key = key
	comment := commentOf(method.Comments)
	m.Doc = doc(comment, methodDeprecation(file, method, comment))
	m.ProcedureConst = names.procedureConst
	m.QuotedProcedure = strconv.Quote("/" + s.FullName + "/" + string(method.Desc.Name()))
	m.Descriptor = names.descriptor
	m.Call, m.CallArgs = callExpr(kindOf(method), names.descriptor, ident)
	m.Handler = ident(rpcxPackage.Ident(kindOf(method).String() + "Handler"))
	m.NewMethod = ident(rpcxPackage.Ident("NewMethod"))
	m.Spec = spec
	m.ErrUnimplemented = ident(rpcxPackage.Ident("ErrUnimplemented"))
	return m, nil
}

// methodDeprecation returns the paragraph that marks the method as deprecated, if
// its option says so and comment does not.
func methodDeprecation(file *protogen.File, method *protogen.Method, comment string) string {
	if !method.Desc.Options().(*descriptorpb.MethodOptions).GetDeprecated() {
		return ""
	}
	return deprecation(comment, "Marked as deprecated in "+file.Desc.Path()+".")
}

// callExpr returns the function that a client's method calls and its arguments.
func callExpr(k kind, descriptor string, ident Ident) (function, args string) {
	args = "ctx, c.conn, " + descriptor
	if k.takesRequest() {
		args += ", req"
	}
	return ident(rpcxPackage.Ident("Call" + k.String())), args + ", opts..."
}

// methodSpec returns the expression of a method's rpcx.MethodSpec.
func methodSpec(file *protogen.File, s *Service, method *protogen.Method, key *KeyFunc, ident Ident) (string, error) {
	fields := []string{
		"Service: " + s.NameConst,
		"Name: " + strconv.Quote(string(method.Desc.Name())),
	}
	if kind := kindOf(method); kind != unary {
		fields = append(fields, "Kind: "+ident(rpcxPackage.Ident(kind.String())))
	}
	options := method.Desc.Options().(*descriptorpb.MethodOptions)
	switch options.GetIdempotencyLevel() {
	case descriptorpb.MethodOptions_NO_SIDE_EFFECTS:
		fields = append(fields, "Idempotency: "+ident(rpcxPackage.Ident("NoSideEffects")))
	case descriptorpb.MethodOptions_IDEMPOTENT:
		fields = append(fields, "Idempotency: "+ident(rpcxPackage.Ident("Idempotent")))
	}
	ours := optionsOf(method)
	if ours.GetNonBlocking() {
		if kindOf(method) != unary {
			return "", errorAtOption(file, method, []int32{optionNonBlocking},
				"non_blocking: it is streaming, so that its handler waits for messages: remove the option")
		}
		fields = append(fields, "NonBlocking: true")
	}
	if key != nil {
		fields = append(fields, "Key: "+ident(rpcxPackage.Ident("KeyOf"))+"("+key.Name+")")
	}
	if ours.GetRouteRequired() {
		fields = append(fields, "KeyRequired: true")
	}
	switch ours.GetAccess() {
	case optionsv1.MethodOptions_READ:
		fields = append(fields, "Access: "+ident(rpcxPackage.Ident("AccessRead")))
	case optionsv1.MethodOptions_WRITE:
		fields = append(fields, "Access: "+ident(rpcxPackage.Ident("AccessWrite")))
	}
	return ident(rpcxPackage.Ident("MethodSpec")) + "{" + strings.Join(fields, ", ") + "}", nil
}
