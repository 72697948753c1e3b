package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rpcx-go/rpcx/bench/codec/gen/shapes"
)

// filler makes up the contents of messages. The same seed makes the same contents.
type filler struct{ *rand.Rand }

func newFiller() filler { return filler{rand.New(rand.NewPCG(1, 2))} }

// text returns words of at least n bytes in all, cut at n. One word in
// eight is not ASCII, unless ascii is set.
func (f filler) text(n int, ascii bool) string {
	var b strings.Builder
	for b.Len() < n {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if !ascii && f.IntN(8) == 0 {
			b.WriteString([]string{"größer", "café", "наука", "東京", "naïve"}[f.IntN(5)])
			continue
		}
		for range 2 + f.IntN(8) {
			b.WriteByte(byte('a' + f.IntN(26)))
		}
	}
	return strings.ToValidUTF8(b.String()[:n], "")
}

// word returns an ASCII string of lo to hi bytes.
func (f filler) word(lo, hi int) string { return f.text(lo+f.IntN(hi-lo+1), true) }

// magnitude returns a number of at most the given bits, small ones as likely as large.
func (f filler) magnitude(bits int) uint64 { return f.Uint64() >> (64 - 1 - f.IntN(bits)) }

func (f filler) kind() shapes.Kind { return shapes.Kind(f.IntN(4)) }

func (f filler) small() *shapes.Small {
	return &shapes.Small{
		Id: 1_234_567, Count: 42, Active: true, Score: 0.75, Name: "some-account",
		Delta: -17, Checksum: 0xdeadbeef, Kind: shapes.Kind_KIND_SECOND,
	}
}

func (f filler) address() *shapes.Address {
	return &shapes.Address{
		Street: f.word(10, 24), City: f.word(5, 12), Zip: fmt.Sprint(10000 + f.IntN(90000)), Country: "DE",
		Position: &shapes.Position{Latitude: f.Float64() * 90, Longitude: f.Float64() * 180},
	}
}

func (f filler) item() *shapes.Item {
	return &shapes.Item{
		Sku: f.word(8, 12), Quantity: int32(1 + f.IntN(20)), Price: int64(f.IntN(1_000_000)), Kind: f.kind(),
	}
}

func (f filler) nested() *shapes.Nested {
	m := &shapes.Nested{
		Id: int64(f.magnitude(40)), Name: f.word(10, 20), Home: f.address(),
		Labels: map[string]string{}, Items: map[int64]*shapes.Item{},
		Audit: &shapes.Audit{
			CreatedBy: f.word(6, 10), CreatedAt: 1_700_000_000, UpdatedBy: f.word(6, 10), UpdatedAt: 1_710_000_000,
		},
	}
	for range 8 {
		m.Others = append(m.Others, f.address())
	}
	for i := range 20 {
		m.Labels[fmt.Sprintf("%s-%d", f.word(5, 10), i)] = f.word(8, 20)
	}
	for i := range 20 {
		m.Items[int64(1000+i)] = f.item()
	}
	return m
}

// strings returns text. Unless ascii is set, about two thirds of it hold words
// that are not ASCII.
func (f filler) strings(ascii bool) *shapes.Strings {
	m := &shapes.Strings{Title: f.text(60, ascii), Summary: f.text(400, ascii), Body: f.text(3000, ascii)}
	for range 40 {
		m.Tags = append(m.Tags, f.word(4, 16))
	}
	for range 24 {
		m.Paragraphs = append(m.Paragraphs, f.text(100+f.IntN(300), f.IntN(2) == 0 || ascii))
	}
	return m
}

func (f filler) packed() *shapes.Packed {
	m := new(shapes.Packed)
	for range 600 {
		m.Int32S = append(m.Int32S, int32(f.magnitude(28)))
		m.Uint64S = append(m.Uint64S, f.magnitude(56))
		v := int64(f.magnitude(35))
		if f.IntN(2) == 0 {
			v = -v
		}
		m.Sint64S = append(m.Sint64S, v)
	}
	for range 300 {
		m.Fixed32S = append(m.Fixed32S, f.Uint32())
		m.Doubles = append(m.Doubles, f.NormFloat64())
		m.Bools = append(m.Bools, f.IntN(2) == 0)
		m.Kinds = append(m.Kinds, f.kind())
	}
	return m
}

// treeDepth stays below the depth that every codec accepts.
const treeDepth = 80

// tree returns a chain of treeDepth messages, each with a leaf beside it.
func (f filler) tree() *shapes.Tree {
	node := func() *shapes.Tree { return &shapes.Tree{Id: int64(f.magnitude(30)), Label: f.word(4, 12)} }
	root := node()
	for range treeDepth - 1 {
		parent := node()
		parent.Left, parent.Right = root, node()
		root = parent
	}
	return root
}

func (f filler) many() *shapes.Many {
	m := new(shapes.Many)
	for i := range 500 {
		p := &shapes.Point{X: int32(f.IntN(4000)), Y: int32(f.IntN(4000)), Id: f.magnitude(40)}
		if i%2 == 0 {
			p.Tag = f.word(4, 8)
		}
		m.Points = append(m.Points, p)
	}
	return m
}

func (f filler) order() *shapes.Order {
	m := &shapes.Order{
		Id:      "ord_" + f.word(16, 16),
		Created: &timestamppb.Timestamp{Seconds: 1_720_000_000, Nanos: 123_000_000},
		Coupon:  proto.String("SUMMER"),
		Payment: &shapes.Order_Card{Card: &shapes.Card{
			Holder: f.text(18, false), Number: "4111111111111111", Month: 11, Year: 2030,
		}},
		ShipTo: f.address(), BillTo: f.address(),
		Attributes: map[string]string{"channel": "web", "campaign": f.word(8, 12), "locale": "de-DE"},
		Kind:       shapes.Kind_KIND_THIRD,
		Signature:  make([]byte, 64),
	}
	for i := range m.Signature {
		m.Signature[i] = byte(f.Uint32())
	}
	for range 6 {
		m.Lines = append(m.Lines, &shapes.Line{
			Sku: f.word(8, 12), Title: f.text(20+f.IntN(30), false), Quantity: int32(1 + f.IntN(5)),
			UnitPrice: int64(f.IntN(100_000)), Notes: []string{f.word(10, 30)},
		})
		m.Related = append(m.Related, f.magnitude(63))
	}
	return m
}
