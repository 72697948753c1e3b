package model

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// kind says which sides of a method stream.
type kind int

const (
	unary kind = iota
	clientStream
	serverStream
	bidiStream
)

// String returns the kind's name in package rpcx, also a part of the names of
// the functions that serve it.
func (k kind) String() string {
	return [...]string{"Unary", "ClientStream", "ServerStream", "BidiStream"}[k]
}

func kindOf(method *protogen.Method) kind {
	switch {
	case method.Desc.IsStreamingClient() && method.Desc.IsStreamingServer():
		return bidiStream
	case method.Desc.IsStreamingClient():
		return clientStream
	case method.Desc.IsStreamingServer():
		return serverStream
	}
	return unary
}

// takesRequest reports whether a method of the kind has its request as an
// argument, on both sides.
func (k kind) takesRequest() bool { return k == unary || k == serverStream }

// returnsResponse reports whether a method of the kind returns its response
// from the handler.
func (k kind) returnsResponse() bool { return k == unary || k == clientStream }

// signatures returns the method with its parameters and results, which stubs
// and fakes have in common.
func signatures(s *Service, method *protogen.Method, names *methodNames, ident Ident) *Method {
	k := kindOf(method)
	m := &Method{
		Owner:    s,
		Name:     names.method,
		Request:  ident(method.Input.GoIdent),
		Response: ident(method.Output.GoIdent),
	}
	ctx := parameter{"ctx", ident(contextPackage.Ident("Context"))}
	client, server := parameters{ctx}, parameters{ctx}
	if k.takesRequest() {
		req := parameter{"req", "*" + m.Request}
		client, server = append(client, req), append(server, req)
	}
	if k != unary {
		server = append(server, parameter{"stream", serverStreamType(k, m, ident)})
	}
	client = append(client, parameter{"opts", "..." + ident(rpcxPackage.Ident("CallOption"))})

	m.ClientParams = client.declared()
	m.ClientResults = "(" + clientResult(k, m, ident) + ", error)"
	m.ServerParams = server.declared()
	m.ServerTypes = server.types()
	m.ServerArgs = server.names()
	m.ServerResults = "error"
	if k.returnsResponse() {
		m.ServerResults = "(*" + m.Response + ", error)"
		m.ServerZero = "nil, "
	}
	return m
}

// clientResult returns the type of what a client's method returns.
func clientResult(k kind, m *Method, ident Ident) string {
	switch k {
	case clientStream:
		return ident(rpcxPackage.Ident("ClientStreamingClient")) + "[" + m.Request + ", " + m.Response + "]"
	case serverStream:
		return ident(rpcxPackage.Ident("ServerStreamingClient")) + "[" + m.Response + "]"
	case bidiStream:
		return ident(rpcxPackage.Ident("BidiStreamingClient")) + "[" + m.Request + ", " + m.Response + "]"
	}
	return "*" + m.Response
}

// serverStreamType returns the type of the stream that a handler is given.
func serverStreamType(k kind, m *Method, ident Ident) string {
	switch k {
	case clientStream:
		return ident(rpcxPackage.Ident("ClientStreamingServer")) + "[" + m.Request + "]"
	case serverStream:
		return ident(rpcxPackage.Ident("ServerStreamingServer")) + "[" + m.Response + "]"
	}
	return ident(rpcxPackage.Ident("BidiStreamingServer")) + "[" + m.Request + ", " + m.Response + "]"
}

type parameter struct{ name, typ string }

type parameters []parameter

// declared returns the list as a function declares it.
func (p parameters) declared() string {
	return "(" + p.join(func(one parameter) string { return one.name + " " + one.typ }) + ")"
}

// types returns the list as a function declares it that uses none of them.
func (p parameters) types() string {
	return "(" + p.join(func(one parameter) string { return one.typ }) + ")"
}

// names returns the list as a call passes it on.
func (p parameters) names() string {
	return p.join(func(one parameter) string { return one.name })
}

func (p parameters) join(text func(parameter) string) string {
	parts := make([]string, len(p))
	for i, one := range p {
		parts[i] = text(one)
	}
	return strings.Join(parts, ", ")
}
