package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/rpcx-go/rpcx/runtime/call"
	"github.com/rpcx-go/rpcx/runtime/fanout"
	"github.com/rpcx-go/rpcx/runtime/rpcx"
	"github.com/rpcx-go/rpcx/runtime/status"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/elems"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/elems/elemsrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/hybrid"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/hybrid/hybridrpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/opaque/opaquerpcx"
	usersv1 "github.com/rpcx-go/rpcx/testdata/gen/shard/users"
	"github.com/rpcx-go/rpcx/testdata/gen/shard/users/usersv1rpcx"
	"github.com/rpcx-go/rpcx/testdata/gen/shardsame"
)

// shards stands in for a Conn to two servers: keys belong to the one or the other
// by their hash. answer answers calls.
type shards struct {
	answer func(req, res protoreflect.Message) error

	mu       sync.Mutex
	requests []proto.Message
}

func (s *shards) Shard(_ context.Context, _ *call.Method, key call.Key, _ ...rpcx.CallOption) (uint64, bool, error) {
	return key.Hash() % 2, true, nil
}

func (s *shards) CallUnary(_ context.Context, m *call.Method, req, res any, opts ...rpcx.CallOption) error {
	request := req.(proto.Message)
	s.mu.Lock()
	s.requests = append(s.requests, proto.Clone(request))
	s.mu.Unlock()
	return s.answer(request.ProtoReflect(), res.(proto.Message).ProtoReflect())
}

func (s *shards) CallStream(context.Context, *call.Method, any, ...rpcx.CallOption) (call.ClientStream, error) {
	return nil, status.New(status.Unimplemented, "")
}

// unary is a generated method that splits requests, without types.
type unary func(ctx context.Context, conn fanout.Conn, req proto.Message, opts ...fanout.Option) (proto.Message, error)

// untyped takes the types from a generated method.
func untyped[C any, Req, Res proto.Message](make func(fanout.Conn) C, method func(C, context.Context, Req, ...fanout.Option) (Res, error)) unary {
	return func(ctx context.Context, conn fanout.Conn, req proto.Message, opts ...fanout.Option) (proto.Message, error) {
		return method(make(conn), ctx, req.(Req), opts...)
	}
}

// splitMethods are the methods of the golden packages that split requests.
var splitMethods = map[string]unary{
	"golden.shard.users.v1.Users.GetMany": untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.GetMany),
	"golden.shard.users.v1.Users.Delete":  untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.Delete),
	"golden.shard.users.v1.Users.Rename":  untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.Rename),
	"golden.shard.users.v1.Users.Digest":  untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.Digest),
	"golden.shard.users.v1.Users.Find":    untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.Find),
	"golden.shard.users.v1.Users.Count":   untyped(usersv1rpcx.NewUsersSharded, usersv1rpcx.UsersSharded.Count),
	"golden.shard.hybrid.Users.GetMany":   untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.GetMany),
	"golden.shard.hybrid.Users.Delete":    untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.Delete),
	"golden.shard.hybrid.Users.Rename":    untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.Rename),
	"golden.shard.hybrid.Users.Digest":    untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.Digest),
	"golden.shard.hybrid.Users.Find":      untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.Find),
	"golden.shard.hybrid.Users.Count":     untyped(hybridrpcx.NewUsersSharded, hybridrpcx.UsersSharded.Count),
	"golden.shard.opaque.Users.GetMany":   untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.GetMany),
	"golden.shard.opaque.Users.Delete":    untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.Delete),
	"golden.shard.opaque.Users.Rename":    untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.Rename),
	"golden.shard.opaque.Users.Digest":    untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.Digest),
	"golden.shard.opaque.Users.Find":      untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.Find),
	"golden.shard.opaque.Users.Count":     untyped(opaquerpcx.NewUsersSharded, opaquerpcx.UsersSharded.Count),
	"golden.shard.elems.Store.Swap":       untyped(elemsrpcx.NewStoreSharded, elemsrpcx.StoreSharded.Swap),
	"golden.shardsame.Users.GetMany":      untyped(shardsame.NewUsersRPCX_Sharded, shardsame.UsersRPCX_Sharded.GetMany),
}

// splitMethod is what a test needs to know of one of them.
type splitMethod struct {
	call         unary
	req, res     protoreflect.MessageType
	split, merge protoreflect.FieldDescriptor
	path         []protoreflect.FieldDescriptor // of an element's key
}

func describe(t *testing.T, name string) splitMethod {
	t.Helper()
	dot := strings.LastIndexByte(name, '.')
	service, method := name[:dot], name[dot+1:]
	d, options := descriptor(t, call.NewMethod(call.MethodSpec{Service: service, Name: method}, nil, nil))
	m := splitMethod{
		call:  splitMethods[name],
		req:   messageType(t, d.Input()),
		res:   messageType(t, d.Output()),
		split: d.Input().Fields().ByName(protoreflect.Name(options.GetShard().GetSplit())),
		merge: d.Output().Fields().ByName(protoreflect.Name(options.GetShard().GetMerge())),
	}
	if key := options.GetShard().GetKey(); key != "" {
		m.path = fieldsOf(t, m.split.Message(), key)
	}
	return m
}

// request returns a request with elements whose keys are made of the numbers.
func (m splitMethod) request(numbers ...int) proto.Message {
	req := m.req.New()
	list := req.Mutable(m.split).List()
	for _, n := range numbers {
		if m.path == nil {
			list.Append(numbered(m.split, n))
			continue
		}
		elem := list.NewElement()
		h := holder(elem.Message().Interface(), m.path[:len(m.path)-1])
		h.Set(m.path[len(m.path)-1], numbered(m.path[len(m.path)-1], n))
		list.Append(elem)
	}
	return req.Interface()
}

// response returns a response with answers that are made of the numbers.
func (m splitMethod) response(numbers ...int) proto.Message {
	res := m.res.New()
	list := res.Mutable(m.merge).List()
	for _, n := range numbers {
		switch {
		case m.merge.Message() == nil:
			list.Append(numbered(m.merge, n))
		default:
			elem := list.NewElement()
			fillFirst(elem.Message(), n)
			list.Append(elem)
		}
	}
	return res.Interface()
}

// fillFirst sets what can be set of the first scalar field or oneof member.
func fillFirst(msg protoreflect.Message, n int) {
	fields := msg.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Message() == nil && !f.IsList() {
			msg.Set(f, numbered(f, n))
			return
		}
	}
	// Only lists: as many elements as the number says.
	list := msg.Mutable(fields.Get(0)).List()
	for range n {
		list.Append(list.NewElement())
	}
}

// numberOf returns what the number of an element is.
func (m splitMethod) numberOf(elem protoreflect.Value) int {
	field := m.split
	for _, f := range m.path {
		elem, field = elem.Message().Get(f), f
	}
	for n := range 10 {
		if numbered(field, n).Equal(elem) {
			return n
		}
	}
	return -1
}

// TestSplit has generated code split requests of every kind over two servers.
func TestSplit(t *testing.T) {
	for name := range splitMethods {
		t.Run(name, func(t *testing.T) {
			m := describe(t, name)
			numbers := []int{3, 1, 4, 1, 5, 2, 6, 0}
			conn := new(shards)
			conn.answer = func(req, res protoreflect.Message) error {
				var part []int
				for list, i := req.Get(m.split).List(), 0; i < list.Len(); i++ {
					part = append(part, m.numberOf(list.Get(i)))
				}
				proto.Merge(res.Interface(), m.response(part...))
				return nil
			}
			req := m.request(numbers...)
			before := proto.Clone(req)
			res, err := m.call(t.Context(), conn, req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m.response(numbers...), res, protocmp.Transform()); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, req, protocmp.Transform()); diff != "" {
				t.Errorf("the request has changed (-want +got):\n%s", diff)
			}
			total := 0
			for _, part := range conn.requests {
				total += part.ProtoReflect().Get(m.split).List().Len()
			}
			if len(conn.requests) < 2 || total != len(numbers) {
				t.Errorf("%d parts with %d elements in all, want more than one with %d", len(conn.requests), total, len(numbers))
			}

			// Nothing to split.
			conn.requests = nil
			res, err = m.call(t.Context(), conn, m.request())
			if err != nil || !proto.Equal(res, m.res.New().Interface()) || len(conn.requests) != 0 {
				t.Errorf("without elements: %v, %v, %d calls", res, err, len(conn.requests))
			}

			// The servers fail.
			conn.answer = func(req, res protoreflect.Message) error {
				return status.New(status.NotFound, "none of these")
			}
			res, err = m.call(t.Context(), conn, m.request(1, 2, 3))
			if status.CodeOf(err) != status.NotFound || res.ProtoReflect().IsValid() {
				t.Errorf("failing: %v, %v", res, err)
			}
			res, err = m.call(t.Context(), conn, m.request(1, 2, 3), fanout.WithPartialResults())
			if status.CodeOf(err) != status.NotFound || res.ProtoReflect().Get(m.merge).List().Len() != 3 {
				t.Errorf("failing, with partial results: %v, %v", res, err)
			}
			// Even what has no answer can be sent on.
			if _, err := proto.Marshal(res); err != nil {
				t.Errorf("marshal of %v: %v", res, err)
			}

			// A part without answers.
			conn.answer = func(req, res protoreflect.Message) error { return nil }
			_, err = m.call(t.Context(), conn, m.request(1))
			if want := "INTERNAL: 1 of 1 parts failed: shard 1 of 1: INTERNAL: 0 answers for 1 elements"; err == nil || err.Error() != want {
				t.Errorf("without answers: %v, want %s", err, want)
			}
		})
	}
}

// TestSplitKeepsTheRest checks that each part has the other fields of the request.
func TestSplitKeepsTheRest(t *testing.T) {
	req := &usersv1.GetManyRequest{
		Parent: &usersv1.User{Id: 4}, Ids: []int64{1, 2, 3, 4, 5, 6}, Fields: []string{"name"},
		Index: map[string]*usersv1.User{"a": {}}, Which: &usersv1.GetManyRequest_Text{Text: "t"}, Number: proto.Int32(0),
	}
	conn := &shards{answer: func(protoreflect.Message, protoreflect.Message) error { return nil }}
	usersv1rpcx.NewUsersSharded(conn).GetMany(t.Context(), req, fanout.WithPartialResults())
	var ids []int64
	for _, part := range conn.requests {
		ids = append(ids, part.(*usersv1.GetManyRequest).GetIds()...)
		part.(*usersv1.GetManyRequest).Ids = req.Ids
		if diff := cmp.Diff(req, part, protocmp.Transform()); diff != "" {
			t.Errorf("part but for its elements (-want +got):\n%s", diff)
		}
	}
	slices.Sort(ids)
	if diff := cmp.Diff(req.Ids, ids); diff != "" {
		t.Errorf("elements of all parts (-want +got):\n%s", diff)
	}
}

// TestSplitNeedsKeys checks a method that requires keys, for which elements that are
// keys are enough, and one that does not, whose elements without keys are a part.
func TestSplitNeedsKeys(t *testing.T) {
	conn := &shards{answer: func(req, res protoreflect.Message) error { return nil }}
	_, err := hybridrpcx.NewUsersSharded(conn).GetMany(t.Context(), hybrid.GetManyRequest_builder{Ids: []int64{0}}.Build())
	if status.CodeOf(err) != status.Internal || len(conn.requests) != 1 {
		t.Errorf("with id 0: %v, %d calls; want one that answers nothing", err, len(conn.requests))
	}
	conn = &shards{answer: func(req, res protoreflect.Message) error {
		proto.Merge(res.Interface(), req.Interface())
		return nil
	}}
	number := func(n uint32) *elems.Element { return &elems.Element{Id: &elems.Element_Number{Number: n}} }
	req := &elems.Things{Owner: "o", Elements: []*elems.Element{number(1), {}, number(2)}}
	res, err := elemsrpcx.NewStoreSharded(conn).Swap(t.Context(), req)
	want := &elems.Things{Elements: req.Elements}
	if diff := cmp.Diff(want, res, protocmp.Transform()); diff != "" || err != nil || len(conn.requests) != 1 {
		t.Errorf("without keys: %v, %d calls (-want +got):\n%s", err, len(conn.requests), diff)
	}
}

// messageType returns the linked type of a message.
func messageType(t *testing.T, d protoreflect.MessageDescriptor) protoreflect.MessageType {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// numbered returns a value of the kind of field that is made of a number below 10:
// the number itself, but for bools, which are its parity.
func numbered(field protoreflect.FieldDescriptor, n int) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(strconv.Itoa(n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(strconv.Itoa(n)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n%2 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	}
	return protoreflect.ValueOfInt64(int64(n))
}
